from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from stream.align.grid import HoppingCutter
from stream.align.lane import Held, Lane
from stream.align.outcome import ClosedWindow
from stream.align.past import PastQueue
from stream.align.session import SessionAligner
from stream.align.track import TrackAligner
from stream.domain.lifecycle import SessionEnd, SessionStart, TrackEnd, TrackPlan
from stream.domain.modality import Modality
from stream.domain.past import PastWindow
from tests.unit.align.builders import POLICY, SESSION, TRACK, chunk

AUDIO, VIDEO = Modality.AUDIO, Modality.VIDEO


def empty(now: int = 0) -> SessionAligner[str]:
    return SessionAligner(
        SESSION, 0, POLICY, end_grace_ms=3000, expire_after_ms=60_000, max_ahead_ms=60_000, max_back_ms=10_000, max_held=8, now=now
    )


def eventful() -> SessionAligner[str]:
    """A replay with a plan, chunks in disorder, a repeat, a conflict, one too late and windows that were shed."""
    aligner = empty(now=3)
    aligner.remember([PastWindow("customer", 4000)], 4)
    aligner.on_start(SessionStart(0, (TrackPlan("customer", "agent", (AUDIO, VIDEO)), TrackPlan("agent", "agent", (AUDIO,)))), 5)
    aligner.open_track(TRACK, "customer", 4000, 7)
    aligner.on_time(9)
    aligner.retire(8)
    for seq in (5, 1, 7, 6, 6, 8, 9, 10, 11, 12, 13, 14, 2):
        aligner.admits(chunk(seq).header)
        aligner.on_chunk(chunk(seq), 10 + seq)
    for seq in (5, 6, 14):
        aligner.on_chunk(chunk(seq, VIDEO), 30 + seq)
    return aligner


def over() -> SessionAligner[str]:
    """The same after its end."""
    aligner = eventful()
    aligner.on_end(SessionEnd(0, 15_500, (TrackEnd("customer", {AUDIO: 20}),)), 50)
    aligner.finish()
    return aligner


def restored(seen: Any) -> SessionAligner[str]:
    aligner = empty()
    aligner.restore(seen)
    return aligner


def state(thing: Any) -> Any:
    """Everything that an aligner holds, apart from receipts."""
    if isinstance(thing, SessionAligner | TrackAligner | Lane | HoppingCutter | PastQueue):
        return {slot: state(getattr(thing, slot)) for slot in type(thing).__slots__}
    if isinstance(thing, dict):
        return {key: state(value) for key, value in thing.items()}
    if isinstance(thing, list):
        return [_without_receipts(item) for item in thing]
    return thing


def _without_receipts(item: Any) -> Any:
    if isinstance(item, ClosedWindow):
        return structs.replace(item, receipts=())
    return structs.replace(item, receipt=None) if isinstance(item, Held) else item


@pytest.mark.parametrize("make", [empty, eventful, over])
def test_everything_that_an_aligner_holds_is_in_its_snapshot(make: Any) -> None:
    aligner = make()
    assert state(restored(aligner.snapshot())) == state(aligner)


def test_an_eventful_session_differs_from_an_empty_one_in_everything() -> None:
    """Else the test above could not fail."""
    fresh = empty()
    fresh.open_track(TRACK, "customer", None, 0)
    compared: list[tuple[Any, Any]] = [(fresh, over()), (fresh._tracks["customer"], over()._tracks["customer"])]
    compared.append((Lane(0), eventful()._tracks["customer"]._lanes[AUDIO]))
    limits = {"_policy", "_end_grace_ms", "_expire_after_ms", "_max_ahead_ms", "_max_back_ms", "_max_held", "session", "epoch", "track"}
    same = {slot for one, other in compared for slot in type(one).__slots__ if state(getattr(one, slot)) == state(getattr(other, slot))}
    assert same - limits == {"held", "_first_held_ms"}


def test_a_snapshot_does_not_change_when_the_aligner_goes_on() -> None:
    aligner = eventful()
    seen = aligner.snapshot()
    before = state(restored(seen))
    for going_on in (aligner, restored(seen)):
        going_on.on_chunk(chunk(15), 40)
        going_on.finish()
    assert state(restored(seen)) == before


def test_receipts_are_no_part_of_a_snapshot() -> None:
    aligner = restored(eventful().snapshot())
    aligner.on_chunk(chunk(15), 40)
    assert [receipt for closed in aligner.finish().closed for receipt in closed.receipts] == ["audio-15"]
