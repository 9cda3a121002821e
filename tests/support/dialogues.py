"""Two people who talk to each other, and what must become of it: every window hears the same earlier ones, whoever reads them."""

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
    """A second of both; the agent says something in every other one only."""
    return [worker.words(seq, session=session, track=track, spoken=track == "customer" or seq % 2 == 0) for track in TRACKS]


def expected() -> dict[tuple[str, int], str]:
    """The sentence of every window, by track and end: what it hears, with the number of words of each."""
    return {(track, end): _heard(track, end - 4000) for track in TRACKS for end in ENDS}


def _heard(track: str, start_ms: int) -> str:
    other = TRACKS[1 - TRACKS.index(track)]
    pairs = [(own, end) for end in sorted(ENDS, reverse=True) if end <= start_ms for own in (track, other)]
    return " ".join(f"{own}@{end}:{_words(own, end)}" for own, end in pairs[:4])


def _words(track: str, end_ms: int) -> int:
    """Words end with their second; the agent's are those of even seconds."""
    heard = [seq for seq in range(SECONDS) if end_ms - 4000 < (seq + 1) * 1000 <= end_ms]
    return len(heard) if track == "customer" else sum(seq % 2 == 0 for seq in heard)
