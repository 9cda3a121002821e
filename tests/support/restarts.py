"""Sessions whose producer is restarted so that their media clock starts again, and their expected windows."""

from __future__ import annotations

from stream.domain.delivery import InboundRecord
from stream.domain.modality import Modality
from stream.domain.session_events import SessionEnd, SessionStart, TrackEnd, TrackPlan
from tests.fakes.chunks import MEDIA_START_AT_MS, header
from tests.fakes.processing_context import FakeWorker

TRACK = header(0).track
TEXT, AUDIO = Modality.TEXT, Modality.AUDIO


def start(epoch: int = 0, *modalities: Modality) -> SessionStart:
    return SessionStart(epoch, (TrackPlan("customer", "customer", modalities or (TEXT, AUDIO)),))


def end(seconds: int, *modalities: Modality) -> SessionEnd:
    return SessionEnd(0, seconds * 1000, (TrackEnd("customer", dict.fromkeys(modalities or (TEXT, AUDIO), seconds)),))


def run_records(worker: FakeWorker, seconds: int, later_ms: int = 0, *, epoch: int = 0) -> list[InboundRecord]:
    """The records of one run of the media clock: its start, text and sound, without its end."""
    chunks = [
        record
        for seq in range(seconds)
        for record in (worker.words(seq, epoch=epoch, later_ms=later_ms), worker.media(seq, AUDIO, later_ms, epoch=epoch))
    ]
    return [worker.event(start(epoch), at_ms=MEDIA_START_AT_MS + later_ms), *chunks]


def windows(worker: FakeWorker) -> list[tuple[int, int, float | None]]:
    """Epoch, end and number of words of each final window."""
    return [(s.epoch, s.end_ms, s.score) for s in worker.store.scores[TRACK]]


def expected(*seconds: int) -> list[tuple[int, int, float]]:
    """The windows of runs with these lengths (s), each in an epoch of its own."""
    return [
        (epoch, stop * 1000, float(min(stop, length) - max(0, stop - 4)))
        for epoch, length in enumerate(seconds)
        for stop in range(4, length + 4, 2)
        if stop - 4 < length
    ]
