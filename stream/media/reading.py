"""Keeps the account of one stream while it is read: pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from stream.media.media_info import LOSS_TOLERANCE_MS, Problem, StreamInfo, StreamReport


@dataclass(slots=True)
class StreamReading:
    """What came of a stream so far.

    Attributes:
        stream: The stream.
        sent_ms: Media that came out as pieces.
        gap_ms: Time in which the stream's clock runs on without any packet, and for which there are no pieces.
        problems: What was noticed.
    """

    stream: StreamInfo
    sent_ms: int = 0
    gap_ms: int = 0
    problems: set[Problem] = field(default_factory=set)

    def note(self, problem: Problem) -> None:
        """Remember a problem."""
        self.problems.add(problem)

    def report(self) -> StreamReport:
        """The account at the end."""
        announced_ms = self.stream.announced_ms
        lost_ms = 0 if announced_ms is None else announced_ms - self.sent_ms - self.gap_ms
        problems = set(self.problems)
        if not self.sent_ms:
            problems.add(Problem.NOTHING_DECODED)
        return StreamReport(
            self.stream,
            announced_ms,
            self.sent_ms,
            self.gap_ms,
            lost_ms if lost_ms > LOSS_TOLERANCE_MS else 0,
            tuple(problem for problem in Problem if problem in problems),
        )
