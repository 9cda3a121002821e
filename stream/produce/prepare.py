"""From what a user asks for to a session that can be sent: probe the file, read or make its transcript, set up its tracks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

from stream.domain.features import Word
from stream.domain.identity import SessionKey
from stream.media import asr
from stream.media.errors import SourceError, TranscriptError
from stream.media.source import MediaFile, MediaInfo, SourcePiece, read_audio
from stream.media.transcript import TRANSCRIPT_SUFFIXES, read_transcript
from stream.produce.session import SessionPlan, TrackSetup

NO_TEXT = "text is absent: give --transcript, or install speech recognition with pip install 'sentistream[asr]'"


@dataclass(frozen=True, slots=True)
class MediaRequest:
    """What a user wants to send.

    Attributes:
        media: Video, audio, or words alone (``.vtt``, ``.srt``, ``.json``).
        transcript: Words that go with a video or audio file.
        session: Its name; None makes one up.
        tenant: Whose it is.
        track: Name of the only track; with `channels` there is one for each of those instead.
        role: Role of the only track; tracks of `channels` have their name as their role.
        channels: Names of the file's audio channels, first to last.
        recognise: Recognise speech where there is no transcript: True, False, or None for "if that is installed".
    """

    media: Path
    transcript: Path | None = None
    session: str | None = None
    tenant: str = "default"
    track: str = "speaker"
    role: str = "speaker"
    channels: tuple[str, ...] = ()
    recognise: bool | None = None


class Pieces:
    """The pieces of a session's file while it is being read; words alone have none."""

    def __init__(self, media: MediaFile | None) -> None:
        self._media = media

    def __iter__(self) -> Iterator[SourcePiece]:
        """In order of their ends; once."""
        return self._media.pieces() if self._media is not None else iter(())

    @property
    def damaged(self) -> bool:
        """True once some of the file could not be decoded."""
        return self._media is not None and self._media.damaged


@dataclass(frozen=True, slots=True)
class PreparedSession:
    """A session that can be sent.

    Attributes:
        plan: Tracks and words.
        media: The file, or None for words alone.
        duration_ms: How long it is, or None when the file does not say.
        notices: Sentences for the user: what is absent or was left out.
    """

    plan: SessionPlan
    media: Path | None
    duration_ms: int | None
    notices: tuple[str, ...] = field(default=())

    @contextmanager
    def pieces(self) -> Iterator[Pieces]:
        """Read the file. Raises `SourceError`."""
        if self.media is None:
            yield Pieces(None)
            return
        tracks = self.plan.tracks
        audio, video = any(track.audio for track in tracks), any(track.video for track in tracks)
        split = any(track.channel is not None for track in tracks)
        with MediaFile(self.media, split_channels=split, audio=audio, video=video) as media:
            yield Pieces(media)


def prepare(request: MediaRequest, on_step: Callable[[str], None] | None = None) -> PreparedSession:
    """Look at the file and its transcript.

    Args:
        request: What to send.
        on_step: Told what is going on when it takes a while.

    Raises:
        SourceError: The file or the wish for channels does not work.
        TranscriptError: The transcript cannot be read.
        ValueError: A name is not allowed.
    """
    if request.media.suffix.lower() in TRANSCRIPT_SUFFIXES:
        return _words_alone(request)
    with MediaFile(request.media) as media:
        info = media.info
    tracks = _tracks(request, info)
    notices: list[str] = []
    if request.channels and info.has_video:
        notices.append("the picture is left out: with several channels nobody knows whose face it shows")
    words = _transcript(request, info, notices, on_step)
    spoken = max((word.end_ms for line in words for word in line or ()), default=0)
    duration_ms = None if info.duration_ms is None else max(info.duration_ms, spoken)
    if info.duration_ms is not None and spoken > info.duration_ms + 5_000:
        notices.append("the transcript goes on after the recording has ended: does it belong to this file?")
    plan = SessionPlan(_key(request), tuple(replace(track, words=line) for track, line in zip(tracks, words, strict=True)))
    return PreparedSession(plan, request.media, duration_ms, tuple(notices))


def route_words(words: Sequence[Word], tracks: Sequence[str]) -> tuple[list[tuple[Word, ...]], int]:
    """Give each word to the track that is named like its speaker (case does not matter).

    A single track gets all words. With several, a word without such a speaker belongs to none of them: putting it in somebody's mouth
    would be worse.

    Returns:
        The words of each track, and how many found none.
    """
    if len(tracks) == 1:
        return [tuple(words)], 0
    by_name = {name.casefold(): tuple(w for w in words if (w.speaker or "").casefold() == name.casefold()) for name in tracks}
    lines = [by_name[name.casefold()] for name in tracks]
    return lines, len(words) - sum(map(len, lines))


def _key(request: MediaRequest) -> SessionKey:
    return SessionKey(request.tenant, request.session if request.session is not None else f"s-{uuid4().hex[:12]}")


def _words_alone(request: MediaRequest) -> PreparedSession:
    if request.transcript is not None:
        raise SourceError(f"{request.media}: words need no transcript besides")
    words = read_transcript(request.media)
    names = request.channels or (request.track,)
    lines, lost = route_words(words, names)
    tracks = tuple(
        TrackSetup(name, name if request.channels else request.role, words=line) for name, line in zip(names, lines, strict=True)
    )
    return PreparedSession(SessionPlan(_key(request), tracks), None, words[-1].end_ms, tuple(_lost(lost, len(words), names)))


def _tracks(request: MediaRequest, info: MediaInfo) -> list[TrackSetup]:
    if not request.channels:
        return [TrackSetup(request.track, request.role, audio=info.audio_channels > 0, video=info.has_video)]
    if len({name.casefold() for name in request.channels}) < len(request.channels):
        raise SourceError("--channels names one channel twice")
    if info.audio_channels != len(request.channels):
        raise SourceError(f"{request.media}: the file has {info.audio_channels} audio channel(s), --channels names {len(request.channels)}")
    return [TrackSetup(name, name, audio=True, channel=number) for number, name in enumerate(request.channels)]


def _transcript(
    request: MediaRequest, info: MediaInfo, notices: list[str], on_step: Callable[[str], None] | None
) -> list[tuple[Word, ...] | None]:
    """The words of each track, or None where nothing is known of them."""
    names = request.channels or (request.track,)
    if request.transcript is not None:
        words = read_transcript(request.transcript)
        lines, lost = route_words(words, names)
        notices += _lost(lost, len(words), names)
        return list(lines) if lost < len(words) else [None for _ in names]
    if request.recognise and not asr.installed():
        raise TranscriptError("speech recognition is not installed: pip install 'sentistream[asr]', or give --transcript")
    if request.recognise is False or not info.audio_channels or not asr.installed():
        notices.append(NO_TEXT if info.audio_channels else "there is no sound and no transcript: text is absent")
        return [None for _ in names]
    if on_step is not None:
        on_step("recognising speech")
    recognised = [asr.transcribe(line) for line in read_audio(request.media, split_channels=bool(request.channels))]
    notices.append("the words are machine-made (Whisper tiny.en) and have errors")
    return list(recognised)


def _lost(lost: int, total: int, names: Sequence[str]) -> Iterator[str]:
    if lost:
        yield f"{lost} of {total} words are left out: their speaker is none of {', '.join(names)}"
