"""What was sent of a recording, compared with what the recording announces: pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from stream.domain.modality import Modality
from stream.domain.wording import data_size, duration, listed
from stream.media.media_info import MediaReport, Problem, StreamReport
from stream.media.quality import VideoQuality

_NOUNS = {Modality.AUDIO: "sound", Modality.VIDEO: "picture"}
"""How a stream is called in sentences."""


class SentStream(msgspec.Struct, frozen=True, kw_only=True):
    """One audio or video track of a file that was to be sent.

    Attributes:
        kind: ``audio`` or ``video``.
        track: Its number among those of its kind, from 1.
        announced_ms: How long it is according to the file; None if the file does not say it.
        sent_ms: How much of it was sent.
        gap_ms: Time in which its clock runs on without any content, such as a hold.
        lost_ms: How much of the announced time was not sent; 0 if that is less than rounding.
        problems: Codes of what was noticed.
    """

    kind: Literal["audio", "video"]
    track: int
    announced_ms: int | None
    sent_ms: int
    gap_ms: int = 0
    lost_ms: int = 0
    problems: tuple[Problem, ...] = ()


class LeftOutStream(msgspec.Struct, frozen=True, kw_only=True):
    """One audio or video track of a file that was not to be sent.

    Attributes:
        kind: ``audio`` or ``video``.
        track: Its number among those of its kind, from 1.
        title, language: From its tags, or "".
        channels: Number of audio channels; 0 for video.
        description: Title, language and channels for a sentence.
        usable: It could be sent.
        reason: Why it was left out, one clause.
        missing: It may hold what the user expects to be scored, and the user has not chosen to leave it out.
    """

    kind: Literal["audio", "video"]
    track: int
    title: str
    language: str
    channels: int
    description: str
    usable: bool
    reason: str
    missing: bool

    def sentence(self) -> str:
        """Say which track was left out and why."""
        return f"{self.kind} track {self.track} ({self.description}) is left out: {self.reason}"


class SentWords(msgspec.Struct, frozen=True, kw_only=True):
    """Words of a transcript.

    Attributes:
        announced: Number of words in it.
        sent: Number of words that were sent.
        unrouted: Number of words that were not to be sent, because their speaker is not named like a track.
        after_end: Number of words that were sent although they begin after the end of the recording, as far as that was sent.
    """

    announced: int
    sent: int
    unrouted: int
    after_end: int = 0


class SentRecording(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent of one recording.

    Attributes:
        session: The session as which it was sent.
        media: Name of the file.
        complete: All that the file and its transcript announce was sent.
        stopped: It was ended before its end.
        streams: The tracks that were to be sent.
        left_out: The other audio and video tracks of the file.
        words: The words of its transcript; None without words.
        quality: Size and rate of the pictures that were sent.
        bytes_per_minute: Bytes of chunks for each minute of the session, by modality, all tracks together; without their headers.
        notices: Sentences about choices, absent parts and what was put right on the way.
        warnings: A sentence for each thing that is missing.
    """

    session: str
    media: str
    complete: bool
    stopped: bool
    streams: tuple[SentStream, ...] = ()
    left_out: tuple[LeftOutStream, ...] = ()
    words: SentWords | None = None
    quality: VideoQuality = VideoQuality.MODEL
    bytes_per_minute: dict[Modality, int] = {}
    notices: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def rate(self) -> str:
        """How much was sent: ``a minute is 1.9 MB of audio and 0.7 MB of video (quality model)``."""
        amounts = {modality: f"{data_size(rate)} of {modality}" for modality, rate in self.bytes_per_minute.items() if rate}
        if Modality.VIDEO in amounts:
            amounts[Modality.VIDEO] += f" (quality {self.quality})"
        return f"a minute is {listed(tuple(amounts.values())) or 'nothing'}"


def compare(
    *,
    session: str,
    media: str,
    stopped: bool,
    report: MediaReport,
    numbers: Mapping[int, int],
    left_out: Sequence[LeftOutStream],
    words: SentWords | None,
    quality: VideoQuality,
    bytes_per_minute: dict[Modality, int],
    notices: Sequence[str],
) -> SentRecording:
    """Compare what was sent with what was announced.

    Args:
        session: Name of the session.
        media: Name of the file.
        stopped: The user ended the session before its end: what is missing is no surprise then.
        report: What came of each stream that was read.
        numbers: The number of each stream among those of its kind, by `StreamInfo.index`.
        left_out: The streams that were not read.
        words: The words of the transcript.
        quality: Size and rate of the pictures.
        bytes_per_minute: Bytes of chunks for each minute, by modality.
        notices: What was said before.
    """
    names = _names(report.streams, numbers)
    warnings = (
        *(f"{names[s.stream.index]}: {loss}" for s in report.streams if s.damaged and (loss := _loss(s, stopped=stopped))),
        *(stream.sentence() for stream in left_out if stream.missing),
        *_word_warnings(words, stopped=stopped),
    )
    # What costs nothing, such as a silent channel of a mix, is said as well, but is no warning.
    remarks = (f"{names[s.stream.index]}: {sentence}" for s in report.streams if not s.damaged for sentence in s.sentences())
    return SentRecording(
        session=session,
        media=media,
        complete=not stopped and not warnings,
        stopped=stopped,
        streams=tuple(_sent_stream(stream, numbers) for stream in report.streams),
        left_out=tuple(left_out),
        words=words,
        quality=quality,
        bytes_per_minute=bytes_per_minute,
        notices=(*notices, *remarks),
        warnings=warnings,
    )


def _sent_stream(stream: StreamReport, numbers: Mapping[int, int]) -> SentStream:
    return SentStream(
        kind="audio" if stream.stream.modality is Modality.AUDIO else "video",
        track=numbers[stream.stream.index],
        announced_ms=stream.announced_ms,
        sent_ms=stream.sent_ms,
        gap_ms=stream.gap_ms,
        lost_ms=stream.lost_ms,
        problems=stream.problems,
    )


def _names(streams: Sequence[StreamReport], numbers: Mapping[int, int]) -> dict[int, str]:
    """How each stream is called: the track's number is said where several of a kind are sent."""
    kinds = [stream.stream.modality for stream in streams]
    return {
        stream.stream.index: _NOUNS[stream.stream.modality]
        + (f" of track {numbers[stream.stream.index]}" if kinds.count(stream.stream.modality) > 1 else "")
        for stream in streams
    }


def _loss(stream: StreamReport, *, stopped: bool) -> str:
    """How much was sent, and what is wrong: ``3.2 s of 8.0 s were sent; the file is cut off``."""
    sent_ms, of = stream.sent_ms, ""
    # Of some files only the end is known to be missing, not how much: "5.0 s of 5.0 s" would puzzle.
    if stream.announced_ms is not None and stream.lost_ms:
        # What could not be decoded is sent as silence.
        sent_ms, of = min(sent_ms, stream.announced_ms - stream.gap_ms - stream.lost_ms), f" of {duration(stream.announced_ms)}"
    amount = f"{duration(sent_ms)}{of} were sent" if sent_ms > 0 else f"nothing{of} was sent"
    return "; ".join((*(() if stopped else (amount,)), *stream.sentences()))


def _word_warnings(words: SentWords | None, *, stopped: bool) -> Iterator[str]:
    if words is None:
        return
    if words.unrouted:
        yield f"words: {words.unrouted} of {words.announced} were not sent: their speaker is not named like a track"
    if words.after_end:
        yield f"words: {words.after_end} of {words.announced} come after the end of what was sent of the recording: they have no sound"
    unsent = words.announced - words.unrouted - words.sent
    if unsent > 0 and not stopped:
        yield f"words: {unsent} of {words.announced} were not sent: they are too far from the recording"
