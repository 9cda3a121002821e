"""Prepares what a user wants to send: probes the file, reads or recognises its transcript, and sets up the session's tracks."""

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
from stream.media.media_info import AudioSource, MediaInfo, MediaReport, Selection
from stream.media.source import MediaFile, SourcePiece, read_audio
from stream.media.transcript import TRANSCRIPT_SUFFIXES, read_transcript
from stream.produce.session import SessionPlan, TrackSetup

NO_TEXT = "text is absent: give --transcript, or install speech recognition with pip install 'sentistream[asr]'"

MAX_OVERHANG_MS = 5_000
"""Cue times are approximate and often end a little after the recording; a longer overhang suggests the transcript of another file."""


@dataclass(frozen=True, slots=True)
class MediaRequest:
    """A file that a user wants to send.

    Attributes:
        media: Video, audio, or a transcript alone (``.vtt``, ``.srt``, ``.json``).
        transcript: Words of a video or audio file.
        session: Name of the session; None generates one.
        tenant: Owner of the session.
        track: Name of the only track. With `channels` there is a track for each of these instead.
        role: Role of the only track. The role of a track from `channels` is its name.
        channels: Names of the file's audio channels, first to last.
        recognise: Recognise speech where there is no transcript: True, False, or None for "if it is installed".
    """

    media: Path
    transcript: Path | None = None
    session: str | None = None
    tenant: str = "default"
    track: str = "speaker"
    role: str = "speaker"
    channels: tuple[str, ...] = ()
    recognise: bool | None = None


class PieceReader:
    """Iterates over the pieces of a session's file while it is open. A transcript alone has no pieces."""

    def __init__(self, media: MediaFile | None) -> None:
        self._media = media

    def __iter__(self) -> Iterator[SourcePiece]:
        """The pieces in order of their ends. Can be iterated once."""
        return self._media.pieces() if self._media is not None else iter(())

    @property
    def report(self) -> MediaReport:
        """What came of each stream so far; final after the last piece."""
        return self._media.report if self._media is not None else MediaReport()


@dataclass(frozen=True, slots=True)
class PreparedSession:
    """A session that is ready to be sent.

    Attributes:
        plan: Tracks and words.
        media: The file, or None for a transcript alone.
        selection: The part of the file that is sent.
        duration_ms: Length of the session, or None when the file does not state it.
        notices: Sentences for the user about absent or left-out parts.
    """

    plan: SessionPlan
    media: Path | None
    selection: Selection
    duration_ms: int | None
    notices: tuple[str, ...] = field(default=())

    @contextmanager
    def pieces(self) -> Iterator[PieceReader]:
        """Read the file. Raises `SourceError`."""
        if self.media is None:
            yield PieceReader(None)
            return
        with MediaFile(self.media, self.selection) as media:
            yield PieceReader(media)


def prepare(request: MediaRequest, on_step: Callable[[str], None] | None = None) -> PreparedSession:
    """Probe the file and get its words.

    Args:
        request: The file to send.
        on_step: Called with the name of each step that takes a while.

    Raises:
        SourceError: The file cannot be read, or its channels do not match the request.
        TranscriptError: The transcript cannot be read.
        ValueError: A name is not allowed.
    """
    if request.media.suffix.lower() in TRANSCRIPT_SUFFIXES:
        return _prepare_transcript(request)
    with MediaFile(request.media) as media:
        info = media.info
    tracks = _track_setups(request, info)
    notices: list[str] = []
    if request.channels and info.video:
        notices.append("video is left out: with several channels it is unknown whose face it shows")
    words = _words_by_track(request, tracks, notices, on_step)
    last_word_ms = max((word.end_ms for track_words in words for word in track_words or ()), default=0)
    duration_ms = None if info.duration_ms is None else max(info.duration_ms, last_word_ms)
    if info.duration_ms is not None and last_word_ms > info.duration_ms + MAX_OVERHANG_MS:
        notices.append("the transcript is longer than the recording: check that it belongs to this file")
    setups = tuple(replace(track, words=track_words) for track, track_words in zip(tracks, words, strict=True))
    selection = Selection(tuple(track.audio for track in setups if track.audio is not None), _video_stream(setups, info))
    return PreparedSession(SessionPlan(_session_key(request), setups), request.media, selection, duration_ms, tuple(notices))


def route_words(words: Sequence[Word], tracks: Sequence[str]) -> tuple[list[tuple[Word, ...]], int]:
    """Give each word to the track that is named like its speaker (case does not matter).

    A single track gets all words. With several tracks, a word of an unknown speaker is given to none of them: attributing it to the wrong
    person would be worse than losing it.

    Returns:
        The words of each track, and the number of words that belong to no track.
    """
    if len(tracks) == 1:
        return [tuple(words)], 0
    by_name = {name.casefold(): tuple(w for w in words if (w.speaker or "").casefold() == name.casefold()) for name in tracks}
    routed = [by_name[name.casefold()] for name in tracks]
    return routed, len(words) - sum(map(len, routed))


def _session_key(request: MediaRequest) -> SessionKey:
    return SessionKey(request.tenant, request.session if request.session is not None else f"s-{uuid4().hex[:12]}")


def _prepare_transcript(request: MediaRequest) -> PreparedSession:
    """A session of words alone."""
    if request.transcript is not None:
        raise SourceError(f"{request.media}: this file is a transcript itself, so leave out --transcript")
    words = read_transcript(request.media)
    names = request.channels or (request.track,)
    routed, unrouted = route_words(words, names)
    tracks = tuple(
        TrackSetup(name, name if request.channels else request.role, words=track_words)
        for name, track_words in zip(names, routed, strict=True)
    )
    notices = tuple(_unrouted_notice(unrouted, len(words), names))
    return PreparedSession(SessionPlan(_session_key(request), tracks), None, Selection(), words[-1].end_ms, notices)


def _track_setups(request: MediaRequest, info: MediaInfo) -> list[TrackSetup]:
    if not request.channels:
        sound = AudioSource(info.audio[0].index) if info.audio else None
        return [TrackSetup(request.track, request.role, audio=sound, video=bool(info.video))]
    # Words find their track by its name in any case, so two names must differ by more than case.
    if len({name.casefold() for name in request.channels}) < len(request.channels):
        raise SourceError("--channels names a channel twice: give each channel its own name")
    channels = info.audio[0].channels if info.audio else 0
    if channels != len(request.channels):
        raise SourceError(
            f"{request.media}: the file has {channels} audio channel(s), but --channels names {len(request.channels)}: "
            "name each of them once"
        )
    sources = [AudioSource(info.audio[0].index, number) for number in range(channels)]
    return [TrackSetup(name, name, audio=source) for name, source in zip(request.channels, sources, strict=True)]


def _video_stream(tracks: Sequence[TrackSetup], info: MediaInfo) -> int | None:
    return info.video[0].index if any(track.video for track in tracks) else None


def _words_by_track(
    request: MediaRequest, tracks: Sequence[TrackSetup], notices: list[str], on_step: Callable[[str], None] | None
) -> list[tuple[Word, ...] | None]:
    """The words of each track, or None for each track when there is no transcript."""
    names = [track.track for track in tracks]
    sources = [track.audio for track in tracks if track.audio is not None]
    if request.transcript is not None:
        words = read_transcript(request.transcript)
        routed, unrouted = route_words(words, names)
        notices += _unrouted_notice(unrouted, len(words), names)
        # A transcript that names none of the tracks says nothing about them: "absent", not "they are silent".
        return list(routed) if unrouted < len(words) else [None for _ in names]
    if request.recognise and not asr.installed():
        raise TranscriptError("speech recognition is not installed: pip install 'sentistream[asr]', or give --transcript")
    if request.recognise is False or not sources or not asr.installed():
        notices.append(NO_TEXT if sources else "there is no sound and no transcript: text is absent")
        return [None for _ in names]
    if on_step is not None:
        on_step("recognising speech")
    recognised = [
        tuple(word for run in runs for word in asr.transcribe(run.samples, run.start_ms)) for runs in read_audio(request.media, sources)
    ]
    notices.append("the words are machine-made (Whisper tiny.en) and contain errors")
    return list(recognised)


def _unrouted_notice(unrouted: int, total: int, names: Sequence[str]) -> Iterator[str]:
    if unrouted:
        yield f"{unrouted} of {total} words are left out: their speaker is not named like a track ({', '.join(names)})"
