"""Prepares what a user wants to send: probes the file, reads or recognises its transcript, and sets up the session's tracks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

from stream.domain.identity import SessionKey
from stream.media import asr
from stream.media.errors import SourceError, TranscriptError
from stream.media.media_info import MediaReport, Selection
from stream.media.quality import VideoQuality
from stream.media.source import MediaFile, SourcePiece, read_audio, survey
from stream.media.transcript.placing import MAX_OVERHANG_MS
from stream.media.transcript.read import TRANSCRIPT_SUFFIXES, read_transcript
from stream.produce.choice import Wish, choose, speaker_names, track_numbers
from stream.produce.routing import RoutedWords, route_transcript
from stream.produce.sent import LeftOutStream
from stream.produce.session import NOTHING_SAID, SessionPlan, Statements, TrackSetup, plan_records

NO_TEXT = "text is absent: give --transcript, or use speech recognition (pip install 'sentistream[asr]'; not with --no-asr)"


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
        channels: Names of the file's audio tracks or channels, first to last; ``-`` leaves one out.
        recognise: Recognise speech where there is no transcript: True, False, or None for "if it is installed".
        audio_track: Number of the audio track to send, from 1; None for the first with a voice.
        video_track: Number of the video track to send, from 1; None for the first with a face.
        quality: Size and rate of the pictures that are sent.
        statements: What is said about the people of the session.
    """

    media: Path
    transcript: Path | None = None
    session: str | None = None
    tenant: str = "default"
    track: str = "speaker"
    role: str = "speaker"
    channels: tuple[str, ...] = ()
    recognise: bool | None = None
    audio_track: int | None = None
    video_track: int | None = None
    quality: VideoQuality = VideoQuality.MODEL
    statements: Statements = NOTHING_SAID

    @property
    def wish(self) -> Wish:
        """What is to be sent of the file."""
        # A name for the only track asks for one track, and the words of a transcript need not say whose they are.
        split = self.transcript is None and (self.track, self.role) == ("speaker", "speaker")
        return Wish(self.track, self.role, self.channels, self.audio_track, self.video_track, split=split)


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
        name: Name of the file, also of a transcript alone.
        selection: The part of the file that is sent.
        duration_ms: Length of the session, or None when the file does not state it.
        notices: Sentences for the user about absent or left-out parts.
        numbers: The number of each stream of the file among those of its kind, by `StreamInfo.index`.
        left_out: Streams of the file that are not sent.
        unrouted_words: Words of the transcript that are not sent, because they belong to no track.
        quality: Size and rate of the pictures that are sent.
    """

    plan: SessionPlan
    media: Path | None
    name: str
    selection: Selection
    duration_ms: int | None
    notices: tuple[str, ...] = field(default=())
    numbers: Mapping[int, int] = field(default_factory=dict)
    left_out: tuple[LeftOutStream, ...] = ()
    unrouted_words: int = 0
    quality: VideoQuality = VideoQuality.MODEL

    @contextmanager
    def pieces(self) -> Iterator[PieceReader]:
        """Read the file. Raises `SourceError`."""
        if self.media is None:
            yield PieceReader(None)
            return
        with MediaFile(self.media, self.selection, self.quality) as media:
            yield PieceReader(media)


def prepare(request: MediaRequest, on_step: Callable[[str], None] | None = None) -> PreparedSession:
    """Choose what of the file is sent, and get its words.

    Args:
        request: The file to send.
        on_step: Called with the name of each step that takes a while.

    Raises:
        SourceError: The file cannot be used, or does not have what is requested.
        TranscriptError: The transcript cannot be read or sent.
        ValueError: A name is not allowed.
    """
    key = SessionKey(request.tenant, request.session if request.session is not None else f"s-{uuid4().hex[:12]}")
    if request.media.suffix.lower() in TRANSCRIPT_SUFFIXES:
        return _prepare_transcript(request, key)
    found = survey(request.media)
    try:
        choice = choose(found, request.wish)
    except SourceError as error:
        raise SourceError(f"{request.media}: {error}") from None
    words = _words_by_track(request, found.info.duration_ms, choice.tracks, on_step)
    ends_ms = [word.end_ms for track_words in words.by_track for word in track_words or ()]
    announced_ms = found.info.duration_ms
    notices = [*choice.notices, *words.notices]
    if announced_ms is not None and max(ends_ms, default=0) > announced_ms + MAX_OVERHANG_MS:
        after = sum(end_ms > announced_ms for end_ms in ends_ms)
        notices.append(f"words after the end of the recording: {after} of {len(ends_ms)}; check that the transcript is of this file")
    return PreparedSession(
        _plan(key, words.given_to(choice.tracks), request.statements),
        request.media,
        _printable(request.media.name),
        choice.selection,
        None if announced_ms is None else max(announced_ms, *ends_ms, 0),
        tuple(notices),
        track_numbers(found.info),
        choice.left_out,
        words.unrouted,
        request.quality,
    )


def _printable(name: str) -> str:
    """A file name, fit for a terminal and for JSON: it may hold any byte."""
    return "".join(character if character.isprintable() else "?" for character in name)


def _plan(key: SessionKey, tracks: tuple[TrackSetup, ...], statements: Statements) -> SessionPlan:
    """The session, checked: nothing has been started yet that a wrong name or transcript would have to stop."""
    plan = SessionPlan(key, tracks, statements=statements)
    plan.start()
    next(plan_records(plan, ()), None)
    return plan


def _prepare_transcript(request: MediaRequest, key: SessionKey) -> PreparedSession:
    """A session of words alone."""
    if request.transcript is not None:
        raise SourceError(f"{request.media}: this file is a transcript itself, so leave out --transcript")
    if request.audio_track is not None or request.video_track is not None:
        raise SourceError(f"{request.media}: this file is a transcript: it has no audio or video track")
    names = speaker_names(request.channels)
    transcript = read_transcript(request.media, speakers=names)
    tracks = [TrackSetup(name, name) for name in names] or [TrackSetup(request.track, request.role)]
    words = route_transcript(transcript, [track.track for track in tracks], request.channels)
    # Without a recording there is nothing but words: a track without any is silent, not unknown.
    silent = replace(words, by_track=[track_words or () for track_words in words.by_track])
    return PreparedSession(
        _plan(key, silent.given_to(tracks), request.statements),
        None,
        _printable(request.media.name),
        Selection(),
        transcript.words[-1].end_ms,
        words.notices,
        unrouted_words=words.unrouted,
    )


def _words_by_track(
    request: MediaRequest, duration_ms: int | None, tracks: Sequence[TrackSetup], on_step: Callable[[str], None] | None
) -> RoutedWords:
    sources = [track.audio for track in tracks if track.audio is not None]
    if request.transcript is not None:
        names = [track.track for track in tracks]
        return route_transcript(read_transcript(request.transcript, duration_ms, names), names, request.channels)
    if request.recognise and not asr.installed():
        raise TranscriptError("speech recognition is not installed: pip install 'sentistream[asr]', or give --transcript")
    if request.recognise is False or not sources or not asr.installed():
        notice = NO_TEXT if sources else "there is no sound and no transcript: text is absent"
        return RoutedWords([None for _ in tracks], notices=(notice,))
    if on_step is not None:
        on_step("recognising speech")
    try:
        runs_by_source = read_audio(request.media, sources)
    except SourceError:
        # The picture can still be sent; what is missing is in the account at the end.
        return RoutedWords([None for _ in tracks], notices=("the sound cannot be decoded, and there is no transcript: text is absent",))
    recognised = [tuple(word for run in runs for word in asr.transcribe(run.samples, run.start_ms)) for runs in runs_by_source]
    return RoutedWords(recognised, notices=("the words are machine-made (Whisper tiny.en) and contain errors",))
