"""A session of two people, and the expected context of each of its windows, whichever worker processes them."""

from __future__ import annotations

from stream.domain.delivery import InboundRecord
from stream.domain.modality import Modality
from stream.domain.session_events import SessionEnd, SessionStart, TrackEnd, TrackPlan
from tests.fakes.processing_context import FakeWorker

TRACKS = ("agent", "customer")
SECONDS = 14
START = SessionStart(0, tuple(TrackPlan(track, track, (Modality.TEXT,)) for track in TRACKS))
END = SessionEnd(0, SECONDS * 1000, tuple(TrackEnd(track, {Modality.TEXT: SECONDS}) for track in TRACKS))
ENDS = (*range(4000, SECONDS * 1000 + 1, 2000), SECONDS * 1000 + 2000)


def second(worker: FakeWorker, seq: int, session: str = "call-1") -> list[InboundRecord]:
    """One second of both tracks. The agent speaks in every other second only."""
    return [worker.words(seq, session=session, track=track, spoken=track == "customer" or seq % 2 == 0) for track in TRACKS]


def expected() -> dict[tuple[str, int], str]:
    """By track and end of a window, its sentence: the windows of its context, with their numbers of words."""
    return {(track, end): _context(track, end - 4000) for track in TRACKS for end in ENDS}


def _context(track: str, start_ms: int) -> str:
    other = TRACKS[1 - TRACKS.index(track)]
    pairs = [(own, end) for end in sorted(ENDS, reverse=True) if end <= start_ms for own in (track, other)]
    return " ".join(f"{own}@{end}:{_words(own, end)}" for own, end in pairs[:4])


def _words(track: str, end_ms: int) -> int:
    """Number of words in a window. Each word ends with its second; the agent's words are those of even seconds."""
    seconds = [seq for seq in range(SECONDS) if end_ms - 4000 < (seq + 1) * 1000 <= end_ms]
    return len(seconds) if track == "customer" else sum(seq % 2 == 0 for seq in seconds)
