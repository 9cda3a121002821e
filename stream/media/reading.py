"""Keeps the account of one stream while it is read: pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from stream.domain.modality import Modality
from stream.media.media_info import LOSS_TOLERANCE_MS, Problem, StreamInfo, StreamReport
from stream.media.timeline import StreamTimes

MIN_GAP_MS = 1_000
"""A shorter time between two pieces is the distance of two pictures, no gap."""

MAX_UNDECODED_MS = 100
"""Packets that may fail without a word: encoders leave a broken frame or two where recordings were cut and joined."""


@dataclass(slots=True)
class StreamReading:
    """What came of a stream so far.

    Attributes:
        stream: The stream.
        times: Its clock.
        cut_off: The file ends before its structure does.
        frame_rate: Pictures a second as the container states them; 0 when it states none.
        sent_ms: Media that came out as pieces, and for video the time in between in which the picture before is shown.
        gap_ms: Time between pieces.
        reached_ms: Media time of the end of the last piece.
        shown_until_ms: Media time until which the last decoded picture is shown, which may be long after its piece.
        undecoded_ms: Time of the packets that could not be decoded.
        problems: What was noticed.
    """

    stream: StreamInfo
    times: StreamTimes
    cut_off: bool = False
    frame_rate: float = 0.0
    sent_ms: int = 0
    gap_ms: int = 0
    reached_ms: int = 0
    shown_until_ms: int = 0
    undecoded_ms: float = 0.0
    problems: set[Problem] = field(default_factory=set)

    def note(self, problem: Problem) -> None:
        """Remember a problem."""
        self.problems.add(problem)

    def not_decoded(self, duration_ms: float) -> None:
        """Count a packet that could not be decoded."""
        self.undecoded_ms += duration_ms
        if not duration_ms or self.undecoded_ms > MAX_UNDECODED_MS:
            self.note(Problem.DAMAGED)

    def sent(self, start_ms: int, end_ms: int) -> None:
        """Count a piece. The pieces of several channels count once."""
        # A stream may begin later than the others: that is no gap, and the silence before it is not its sound.
        gap_ms = start_ms - max(self.reached_ms, self.times.start_ms)
        if gap_ms > MIN_GAP_MS:
            self.gap_ms += gap_ms
        elif gap_ms > 0 and self.reached_ms and self.stream.modality is Modality.VIDEO:
            # A piece ends with its second, while its last picture is shown until the first of the next piece.
            self.sent_ms += gap_ms
        self.sent_ms += end_ms - min(end_ms, max(start_ms, self.times.start_ms))
        self.reached_ms = end_ms

    def report(self) -> StreamReport:
        """The account at the end."""
        problems = self.problems | self.times.problems
        begins_ms = self.times.start_ms
        announced_ms = self.stream.announced_ms
        if announced_ms is not None and begins_ms + announced_ms > self.times.end_ms + LOSS_TOLERANCE_MS:
            problems.add(Problem.CUT_OFF)
        if self.cut_off:
            problems.add(Problem.CUT_OFF)
        if not self.sent_ms:
            problems.add(Problem.NOTHING_DECODED)
        if self.times.has_clock:
            announced_ms = max(announced_ms or 0, self.times.end_ms - begins_ms)
        missing_ms = max(0, begins_ms + (announced_ms or 0) - max(begins_ms, self.reached_ms, self.shown_until_ms))
        # What is missing at the end may be packets that could not be decoded: these count once.
        lost_ms = max(missing_ms, round(self.undecoded_ms)) + self.times.lost_ms
        if lost_ms > LOSS_TOLERANCE_MS and not problems & {Problem.CUT_OFF, Problem.NOTHING_DECODED}:
            problems.add(Problem.DAMAGED)
        return StreamReport(
            self.stream,
            announced_ms or None,
            self.sent_ms,
            self.gap_ms,
            lost_ms if lost_ms > LOSS_TOLERANCE_MS else 0,
            tuple(problem for problem in Problem if problem in problems),
        )
