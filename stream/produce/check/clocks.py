"""Order, sequence, clocks and rates of one modality of one track, in the order in which its chunks are in Kafka."""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.config.media_settings import WindowSettings
from stream.domain.chunk import ChunkHeader
from stream.domain.media_format import MAX_CHUNK_BYTES
from stream.domain.modality import Modality
from stream.domain.wording import seconds
from stream.produce.check.finding import Findings, Position

Column = npt.NDArray[np.int64]

ROUNDING_MS = 20
"""A difference that a packet or the rounding of times explains."""

SHORT_MS = 200
"""Chunks below this length cost more than they bring: each is a record, a decoding and an inference of its own."""

LARGE_SHARE = 0.8
"""Of the largest payload: above this, the next louder or busier second may be refused."""

LEAST_CHUNKS = 3
LEAST_SPAN_MS = 2000
"""What is said about clocks needs this many chunks and this much media."""

JITTER_MS = 200
LIVE_MS = 120_000
"""A capture time that is further from Kafka's timestamp is no live capture time."""

QUARTER_MS = 15 * 60 * 1000
"""Time zones differ by multiples of a quarter of an hour."""

MOST_QUARTERS = 4 * 14
STEADY_MS = 30_000
"""A live producer's distance from Kafka's timestamp stays within this."""

YEAR_2000_MS = 946_684_800_000
YEAR_2100_MS = 4_102_444_800_000
BURST_MS = 3000
"""Results come late when chunks are held back for this long before they are sent."""


@dataclass(frozen=True, slots=True)
class StreamSummary:
    """One modality of one track in one epoch.

    Attributes:
        track: Name of the track.
        modality: The modality.
        epoch: The epoch that its producer declared.
        chunks: Number of different chunks that a worker can read.
        start_ms: Media time of the first chunk's start.
        end_ms: Media time of the furthest end.
        chunk_ms: Median length of a chunk (ms).
        bytes: Bytes of all payloads.
        content_types: What was sent.
        sources: The producers, by ce_source.
    """

    track: str
    modality: Modality
    epoch: int
    chunks: int
    start_ms: int
    end_ms: int
    chunk_ms: int
    bytes: int
    content_types: tuple[str, ...]
    sources: tuple[str, ...]


class StreamCheck:
    """Collects the chunks of a stream and says at the end what is wrong with their numbers, times and rates.

    Args:
        name: How findings name the stream.
        windows: Settings of the workers.
        findings: Receives what is found.
    """

    def __init__(self, name: str, windows: WindowSettings, findings: Findings) -> None:
        self.name = name
        self.seen: dict[int, bytes] = {}
        """Fingerprint of each number of a chunk."""
        self.sources: set[str] = set()
        self.content_types: set[str] = set()
        self.bytes = 0
        self.reached_ms = 0
        """Furthest end of a chunk (media time)."""
        self._windows = windows
        self._findings = findings
        self._highest = -1
        self._seq, self._start, self._end, self._captured, self._written = (array("q") for _ in range(5))
        self._largest = 0

    def add(self, header: ChunkHeader, payload: bytes, written_ms: int, at: Position) -> bool:
        """Add a chunk; False if a chunk with its number came before."""
        self.sources.add(header.source)
        self.content_types.add(header.content_type)
        fingerprint = hashlib.blake2b(payload, digest_size=8, key=b"%d %d" % (header.start_ms, header.duration_ms)).digest()
        known = self.seen.setdefault(header.seq, fingerprint)
        if known is not fingerprint:
            if known == fingerprint:
                text = f"{self.name}: chunks were sent twice; the second is left out"
                fix = "set enable.idempotence=true; after a restart continue behind the last chunk that was sent"
                self._findings.warn("repeated", text, fix, example=at)
            else:
                text = f"{self.name}: different chunks have the same ce_sequence; all but the first are refused"
                fix = "count ce_sequence up by one for each chunk of a modality of a track; after a restart continue, or raise ce_epoch"
                self._findings.error("conflict", text, fix, example=at)
            return False
        if header.seq < self._highest:
            self._out_of_order(header, at)
        self._highest, self.reached_ms = max(self._highest, header.seq), max(self.reached_ms, header.end_ms)
        for column, value in zip(
            (self._seq, self._start, self._end, self._captured, self._written),
            (header.seq, header.start_ms, header.end_ms, header.captured_ms, written_ms),
            strict=True,
        ):
            column.append(value)
        self.bytes += len(payload)
        self._largest = max(self._largest, len(payload))
        return True

    def summary(self, track: str, modality: Modality, epoch: int) -> StreamSummary:
        """The stream in numbers."""
        start, end = np.array(self._start), np.array(self._end)
        chunk_ms = int(np.median(end - start))
        types, sources = tuple(sorted(self.content_types)), tuple(sorted(self.sources))
        return StreamSummary(track, modality, epoch, len(start), int(start.min()), int(end.max()), chunk_ms, self.bytes, types, sources)

    @property
    def media_start_at_ms(self) -> float | None:
        """Wall clock at which the media began, by the median capture time; None with too few chunks."""
        return float(np.median(np.array(self._captured) - np.array(self._end))) if len(self._seq) >= LEAST_CHUNKS else None

    @property
    def delay_ms(self) -> float | None:
        """Median time from capture until Kafka's timestamp; None with too few chunks, or if it was not captured live."""
        if len(self._seq) < LEAST_CHUNKS:
            return None
        delay = float(np.median(np.array(self._written) - np.array(self._captured)))
        return delay if abs(delay) <= LIVE_MS else None

    def finish(self, *, is_text: bool, append_time: bool) -> None:
        """Report what only the whole stream shows.

        Args:
            is_text: The stream is text: its capture times say when a recogniser had finished.
            append_time: The broker sets Kafka's timestamps.
        """
        if not self._seq:
            return
        order = np.argsort(np.array(self._seq), kind="stable")
        seq, start, end, captured, written = (
            np.array(column)[order] for column in (self._seq, self._start, self._end, self._captured, self._written)
        )
        steps = np.diff(seq)
        self._check_numbers(steps)
        self._check_media(steps, start, end)
        self._check_lengths(start, end, is_text=is_text)
        if len(seq) >= LEAST_CHUNKS:
            self._check_capture(end, captured, is_text=is_text)
            self._check_wall_clock(captured, written)
            self._check_pace(end, captured, written, append_time=append_time)

    def _out_of_order(self, header: ChunkHeader, at: Position) -> None:
        back_ms = self.reached_ms - header.end_ms
        fix = "send the chunks of a modality in order from one thread, and set enable.idempotence=true (or max.in.flight of 1)"
        if back_ms > self._windows.allowed_lateness_ms:
            text = (
                f"{self.name}: chunks come after later ones by more than windows.allowed_lateness_ms "
                f"({self._windows.allowed_lateness_ms} ms): they may be late"
            )
            self._findings.error("out_of_order", text, fix, example=at)
        else:
            self._findings.warn("out_of_order", f"{self.name}: chunks are not in the order of ce_sequence", fix, example=at)

    def _check_numbers(self, steps: Column) -> None:
        """Numbers need not follow each other. But a producer that counts without gaps has lost what is left out."""
        missing = int(steps.sum()) - len(steps)
        if missing and np.median(steps) == 1:
            text = f"{self.name}: {missing} numbers of ce_sequence are missing between others that follow each other: chunks were lost"
            fix = "set acks=all, and look at the producer's delivery errors; each modality of each track has a count of its own"
            self._findings.warn("sequence_gap", text, fix, count=missing)

    def _check_media(self, steps: Column, start: Column, end: Column) -> None:
        distance = (start[1:] - end[:-1])[steps <= np.median(steps)] if len(steps) else steps
        gaps, overlaps = distance[distance > ROUNDING_MS], distance[distance < -ROUNDING_MS]
        if len(gaps):
            text = f"{self.name}: media time jumps forward between chunks, by {seconds(int(gaps.sum()))} in all"
            fix = "ce_mediastart of a chunk is where the chunk before it ends; send silence too, unless nothing was recorded"
            self._findings.warn("media_gap", text, fix, count=len(gaps))
        if len(overlaps):
            text = f"{self.name}: media time goes back between chunks, by {seconds(-int(overlaps.sum()))} in all"
            fix = "ce_mediastart and ce_mediaduration are milliseconds and count media, not the time of sending"
            self._findings.error("media_overlap", text, fix, count=len(overlaps))

    def _check_lengths(self, start: Column, end: Column, *, is_text: bool) -> None:
        lengths = end - start
        # The last chunk of a session is as short as what was left.
        short = int((lengths[:-1] < SHORT_MS).sum())
        if short > len(lengths) / 10 and not is_text:
            text = f"{self.name}: chunks are shorter than {SHORT_MS} ms"
            self._findings.warn(
                "short_chunks", text, "collect 0.5 to 1 s of media in a chunk: each chunk costs a record and an inference", count=short
            )
        if self._largest > LARGE_SHARE * MAX_CHUNK_BYTES:
            text = f"{self.name}: the largest chunk has {self._largest:,} bytes; more than {MAX_CHUNK_BYTES:,} are refused"
            self._findings.warn("large_chunks", text, "send shorter chunks, or a lower bit rate or resolution")

    def _check_capture(self, end: Column, captured: Column, *, is_text: bool) -> None:
        media_ms, wall_ms = int(end[-1] - end[0]), int(captured[-1] - captured[0])
        findings, name = self._findings, self.name
        steps = len(end) - 1
        if media_ms < LEAST_SPAN_MS:
            if wall_ms >= LEAST_SPAN_MS and media_ms * 100 < wall_ms and media_ms <= 2 * steps:
                text = f"{name}: media time advances by {media_ms} while the capture clock advances by {wall_ms:,} ms: it is in seconds"
                findings.error("media_time_in_seconds", text, "ce_mediastart and ce_mediaduration are in milliseconds")
            return
        if wall_ms * 100 < media_ms:
            text = f"{name}: ce_time stands still while media time advances"
            fix = "ce_time is the wall-clock time at which the last sample of this chunk was captured"
            findings.warn("capture_constant", text, fix)
        elif media_ms > 100 * wall_ms:
            text = f"{name}: media time advances {media_ms // max(wall_ms, 1)} times as fast as the capture clock"
            findings.error("media_time_unit", text, "ce_mediastart and ce_mediaduration are in milliseconds")
        elif not is_text and abs(wall_ms / media_ms - 1) > 0.01 and abs(wall_ms - media_ms) > JITTER_MS * 2:
            text = f"{name}: the capture clock advances by {wall_ms / media_ms:.2f} s for each second of media"
            fix = "media time counts samples (samples divided by the rate), ce_time is the clock at their capture; both pass equally fast"
            findings.warn("clock_drift", text, fix)
        elif not is_text:
            spread = np.subtract(*np.percentile(captured - end, (95, 5)))
            if spread > JITTER_MS:
                text = f"{name}: capture times jitter by {int(spread)} ms"
                fix = "compute ce_time from the first capture time and the number of samples since, or read the clock before encoding"
                findings.warn("capture_jitter", text, fix)

    def _check_wall_clock(self, captured: Column, written: Column) -> None:
        findings, name = self._findings, self.name
        if captured[0] < YEAR_2000_MS or captured[-1] > YEAR_2100_MS:
            which = "before the year 2000" if captured[0] < YEAR_2000_MS else "after the year 2100"
            text = f"{name}: ce_time is {which}: seconds were taken for milliseconds, or the other way round"
            findings.warn("capture_unit", text, "ce_time is the wall-clock time in RFC 3339, for example 2026-11-22T10:00:43.000Z")
            return
        delays = written - captured
        offset = int(np.median(delays))
        # A recording that is sent faster than it was captured, or that is years old, has no fixed distance from Kafka's timestamp.
        if written[0] < YEAR_2000_MS or abs(offset) <= LIVE_MS or np.subtract(*np.percentile(delays, (95, 5))) > STEADY_MS:
            return
        quarters = round(offset / QUARTER_MS)
        if quarters and abs(quarters) <= MOST_QUARTERS and abs(offset - quarters * QUARTER_MS) < STEADY_MS:
            text = f"{name}: ce_time is {abs(quarters) / 4:g} h {'behind' if offset > 0 else 'ahead of'} Kafka's timestamp"
            findings.warn("time_zone", text, "this is local time with a wrong offset: send UTC, for example 2026-11-22T10:00:43.000Z")
        elif offset < 0:
            text = f"{name}: ce_time is {seconds(-offset)} ahead of Kafka's timestamp"
            findings.warn("capture_ahead", text, "keep the clocks of all hosts together with NTP")

    def _check_pace(self, end: Column, captured: Column, written: Column, *, append_time: bool) -> None:
        delays = written - captured
        media_ms, sent_ms = int(end[-1] - end[0]), int(written.max() - written.min())
        if media_ms < LEAST_SPAN_MS or abs(int(np.median(delays))) > LIVE_MS or sent_ms * 2 < media_ms:
            return
        whose = "the broker" if append_time else "Kafka"
        if sent_ms > media_ms * 1.05 + 2000:
            text = f"{self.name}: {seconds(media_ms)} of media took {seconds(sent_ms)} to reach {whose}: slower than real time"
            fix = "find out what the producer waits for: encoding, flush after each record, a slow network"
            self._findings.warn("slower_than_real_time", text, fix)
            return
        spread = np.subtract(*np.percentile(delays, (95, 5)))
        if spread > BURST_MS:
            text = f"{self.name}: chunks come in bursts: the time from capture to {whose} differs by {seconds(int(spread))}"
            fix = "send every chunk as soon as it is complete; keep linger.ms below 100"
            self._findings.warn("bursts", text, fix)
