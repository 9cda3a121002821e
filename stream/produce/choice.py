"""Chooses what of a media file is sent, and says what is left out and why: pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stream.domain.identity import check_name
from stream.domain.modality import Modality
from stream.domain.session_events import MAX_TRACKS
from stream.domain.wording import quantity
from stream.media.errors import SourceError
from stream.media.media_info import AudioSource, Content, MediaInfo, Selection, StreamInfo, Survey, UnusableStream
from stream.produce.sent import LeftOutStream
from stream.produce.session import TrackSetup

LEFT_OUT_NAME = "-"
"""In the place of a speaker's name: this audio track or channel is left out."""

_TRIED = {
    Content.SILENT: "it is silent where it was tried",
    Content.SOUND: "no voice was found where it was tried",
    Content.PICTURE: "no face was found where it was tried",
}

NO_VIDEO_OF_SEVERAL = "with several speakers it is unknown whose face it shows"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user wants to send of a file.

    Attributes:
        track, role: Name and role of the only speaker.
        channels: Names of the speakers, where the file has an audio track or a channel for each.
        audio_track, video_track: Number of the audio and video track to send, from 1 as players count; None for the best.
        split: Make a speaker of each audio track with a voice, where nothing else was asked for.
    """

    track: str = "speaker"
    role: str = "speaker"
    channels: tuple[str, ...] = ()
    audio_track: int | None = None
    video_track: int | None = None
    split: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """What is sent of a file.

    Attributes:
        tracks: The speakers, without their words.
        selection: What is read of the file.
        left_out: The audio and video tracks that are not sent.
        notices: Sentences about what was chosen.
    """

    tracks: tuple[TrackSetup, ...]
    selection: Selection
    left_out: tuple[LeftOutStream, ...]
    notices: tuple[str, ...]


def choose(survey: Survey, wish: Wish) -> Choice:
    """Choose what is sent of a file.

    Raises:
        SourceError: The file does not have what is asked for; the message says what it has.
        ValueError: A name is not allowed.
    """
    return _Chooser(survey, wish).choose()


def speaker_names(channels: Sequence[str]) -> tuple[str, ...]:
    """The names of the speakers among `channels`. Raises `SourceError` or `ValueError` if they cannot be the tracks of a session."""
    names = tuple(name for name in channels if name != LEFT_OUT_NAME)
    for name in names:
        check_name("a name in --channels", name)
    # Words find their track by its name in any case, so two names must differ by more than case.
    if len({name.casefold() for name in names}) < len(names):
        raise SourceError("--channels gives a name twice: give each speaker a name of their own")
    if channels and not 0 < len(names) <= MAX_TRACKS:
        raise SourceError(f"--channels must name 1 to {MAX_TRACKS} speakers")
    return names


class _Chooser:
    def __init__(self, survey: Survey, wish: Wish) -> None:
        self._survey = survey
        self._info = survey.info
        self._wish = wish
        self._numbers = track_numbers(survey.info)
        self._voices = [stream for stream in survey.info.audio if survey.contents.get(stream.index) is Content.VOICE]
        nothing = (Content.SILENT, Content.UNREADABLE)
        self._heard = [stream for stream in survey.info.audio if survey.contents.get(stream.index) not in nothing]

    def choose(self) -> Choice:
        wish = self._wish
        video = self._video()
        if wish.channels:
            if wish.video_track is not None:
                raise SourceError(f"--video-track and --channels exclude each other: {NO_VIDEO_OF_SEVERAL}")
            return self._choice(self._speakers(), None)
        if wish.split and wish.audio_track is None and video is None and _is_conversation(self._voices):
            return self._choice(_split(self._voices), None)
        audio = self._numbered(Modality.AUDIO, wish.audio_track) if wish.audio_track is not None else self._survey.best_audio()
        source = None if audio is None else AudioSource(audio.index)
        return self._choice((TrackSetup(wish.track, wish.role, audio=source, video=video is not None),), video)

    def _video(self) -> StreamInfo | None:
        if self._wish.video_track is not None:
            return self._numbered(Modality.VIDEO, self._wish.video_track)
        return self._survey.best_video()

    def _unreadable(self, stream: StreamInfo) -> bool:
        return self._survey.contents.get(stream.index) is Content.UNREADABLE

    def _numbered(self, modality: Modality, number: int) -> StreamInfo:
        """The track with a number that the user gave."""
        usable = self._info.audio if modality is Modality.AUDIO else self._info.video
        for stream in usable:
            if self._numbers[stream.index] == number:
                if self._unreadable(stream):
                    raise SourceError(f"{modality} track {number} cannot be sent: nothing of it could be decoded")
                return stream
        for unusable in self._info.unusable:
            if unusable.modality is modality and self._numbers[unusable.index] == number:
                raise SourceError(f"{modality} track {number} cannot be sent: {unusable.reason}")
        raise SourceError(f"there is no {modality} track {number}: {self._inventory(modality)}")

    def _speakers(self) -> tuple[TrackSetup, ...]:
        """A track for each of the names in --channels."""
        names = self._wish.channels
        speaker_names(names)
        sources = self._sources(len(names))
        return tuple(TrackSetup(name, name, audio=source) for name, source in zip(names, sources, strict=True) if name != LEFT_OUT_NAME)

    def _sources(self, count: int) -> list[AudioSource]:
        """The audio tracks of the file, or the channels of one of them, if there are `count`."""
        audio = self._info.audio
        if self._wish.audio_track is not None:
            stream = self._numbered(Modality.AUDIO, self._wish.audio_track)
            if stream.channels == count:
                return _channels(stream)
        elif len(audio) == count > 1:
            return [AudioSource(stream.index) for stream in audio]
        elif len(self._voices) == len(self._heard) == count > 1:
            return [AudioSource(stream.index) for stream in self._voices]
        else:
            fitting = [stream for stream in audio if stream.channels == count]
            voiced = [stream for stream in fitting if stream in self._voices]
            if len(voiced) == 1 or len(fitting) == 1:
                return _channels((voiced or fitting)[0])
        if not audio:
            raise SourceError(f"--channels has {quantity(count, 'name')}, but {self._inventory(Modality.AUDIO)}")
        raise SourceError(
            f"--channels has {quantity(count, 'name')}, but {self._inventory(Modality.AUDIO)}: give each audio track of "
            f"the file a name, or each channel of one track (choose it with --audio-track); {LEFT_OUT_NAME} in the place of a name leaves "
            "one out"
        )

    def _inventory(self, modality: Modality) -> str:
        """What the file has, for an error: ``the file has 2 audio tracks: 1 (mono, eng), 2 (stereo)``."""
        streams = self._info.audio if modality is Modality.AUDIO else self._info.video
        if not streams:
            return f"the file has no {modality} track that can be read"
        if len(streams) == 1 and modality is Modality.AUDIO:
            return f"the file has {quantity(streams[0].channels, 'audio channel')} in one track"
        listed = ", ".join(f"{self._numbers[stream.index]} ({describe(stream)})" for stream in streams)
        return f"the file has {quantity(len(streams), f'{modality} track')}: {listed}"

    def _choice(self, tracks: tuple[TrackSetup, ...], video: StreamInfo | None) -> Choice:
        selection = Selection(tuple(track.audio for track in tracks if track.audio is not None), video.index if video else None)
        left_out = tuple(self._left_out(selection))
        return Choice(tracks, selection, left_out, tuple(self._notices(tracks, selection, left_out)))

    def _left_out(self, selection: Selection) -> Iterator[LeftOutStream]:
        sent = {source.stream for source in selection.audio} | {selection.video}
        rest: list[StreamInfo | UnusableStream] = [*self._info.audio, *self._info.video, *self._info.unusable]
        for stream in sorted(rest, key=lambda stream: (stream.modality, self._numbers[stream.index])):
            if stream.index not in sent:
                yield self._left_out_stream(stream, selection)

    def _left_out_stream(self, stream: StreamInfo | UnusableStream, selection: Selection) -> LeftOutStream:
        sound = stream.modality is Modality.AUDIO
        wished = bool(self._wish.channels) or (self._wish.audio_track if sound else self._wish.video_track) is not None
        other_is_sent = bool(selection.audio) if sound else selection.video is not None
        content = self._survey.contents.get(stream.index)
        missing = False
        if isinstance(stream, UnusableStream):
            reason, missing = stream.reason, not other_is_sent
        elif content is Content.UNREADABLE:
            reason = "nothing of it could be decoded"
        elif not sound and not other_is_sent:
            reason = NO_VIDEO_OF_SEVERAL
        elif wished:
            reason = "another one was asked for"
        elif content in (Content.SILENT, Content.SOUND, Content.PICTURE):
            reason = _TRIED[content]
        else:
            reason, missing = f"it is not the first with a {'voice' if sound else 'face'}", True
        return LeftOutStream(
            kind="audio" if sound else "video",
            track=self._numbers[stream.index],
            title=stream.title if isinstance(stream, StreamInfo) else "",
            language=stream.language if isinstance(stream, StreamInfo) else "",
            channels=stream.channels if isinstance(stream, StreamInfo) else 0,
            description=describe(stream),
            usable=not isinstance(stream, UnusableStream) and content is not Content.UNREADABLE,
            reason=reason,
            missing=missing,
        )

    def _notices(self, tracks: Sequence[TrackSetup], selection: Selection, left_out: Sequence[LeftOutStream]) -> Iterator[str]:
        contents = self._survey.contents
        if len({source.stream for source in selection.audio}) > 1:
            listed = ", ".join(f"{track.track} is audio track {self._numbers[track.audio.stream]}" for track in tracks if track.audio)
            hint = "" if self._wish.channels else "; --channels gives them other names, --audio-track sends one alone"
            yield f"each audio track is a speaker: {listed}{hint}"
        for stream in left_out:
            yield stream.sentence()
        yield from _hints([stream for stream in left_out if stream.missing and stream.usable])
        if selection.audio and all(contents.get(source.stream) is Content.SILENT for source in selection.audio):
            yield "the sound is silent where it was tried"
        if selection.video is not None and contents.get(selection.video) is Content.PICTURE:
            yield "no face was found where the picture was tried"


def track_numbers(info: MediaInfo) -> dict[int, int]:
    """The number of each audio and video track among those of its kind, from 1 as players count, by `StreamInfo.index`."""
    numbers: dict[int, int] = {}
    for modality in (Modality.AUDIO, Modality.VIDEO):
        streams: list[StreamInfo | UnusableStream] = [*info.audio, *info.video, *info.unusable]
        indices = sorted(stream.index for stream in streams if stream.modality is modality)
        numbers.update({index: number for number, index in enumerate(indices, start=1)})
    return numbers


def describe(stream: StreamInfo | UnusableStream) -> str:
    """Its title, language and channels: ``"agent", eng, mono``."""
    if isinstance(stream, UnusableStream):
        return stream.codec
    parts = [f'"{stream.title}"' if stream.title else "", stream.language if stream.language != "und" else ""]
    if stream.modality is Modality.AUDIO:
        parts.append(stream.layout if stream.layout and "channels" not in stream.layout else f"{stream.channels} channels")
    return ", ".join(part for part in parts if part) or stream.codec


def _hints(missing: Sequence[LeftOutStream]) -> Iterator[str]:
    """How to send what was left out."""
    if any(stream.kind == "audio" for stream in missing):
        yield "--audio-track N sends another audio track, --channels NAME,NAME makes a speaker of each (`-` leaves one out)"
    if any(stream.kind == "video" for stream in missing):
        yield "--video-track N sends another video track"


def _channels(stream: StreamInfo) -> list[AudioSource]:
    return [AudioSource(stream.index, number) for number in range(stream.channels)]


def _is_conversation(voices: Sequence[StreamInfo]) -> bool:
    """True for several audio tracks with voices, unless they are the same talk in several languages."""
    return 1 < len(voices) <= MAX_TRACKS and len({stream.language for stream in voices}) == 1


def _split(voices: Sequence[StreamInfo]) -> tuple[TrackSetup, ...]:
    """A track for each audio track, named like its title where all titles are names of their own."""
    titles = [stream.title.replace(" ", "-").casefold() for stream in voices]
    named = len(set(titles)) == len(titles) and all(_is_name(title) for title in titles)
    names = titles if named else [f"speaker-{number}" for number in range(1, len(voices) + 1)]
    return tuple(TrackSetup(name, name, audio=AudioSource(stream.index)) for name, stream in zip(names, voices, strict=True))


def _is_name(text: str) -> bool:
    try:
        check_name("track", text)
    except ValueError:
        return False
    return True
