from __future__ import annotations

from dataclasses import replace

from stream.align.grid import HoppingGrid
from stream.align.outcome import ClosedWindow, EncodedChunk, Outcome
from stream.align.past import PastQueue
from stream.align.session import SessionAligner
from stream.align.utterance import UtteranceRule
from stream.domain.features import TextFeatures, Word
from stream.domain.identity import TrackKey
from stream.domain.lifecycle import SessionStart, TrackPlan
from stream.domain.modality import Modality
from stream.domain.past import PAST_WINDOWS, REMEMBERED, PastWindow
from stream.domain.window import Window
from tests.fakes.chunks import header
from tests.unit.align.builders import POLICY, SESSION

TEXT = Modality.TEXT
BOTH = SessionStart(0, (TrackPlan("agent", "agent", (TEXT,)), TrackPlan("customer", "customer", (TEXT,))))


def window(track: str, start_ms: int, end_ms: int) -> Window:
    return Window(TrackKey(SESSION, track), track, 0, start_ms, end_ms, end_ms, 1, is_final=True)


def closed(track: str, start_ms: int, end_ms: int) -> ClosedWindow[str]:
    return ClosedWindow(window(track, start_ms, end_ms), (f"{track}-{end_ms}",), 1)


def session(rule: HoppingGrid | UtteranceRule | None = None, plan: SessionStart | None = BOTH, max_held: int = 1000) -> SessionAligner[str]:
    policy = POLICY if rule is None else replace(POLICY, rule=rule)
    aligner: SessionAligner[str] = SessionAligner(
        SESSION, 0, policy, end_grace_ms=3000, expire_after_ms=60_000, max_ahead_ms=60_000, max_back_ms=10_000, max_held=max_held, now=0
    )
    if plan is not None:
        aligner.on_start(plan, 0)
    return aligner


def say(aligner: SessionAligner[str], track: str, seq: int, now: int = 0) -> list[tuple[str, int, tuple[PastWindow, ...]]]:
    """A second with a word of 400 ms; what is handed out."""
    about = header(seq, TEXT, track=track)
    if not aligner.knows(about.track):
        aligner.open_track(about.track, track, None, now)
    chunk = EncodedChunk(about, TextFeatures((Word("w", about.start_ms, about.start_ms + 400),)), f"{track}-{seq}")
    return handed_out(aligner.on_chunk(chunk, now))


def handed_out(outcome: Outcome[str]) -> list[tuple[str, int, tuple[PastWindow, ...]]]:
    return [(c.window.track.track, c.window.end_ms, c.window.past) for c in outcome.closed]


def test_the_newest_that_ended_before_come_first_and_of_equals_the_own_track() -> None:
    queue: PastQueue[str] = PastQueue()
    queue.remember(PastWindow(track, end) for end in (2000, 4000, 6000) for track in ("zoe", "agent", "customer"))
    chosen = queue.choose(window("customer", 4000, 8000)).past
    assert chosen == (PastWindow("customer", 4000), PastWindow("agent", 4000), PastWindow("zoe", 4000), PastWindow("customer", 2000))
    assert len(chosen) == PAST_WINDOWS
    assert queue.choose(window("customer", 1999, 8000)).past == ()


def test_only_the_newest_windows_of_a_track_are_remembered() -> None:
    queue: PastQueue[str] = PastQueue()
    queue.remember(PastWindow("agent", end) for end in range(1, REMEMBERED + 3))
    assert queue.choose(window("customer", 3, 9)).past == (PastWindow("agent", 3),)


def test_a_window_is_handed_out_after_those_that_it_hears() -> None:
    queue: PastQueue[str] = PastQueue()
    queue.take(Outcome(closed=(closed("agent", 4000, 8000), closed("agent", 6000, 10_000), closed("customer", 0, 4000))))
    outcome: Outcome[str] = Outcome()
    queue.hand_out({"agent": 12_000, "customer": 6000}, outcome)
    assert handed_out(outcome) == [("customer", 4000, ()), ("agent", 8000, (PastWindow("customer", 4000),))]
    assert queue.chunks == 1


def test_a_track_that_lags_holds_up_only_what_it_may_be_heard_by() -> None:
    aligner = session()
    say(aligner, "agent", 0)
    found = [say(aligner, "customer", seq) for seq in range(9)]
    assert [[end for _, end, _ in one] for one in found] == [[], [], [], [], [4000], [], [6000], [], []]
    assert aligner.held == 3 + 2 + 1
    assert say(aligner, "agent", 1) == []
    assert say(aligner, "agent", 2) == []
    assert [say(aligner, "agent", seq) for seq in (3, 4)][1] == [
        ("agent", 4000, ()),
        ("customer", 8000, (PastWindow("customer", 4000), PastWindow("agent", 4000))),
    ]


def test_a_track_of_the_plan_that_never_comes_holds_up_until_it_is_quiet() -> None:
    aligner = session()
    assert [end for seq in range(9) for _, end, _ in say(aligner, "customer", seq)] == [4000, 6000]
    assert handed_out(aligner.on_time(1499)) == []
    assert [end for _, end, _ in handed_out(aligner.on_time(1500))] == [8000, 10_000]


def test_a_track_that_had_windows_before_a_takeover_is_waited_for_like_one_of_the_plan() -> None:
    aligner = session(plan=None)
    aligner.remember([PastWindow("agent", 2000)], 0)
    aligner.on_start(SessionStart(0, BOTH.tracks[1:]), 0)
    assert [end for seq in range(7) for _, end, _ in say(aligner, "customer", seq)] == [4000, 6000]
    assert aligner.due_ms(0) == 1500


def test_without_anybody_else_nothing_waits() -> None:
    aligner = session(plan=SessionStart(0, BOTH.tracks[1:]))
    assert [end for seq in range(9) for _, end, _ in say(aligner, "customer", seq)] == [4000, 6000, 8000]


def test_a_session_that_holds_too_much_hands_out_what_waits_before_it_sheds() -> None:
    aligner = session(max_held=4)
    found = [closed for seq in range(9) for closed in say(aligner, "customer", seq)]
    assert [end for _, end, _ in found] == [4000, 6000, 8000]
    assert aligner.shed_windows == 0


def test_a_look_at_an_open_window_hears_what_is_known() -> None:
    aligner = session(plan=SessionStart(0, BOTH.tracks[1:]))
    aligner.open_track(TrackKey(SESSION, "customer"), "customer", None, 0)
    looks: list[Window] = []
    for seq in range(7):
        looks += aligner.on_chunk(EncodedChunk(header(seq), TextFeatures(()), f"{seq}"), 0).partial
    assert [(look.start_ms, look.past) for look in looks[-2:]] == [(2000, ()), (4000, (PastWindow("customer", 4000),))]


def test_a_long_utterance_of_one_does_not_hold_up_the_other() -> None:
    aligner = session(UtteranceRule(10_000, 600))
    for seq in range(3):
        about = header(seq, TEXT, track="agent")
        if seq == 0:
            aligner.open_track(about.track, "agent", None, 0)
        aligner.on_chunk(EncodedChunk(about, TextFeatures((Word("w", about.start_ms, about.end_ms),)), f"agent-{seq}"), 0)
    found = [(track, end) for seq in range(3) for track, end, _ in say(aligner, "customer", seq)]
    assert found == [("customer", 400), ("customer", 1400)]


def test_a_track_is_opened_with_all_that_is_final_by_then() -> None:
    aligner = session()
    aligner.remember([PastWindow("customer", 4000), PastWindow("agent", 4000)], 0)
    customer, agent = header(2, track="customer"), header(4, track="agent")
    aligner.open_track(customer.track, "customer", 4000, 0)
    aligner.remember([PastWindow("customer", 4000), PastWindow("customer", 6000), PastWindow("agent", 4000), PastWindow("agent", 6000)], 0)
    aligner.open_track(agent.track, "agent", 6000, 0)
    found = [one for seq in range(4, 12) for track in ("agent", "customer") for one in say(aligner, track, seq)]
    heard = {(track, end): past for track, end, past in found}
    assert heard["customer", 6000] == ()
    assert heard["customer", 10_000] == (
        PastWindow("customer", 6000),
        PastWindow("agent", 6000),
        PastWindow("customer", 4000),
        PastWindow("agent", 4000),
    )
