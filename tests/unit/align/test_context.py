from __future__ import annotations

from dataclasses import replace

import pytest

from stream.align.context import ContextQueue
from stream.align.outcome import ClosedWindow, EncodedChunk, Outcome
from stream.align.session import SessionAligner
from stream.align.utterance import UtteranceWindower
from stream.align.windower import HoppingWindower
from stream.domain.context import CONTEXT_KEPT, CONTEXT_WINDOWS, SPEAKER_WINDOWS, ContextFeatures, ContextWindow
from stream.domain.features import TextFeatures, Word
from stream.domain.identity import TrackKey
from stream.domain.modality import Modality
from stream.domain.session_events import SessionStart, TrackPlan
from stream.domain.window import Window
from tests.fakes.chunks import header
from tests.unit.align.builders import POLICY, SESSION

TEXT = Modality.TEXT
BOTH = SessionStart(0, (TrackPlan("agent", "agent", (TEXT,)), TrackPlan("customer", "customer", (TEXT,))))


def window(track: str, start_ms: int, end_ms: int) -> Window:
    return Window(TrackKey(SESSION, track), track, 0, start_ms, end_ms, end_ms, 1, is_final=True)


def ended(track: str, end_ms: int) -> ContextWindow:
    """A finished window of 4 s."""
    return ContextWindow(track, end_ms - 4000, end_ms)


def closed(track: str, start_ms: int, end_ms: int) -> ClosedWindow[str]:
    return ClosedWindow(window(track, start_ms, end_ms), (f"{track}-{end_ms}",), 1)


def session(
    windower: HoppingWindower | UtteranceWindower | None = None, plan: SessionStart | None = BOTH, max_held: int = 1000
) -> SessionAligner[str]:
    policy = POLICY if windower is None else replace(POLICY, windower=windower)
    aligner: SessionAligner[str] = SessionAligner(
        SESSION, 0, policy, end_grace_ms=3000, expire_after_ms=60_000, max_ahead_ms=60_000, max_back_ms=10_000, max_held=max_held, now=0
    )
    if plan is not None:
        aligner.on_start(plan, 0)
    return aligner


def say(aligner: SessionAligner[str], track: str, seq: int, now: int = 0) -> list[tuple[str, int, tuple[ContextWindow, ...]]]:
    """A second with a word of 400 ms. Returns the windows that it leads to."""
    about = header(seq, TEXT, track=track)
    if track not in aligner.tracks:
        aligner.open_track(about.track, track, None, now)
    chunk = EncodedChunk(about, TextFeatures((Word("w", about.start_ms, about.start_ms + 400),)), f"{track}-{seq}")
    return handed_out(aligner.on_chunk(chunk, now))


def handed_out(outcome: Outcome[str]) -> list[tuple[str, int, tuple[ContextWindow, ...]]]:
    return [(c.window.track.track, c.window.end_ms, c.window.context) for c in outcome.closed]


def test_context_is_ordered_newest_first_and_own_track_first() -> None:
    queue: ContextQueue[str] = ContextQueue()
    queue.add_final_windows(ended(track, end) for end in (2000, 4000, 6000) for track in ("zoe", "agent", "customer"))
    chosen = queue.with_context(window("customer", 4000, 8000)).context
    assert chosen == (
        ended("customer", 4000),
        ended("agent", 4000),
        ended("zoe", 4000),
        ended("customer", 2000),
    )
    assert len(chosen) == CONTEXT_WINDOWS
    assert queue.with_context(window("customer", 1999, 8000)).context == ()


def test_only_the_newest_windows_of_a_track_are_kept() -> None:
    queue: ContextQueue[str] = ContextQueue()
    queue.add_final_windows(ContextWindow("agent", end - 1, end) for end in range(1, CONTEXT_KEPT + 3))
    assert queue.with_context(window("customer", 3, 9)).context == (ContextWindow("agent", 2, 3),)


def hopping(length_ms: int, hop_ms: int, count: int) -> ContextQueue[str]:
    """A queue that has handed out the first windows of a track."""
    queue: ContextQueue[str] = ContextQueue()
    for start_ms in range(0, count * hop_ms, hop_ms):
        queue.hand_out(closed("customer", start_ms, start_ms + length_ms))
    return queue


@pytest.mark.parametrize(("length_ms", "hop_ms"), [(4000, 2000), (2000, 1000), (4000, 1000), (4000, 4000)])
def test_the_kept_windows_suffice_for_every_earlier_window(length_ms: int, hop_ms: int) -> None:
    start_ms = 100 * hop_ms
    chosen = hopping(length_ms, hop_ms, 100).with_context(window("customer", start_ms, start_ms + length_ms)).earlier
    assert chosen == tuple(
        ContextWindow("customer", start_ms - (back + 1) * length_ms, start_ms - back * length_ms) for back in range(SPEAKER_WINDOWS)
    )


def test_with_windows_that_overlap_many_times_the_earlier_ones_are_fewer() -> None:
    chosen = hopping(4000, 500, 100).with_context(window("customer", 50_000, 54_000)).earlier
    assert [window.end_ms for window in chosen] == [50_000, 46_000, 42_000, 38_000]


def test_earlier_windows_do_not_overlap_and_are_of_the_own_track() -> None:
    queue: ContextQueue[str] = ContextQueue()
    spans = [(0, 3000), (3200, 5000), (5000, 9000)]
    queue.add_final_windows(ContextWindow(track, *span) for span in spans for track in ("agent", "customer"))
    assert queue.with_context(window("customer", 8000, 9500)).earlier == (
        ContextWindow("customer", 3200, 5000),
        ContextWindow("customer", 0, 3000),
    )
    assert queue.with_context(window("zoe", 9000, 9500)).earlier == ()


def test_no_window_before_one_of_an_earlier_release_is_chosen() -> None:
    queue: ContextQueue[str] = ContextQueue()
    old = [ContextFeatures("customer", 0, end_ms, {}).window for end_ms in (4000, 6000, 8000)]
    queue.add_final_windows(old)
    assert queue.with_context(window("customer", 8000, 12_000)).earlier == (ContextWindow("customer", 0, 8000),)


def test_a_window_is_handed_out_after_the_windows_of_its_context() -> None:
    queue: ContextQueue[str] = ContextQueue()
    queue.enqueue(Outcome(closed=(closed("agent", 4000, 8000), closed("agent", 6000, 10_000), closed("customer", 0, 4000))))
    outcome: Outcome[str] = Outcome()
    queue.release_ready({"agent": 12_000, "customer": 6000}, outcome)
    assert handed_out(outcome) == [("customer", 4000, ()), ("agent", 8000, (ended("customer", 4000),))]
    assert queue.held_chunks == 1


def test_a_track_that_lags_delays_only_windows_that_may_have_it_as_context() -> None:
    aligner = session()
    say(aligner, "agent", 0)
    found = [say(aligner, "customer", seq) for seq in range(9)]
    assert [[end for _, end, _ in windows] for windows in found] == [[], [], [], [], [4000], [], [6000], [], []]
    assert aligner.held == 3 + 2 + 1
    assert say(aligner, "agent", 1) == []
    assert say(aligner, "agent", 2) == []
    assert [say(aligner, "agent", seq) for seq in (3, 4)][1] == [
        ("agent", 4000, ()),
        ("customer", 8000, (ended("customer", 4000), ended("agent", 4000))),
    ]


def test_a_planned_track_that_never_begins_delays_windows_until_it_is_idle() -> None:
    aligner = session()
    assert [end for seq in range(9) for _, end, _ in say(aligner, "customer", seq)] == [4000, 6000]
    assert handed_out(aligner.on_time(1499)) == []
    assert [end for _, end, _ in handed_out(aligner.on_time(1500))] == [8000, 10_000]


def test_a_track_that_had_windows_before_a_takeover_is_waited_for_like_a_planned_track() -> None:
    aligner = session(plan=None)
    aligner.add_final_windows([ended("agent", 2000)], 0)
    aligner.on_start(SessionStart(0, BOTH.tracks[1:]), 0)
    assert [end for seq in range(7) for _, end, _ in say(aligner, "customer", seq)] == [4000, 6000]
    assert aligner.notify_at(0) == 1500


def test_windows_of_the_only_track_do_not_wait() -> None:
    aligner = session(plan=SessionStart(0, BOTH.tracks[1:]))
    assert [end for seq in range(9) for _, end, _ in say(aligner, "customer", seq)] == [4000, 6000, 8000]


def test_a_session_that_holds_too_much_hands_out_waiting_windows_before_it_sheds() -> None:
    aligner = session(max_held=4)
    found = [closed for seq in range(9) for closed in say(aligner, "customer", seq)]
    assert [end for _, end, _ in found] == [4000, 6000, 8000]
    assert aligner.shed_windows == 0


def test_a_partial_window_has_the_context_known_so_far() -> None:
    aligner = session(plan=SessionStart(0, BOTH.tracks[1:]))
    aligner.open_track(TrackKey(SESSION, "customer"), "customer", None, 0)
    partials: list[Window] = []
    for seq in range(7):
        partials += aligner.on_chunk(EncodedChunk(header(seq), TextFeatures(()), f"{seq}"), 0).partial
    known = (ended("customer", 4000),)
    assert [(p.start_ms, p.context, p.earlier) for p in partials[-2:]] == [(2000, (), ()), (4000, known, known)]


def test_a_long_utterance_of_one_track_does_not_delay_the_other_track() -> None:
    aligner = session(UtteranceWindower(10_000, 600))
    for seq in range(3):
        about = header(seq, TEXT, track="agent")
        if seq == 0:
            aligner.open_track(about.track, "agent", None, 0)
        aligner.on_chunk(EncodedChunk(about, TextFeatures((Word("w", about.start_ms, about.end_ms),)), f"agent-{seq}"), 0)
    found = [(track, end) for seq in range(3) for track, end, _ in say(aligner, "customer", seq)]
    assert found == [("customer", 400), ("customer", 1400)]


def test_a_track_is_opened_with_all_windows_that_are_final_by_then() -> None:
    aligner = session()
    aligner.add_final_windows([ended("customer", 4000), ended("agent", 4000)], 0)
    customer, agent = header(2, track="customer"), header(4, track="agent")
    aligner.open_track(customer.track, "customer", 4000, 0)
    aligner.add_final_windows([ended("customer", 4000), ended("customer", 6000), ended("agent", 4000), ended("agent", 6000)], 0)
    aligner.open_track(agent.track, "agent", 6000, 0)
    found = [window for seq in range(4, 12) for track in ("agent", "customer") for window in say(aligner, track, seq)]
    contexts = {(track, end): context for track, end, context in found}
    assert contexts["customer", 6000] == ()
    assert contexts["customer", 10_000] == (
        ended("customer", 6000),
        ended("agent", 6000),
        ended("customer", 4000),
        ended("agent", 4000),
    )
