"""Puts the clocks of a file's streams on one line of media time: pure.

A file's clock is believed as long as it can be true. The rule:

- **Forward by up to a day** is a pause, such as a hold: what follows keeps its time, and the pause is a gap.
- **Backward** is a clock that started again: files that were joined, an encoder that was restarted, a counter that ran over. What
  follows continues where everything before it ended. Streams that start again together stay in step.
- **Forward by more than a day, beyond a session's end, or in one stream while another goes on at the old time** is a broken clock. It
  is treated like one that started again.
- **Standing still**, or without any time, there is no clock: samples and pictures follow each other.

Times are in seconds as the container states them, and decoding times where there are any: these never run back in a sound stream.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from stream.domain.media_format import MAX_SESSION_MS
from stream.media.holes import HoleFinder
from stream.media.media_info import Problem

MAX_JITTER_S = 0.5
"""A clock that goes back by less has not started again: pictures may be stored out of order, and some containers round coarsely."""

MAX_STEP_S = 10.0
"""A clock that goes on by less needs no second look."""

MAX_PAUSE_S = 24 * 3600.0
"""Longest pause that is believed. Counters that run over or start at random values jump by half a day to centuries."""

MAX_AHEAD_S = 3.0
"""Streams are interleaved within this time: one that goes on for longer at the old time has not jumped together with another."""

MAX_SILENCE_S = 60.0
"""A shorter pause is sent as silence. A longer one is a gap in the chunks: hours of silence would take hours of work to no end."""

MAX_RUNS = 1000
"""Jumps of all clocks that are looked at. A file with more has no clock."""

MAX_LAG_S = 1.0
"""A clock that stands still while more than this is played is none: some recorders give every packet the same time."""

MAX_PACKET_S = 10.0
"""Longest duration that a packet is believed to have."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a stream with a steady clock.

    Attributes:
        first_packet: Number of its first packet among the packets of the stream, from 0.
        offset_s: Added to container times, gives media times.
    """

    first_packet: int
    offset_s: float


@dataclass(frozen=True, slots=True)
class StreamTimes:
    """A stream on the line of media time.

    Attributes:
        parts: At least one.
        start_ms: Media time of its first packet.
        end_ms: Media time of the end of its last packet.
        problems: What its clock did.
        lost_ms: Time without packets for which there are bytes in the file that cannot be read.
        has_clock: False when its times mean nothing, and only the length of its samples and pictures counts.
    """

    parts: tuple[Part, ...] = (Part(0, 0.0),)
    start_ms: int = 0
    end_ms: int = 0
    problems: frozenset[Problem] = frozenset()
    lost_ms: int = 0
    has_clock: bool = True

    def moved(self, offset_ms: int) -> StreamTimes:
        """The same, later."""
        parts = tuple(replace(part, offset_s=part.offset_s + offset_ms / 1000) for part in self.parts)
        return replace(self, parts=parts, start_ms=self.start_ms + offset_ms, end_ms=self.end_ms + offset_ms)


@dataclass(slots=True)
class _Run:
    """Packets of one stream without a large step of the clock."""

    stream: int
    first_packet: int
    position: int
    start_s: float
    end_s: float
    next_s: float
    """Decoding time of the next packet, if the clock goes on."""
    jump_s: float
    """How far the clock jumped at its beginning; 0 for the first run of a stream."""
    others_s: dict[int, float]
    """Where the clocks of the other streams stood at its beginning."""
    last_position: int = 0


@dataclass(slots=True)
class _Content:
    """The packets of one stream, whatever their times."""

    packets: int = 0
    seconds: float = 0.0
    """Their durations together."""
    still_s: float = 0.0
    """Durations of those for which the clock did not go on."""
    last_s: float | None = None
    """Time of the newest."""

    def add(self, time_s: float | None, duration_s: float) -> None:
        self.packets += 1
        self.seconds += duration_s
        if time_s is not None:
            self.still_s += duration_s if time_s == self.last_s else 0.0
            self.last_s = time_s


@dataclass(slots=True, eq=False)
class _Epoch:
    """Runs that share a clock."""

    problem: Problem | None
    runs: list[_Run] = field(default_factory=list)
    media_start_s: float = 0.0

    @property
    def start_s(self) -> float:
        return min(run.start_s for run in self.runs)

    @property
    def end_s(self) -> float:
        return max(run.end_s for run in self.runs)

    @property
    def offset_s(self) -> float:
        return self.media_start_s - self.start_s

    def is_near(self, time_s: float) -> bool:
        return self.start_s - MAX_STEP_S <= time_s <= self.end_s + MAX_STEP_S


@dataclass(frozen=True, slots=True)
class PacketTimes:
    """When a packet is played.

    Attributes:
        time_s: Its decoding time, else the time at which it is shown; None where the container states none.
        duration_s: Its duration, or 0 where it is unknown.
        shown_s: The time at which a picture is shown: later than its decoding time where pictures are stored out of order.
    """

    time_s: float | None
    duration_s: float
    shown_s: float | None = None


class TimelineBuilder:
    """Collects the times of a file's packets in the order of the file."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        self._current: dict[int, _Run] = {}
        self._content: dict[int, _Content] = {}
        self._position = 0
        self._jumping: set[int] = set()
        """Streams whose clock jumps all the time."""
        self._skipped_bytes = 0
        self._holes: dict[int, HoleFinder] = {}

    def add(self, stream: int, packet: PacketTimes, *, size: int = 0, skipped_bytes: int = 0, corrupt: bool = False) -> None:
        """Add the next packet of the file.

        Args:
            stream: Its stream.
            packet: Its times.
            size: Its bytes.
            skipped_bytes: Bytes of the file between it and the packet before it, of any stream.
            corrupt: The container says that something is missing in or near it.
        """
        content = self._content.setdefault(stream, _Content())
        number = content.packets
        duration_s = min(max(packet.duration_s, 0.0), MAX_PACKET_S)
        content.add(packet.time_s, duration_s)
        self._position += 1
        self._skipped_bytes += skipped_bytes
        run = self._current.get(stream)
        time_s = packet.time_s
        if time_s is None:
            if run is None:
                return
            time_s = run.next_s
        jump_s = 0.0 if run is None else time_s - run.next_s
        if run is None or not -MAX_JITTER_S <= jump_s <= MAX_STEP_S:
            if len(self._runs) == MAX_RUNS:
                self._jumping.add(stream)
                return
            others_s = {other: current.end_s for other, current in self._current.items() if other != stream}
            # Packets before the first time belong to the first run.
            run = _Run(stream, number if run is not None else 0, self._position, time_s, time_s, time_s, jump_s, others_s)
            self._current[stream] = run
            self._runs.append(run)
        if stream not in self._holes:
            self._holes[stream] = HoleFinder()
        self._holes[stream].add(packet.duration_s, jump_s, size, self._skipped_bytes, corrupt=corrupt)
        run.next_s = max(run.next_s, time_s + duration_s)
        # A picture that is shown long after it is decoded has a broken time.
        shown_s = time_s if packet.shown_s is None or packet.shown_s - time_s > MAX_STEP_S else packet.shown_s
        run.end_s = max(run.end_s, run.next_s, shown_s + duration_s)
        run.last_position = self._position

    def build(self, origin_s: float | None = None) -> Mapping[int, StreamTimes]:
        """The times of every stream that has a packet.

        Args:
            origin_s: Container time that is media time 0 according to the container. It counts only if a stream begins near it.
        """
        epochs: list[_Epoch] = []
        epoch_of: dict[int, _Epoch] = {}
        times: dict[int, list[tuple[_Run, _Epoch]]] = {}
        for run in self._runs:
            epoch = self._joined(run, epochs, epoch_of.get(run.stream))
            if epoch is None:
                epoch = _Epoch(_problem(run) if epochs else None)
                epochs.append(epoch)
            epoch.runs.append(run)
            epoch_of[run.stream] = epoch
            times.setdefault(run.stream, []).append((run, epoch))
        _lay_out(epochs, origin_s)
        result: dict[int, StreamTimes] = {}
        for stream, content in self._content.items():
            runs = times.get(stream, [])
            if stream in self._jumping:
                result[stream] = _clockless(content, Problem.CLOCK_JUMPED)
            elif min(content.still_s, content.seconds - sum(run.end_s - run.start_s for run, _ in runs)) > MAX_LAG_S:
                result[stream] = _clockless(content, Problem.CLOCK_STOPPED)
            elif runs:
                result[stream] = replace(_stream_times(runs), lost_ms=round(self._holes[stream].lost_s * 1000))
            else:
                result[stream] = _clockless(content)
        return result

    def _joined(self, run: _Run, epochs: list[_Epoch], own: _Epoch | None) -> _Epoch | None:
        """The epoch that a run belongs to; None when it begins a new one."""
        if not epochs:
            return None
        if own is None:
            # A stream's first run: streams may be stored one after the other, and may begin and end at different times.
            near = [epoch for epoch in epochs if epoch.is_near(run.start_s)]
            if near:
                return near[-1]
            return epochs[-1] if self._is_pause(run, run.start_s - epochs[-1].end_s, epochs) else None
        newest = epochs[-1]
        if newest is not own and newest.is_near(run.start_s):
            return newest
        return own if self._is_pause(run, run.jump_s, epochs[: epochs.index(own) + 1]) else None

    def _is_pause(self, run: _Run, jump_s: float, epochs: Sequence[_Epoch]) -> bool:
        """True when a jump forward within the last of these epochs can be a pause."""
        if not 0.0 < jump_s <= MAX_PAUSE_S:
            return False
        earlier_s = sum(epoch.end_s - epoch.start_s for epoch in epochs[:-1])
        if earlier_s + run.end_s - epochs[-1].start_s > MAX_SESSION_MS / 1000:
            return False
        return not any(self._contradicts(other, before_s, run) for other, before_s in run.others_s.items())

    def _contradicts(self, other: int, before_s: float, run: _Run) -> bool:
        """True when another stream goes on at the old time although this one has jumped."""
        current = next(r for r in reversed(self._runs) if r.stream == other and r.position < run.position)
        return current.end_s - before_s > MAX_AHEAD_S and current.end_s < run.start_s - MAX_STEP_S


def _clockless(content: _Content, *problems: Problem) -> StreamTimes:
    return StreamTimes(end_ms=round(content.seconds * 1000), problems=frozenset(problems), has_clock=False)


def _problem(run: _Run) -> Problem:
    return Problem.CLOCK_RESTARTED if run.jump_s < 0 else Problem.CLOCK_JUMPED


def _lay_out(epochs: list[_Epoch], origin_s: float | None) -> None:
    """Place each epoch where everything before it ended."""
    for number, epoch in enumerate(epochs):
        if number == 0:
            epoch.media_start_s = epoch.start_s - origin_s if origin_s is not None and epoch.is_near(origin_s) else 0.0
        else:
            epoch.media_start_s = max(
                (run.end_s + before.offset_s for before in epochs[:number] for run in _before(epoch, before)), default=0.0
            )


def _before(epoch: _Epoch, earlier: _Epoch) -> Iterator[_Run]:
    """The runs of an earlier epoch that ended where a later one begins: a stream that goes on at the old time is not waited for."""
    # A broken clock tells nothing about the others. One that starts again does so after all that stands before it in the file.
    begins = min(run.position for run in epoch.runs) if epoch.problem is Problem.CLOCK_RESTARTED else 0
    own_begin = {run.stream: run.position for run in reversed(epoch.runs) if run.jump_s}
    for run in earlier.runs:
        if run.position < own_begin.get(run.stream, 0) or (own_begin and run.last_position < begins):
            yield run


def _stream_times(runs: list[tuple[_Run, _Epoch]]) -> StreamTimes:
    parts: list[Part] = []
    for run, epoch in runs:
        if not parts or parts[-1].offset_s != epoch.offset_s:
            parts.append(Part(run.first_packet, epoch.offset_s))
    problems = {epoch.problem for _, epoch in runs if epoch.problem is not None}
    if any(run.jump_s > MAX_SILENCE_S and previous is epoch for (_, previous), (run, epoch) in pairwise(runs)):
        problems.add(Problem.LONG_GAP)
    start_ms = max(0, round((runs[0][0].start_s + runs[0][1].offset_s) * 1000))
    end_ms = max(start_ms, *(round((run.end_s + epoch.offset_s) * 1000) for run, epoch in runs))
    return StreamTimes(tuple(parts), start_ms, end_ms, frozenset(problems))
