"""Each rule of the aligner, broken on purpose: the invariant that guards it must notice."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from msgspec import structs

from stream.align.clock import ListeningClock
from stream.align.grid import HoppingCutter, HoppingGrid
from stream.align.lane import RECENT, Lane, Novelty
from stream.align.outcome import ClosedWindow, Outcome
from stream.align.past import PastQueue, PastSnapshot
from stream.align.rule import Span
from stream.align.session import SessionAligner
from stream.align.track import TrackAligner, WindowPolicy
from stream.align.utterance import UtteranceCutter, UtteranceRule, _Run
from stream.domain.features import Features, TextFeatures, VideoFeatures
from stream.domain.modality import Modality
from stream.domain.window import Window
from tests.support import invariants
from tests.support.histories import Delivery, History, histories
from tests.support.invariants import OF_ANY, OF_CALM, OF_UTTERANCES, Check

Rule = Callable[..., Any]


@dataclass(frozen=True)
class Mutant:
    """A rule (an attribute of a class), what takes its place, and the check that must fail (when windows are ``utterances``)."""

    name: str
    owner: type
    rule: str
    broken: Callable[[Rule], Any]
    guard: Check
    utterances: bool = False


def _every_chunk_is_new(note: Rule) -> Rule:
    def broken(lane: Lane[str], chunk: Any, now: int) -> Novelty:
        note(lane, chunk, now)
        return Novelty.NEW

    return broken


def _every_number_is_new(number: Rule) -> Rule:
    def broken(lane: Lane[str], seq: int) -> bool:
        number(lane, seq)
        return True

    return broken


def _conflicts_are_repeats(note: Rule) -> Rule:
    return lambda *args: Novelty.NEW if note(*args) is Novelty.NEW else Novelty.REPEATED


def _repeats_are_signs_of_life(note: Rule) -> Rule:
    def broken(lane: Lane[str], chunk: Any, now: int) -> Novelty:
        novelty: Novelty = note(lane, chunk, now)
        lane.last_sign = now
        return novelty

    return broken


def _without_the_allowance(watermark: Rule) -> Rule:
    return lambda track, *now: watermark(track, *now) + track._policy.allowed_lateness_ms


def _of_the_fastest(_watermark: Rule) -> Rule:
    return lambda track: track._reached_ms() - track._policy.allowed_lateness_ms


def _newest_first(cut: Rule) -> Rule:
    def broken(cutter: HoppingCutter, first_held_ms: int, watermark: float) -> Span | None:
        span = cut(cutter, first_held_ms, watermark)
        while watermark < math.inf and (later := cut(cutter, first_held_ms, watermark)) is not None:
            span = later
        return cast(Span | None, span)

    return broken


def _with_the_first_window(close: Rule) -> Rule:
    def broken(track: TrackAligner[str], span: Span, warnings: tuple[str, ...]) -> ClosedWindow[str]:
        closed: ClosedWindow[str] = close(track, span, warnings)
        early: list[str] = []
        for lane in track._lanes.values():
            for place, held in enumerate(lane.held):
                if held.start_ms < closed.window.end_ms and held.receipt is not None:
                    early.append(held.receipt)
                    lane.held[place] = structs.replace(held, receipt=None)
        return structs.replace(closed, receipts=(*closed.receipts, *early))

    return broken


def _never(close: Rule) -> Rule:
    return lambda *args: structs.replace(close(*args), receipts=())


def _without_late(on_chunk: Rule) -> Rule:
    def broken(*args: Any) -> Outcome[str]:
        outcome: Outcome[str] = on_chunk(*args)
        outcome.late = ()
        return outcome

    return broken


def _only_what_starts_in_it(window: Rule) -> Rule:
    def broken(*args: Any, **options: Any) -> Window:
        whole: Window = window(*args, **options)
        return structs.replace(whole, text=tuple(t for t in whole.text if t.words[0].start_ms >= whole.start_ms))

    return broken


def _as_if_nothing_were_final(open_track: Rule) -> Rule:
    return lambda session, track, role, _final, now, sync: open_track(session, track, role, None, now, sync)


def _as_if_no_clocks_were_known(open_track: Rule) -> Rule:
    return lambda session, track, role, final, now, _sync: open_track(session, track, role, final, now)


def _with_every_chunk(on_chunk: Rule) -> Rule:
    def broken(track: TrackAligner[str], *args: Any) -> Outcome[str]:
        outcome: Outcome[str] = on_chunk(track, *args)
        track._skew = track._video_skew(0, track._reached_ms())
        return outcome

    return broken


def _as_if_nothing_were_compared(init: Rule) -> Rule:
    def broken(track: TrackAligner[str], *args: Any, **options: Any) -> None:
        init(track, *args, **options)
        track._compared_ms = 0

    return broken


def _beyond_the_window(_stamps: Rule) -> Rule:
    def broken(track: TrackAligner[str], modality: Modality, start_ms: int, _until_ms: int) -> Any:
        return _stamps(track, modality, start_ms, sys.maxsize)

    return broken


def _from_the_first_that_came(_complete: Rule) -> Rule:
    return lambda lane, count, _done: count == 0 or (bool(lane._runs) and lane._runs[1] >= count)


def _wherever_the_watermark_is(advance: Rule) -> Rule:
    def broken(track: TrackAligner[str], watermark: float, *args: Any) -> None:
        advance(track, watermark, *args)
        if watermark < math.inf:
            track._cutter.closed_until_ms = max(0, math.floor(watermark) - 4000)

    return broken


def _forgetting(**fields: Any) -> Callable[[Rule], Rule]:
    return lambda snapshot: lambda whole: replace(snapshot(whole), **fields)


def _shed_in_silence(shed: Rule) -> Rule:
    def broken(session: SessionAligner[str]) -> Outcome[str]:
        outcome: Outcome[str] = shed(session)
        session.shed_windows = 0
        return outcome

    return broken


def _any_time_counts(_tick: Rule) -> Rule:
    def broken(clock: ListeningClock, _until: int | None) -> None:
        clock._heard = clock._now()

    return broken


def _any_time_until_it_is_noticed_counts(tick: Rule) -> Rule:
    return lambda clock, until: tick(clock, None if until is None else clock._now())


def _without_bound(init: Rule) -> Rule:
    return lambda session, *args, **options: init(session, *args, **(options | {"max_held": 10**9}))


def _shared_tracks(init: Rule) -> Rule:
    everyones: dict[Any, Any] = {}

    def broken(session: SessionAligner[str], *args: Any, **options: Any) -> None:
        init(session, *args, **options)
        session._tracks = everyones

    return broken


def _by_media_time_alone(_rule: Rule) -> Rule:
    return lambda session, end_ms, _zero_ms: session._newest_ms - end_ms > session._max_back_ms


def _by_capture_time_alone(_rule: Rule) -> Rule:
    return lambda session, _end_ms, zero_ms: session._newest_ms > 0 and zero_ms - session._newest_zero_ms > session._max_back_ms


def _always(value: Any) -> Callable[[Rule], Rule]:
    return lambda _rule: lambda *_args, **_options: value


FORGOTTEN = (
    (Lane, "last_sign", 0),
    (Lane, "reached_ms", 0),
    (Lane, "heard", False),
    (Lane, "held", ()),
    (Lane, "runs", ()),
    (Lane, "lowest_start_ms", 0),
    (Lane, "recent", (-1, 0) * RECENT),
    (TrackAligner, "lanes", ()),
    (TrackAligner, "closed_until_ms", 0),
    (TrackAligner, "shown_ms", 0),
    (TrackAligner, "skew", None),
    (TrackAligner, "compared_ms", 0),
    (SessionAligner, "tracks", ()),
    (SessionAligner, "clock_zero_ms", None),
    (SessionAligner, "newest_ms", 0),
    (SessionAligner, "plan", None),
    (SessionAligner, "end", None),
    (SessionAligner, "quiet_since", 0),
    (SessionAligner, "accepted", 0),
    (SessionAligner, "shed_windows", 0),
    (SessionAligner, "absent", ()),
    (SessionAligner, "heard_at", 0),
    (SessionAligner, "past", PastSnapshot((), ())),
    (PastQueue, "ended", ()),
    (PastQueue, "waiting", ()),
)
"""What a snapshot might forget; `tests.unit.align.test_snapshot` looks for what histories of the sample do not show."""


def _with_rule(**changes: Any) -> Callable[[Rule], Rule]:
    return lambda cutter: lambda rule, final_until_ms: cutter(replace(rule, **changes), final_until_ms)


def _hearing(change: Callable[[Features | None], Features | None]) -> Callable[[Rule], Rule]:
    return lambda add: lambda cutter, start_ms, end_ms, features: add(cutter, start_ms, end_ms, change(features))


def _not_final(features: Features | None) -> Features | None:
    return TextFeatures(features.words) if isinstance(features, TextFeatures) else features


def _no_faces(features: Features | None) -> Features | None:
    return None if isinstance(features, VideoFeatures) else features


def _as_it_looks(cut: Rule) -> Rule:
    def broken(cutter: UtteranceCutter, first_held_ms: int, watermark: float) -> Span | None:
        plan = cutter._plan()
        seen = plan is not None and plan.end_ms <= watermark
        return cast(Span | None, cut(cutter, first_held_ms, math.inf if seen else watermark))

    return broken


def _to_the_watermark(skip: Rule) -> Rule:
    def broken(cutter: UtteranceCutter, watermark: float) -> None:
        skip(cutter, watermark)
        if watermark < math.inf and cutter._plan() is None:
            cutter._close(max(cutter.closed_until_ms, math.floor(watermark)))

    return broken


def _all_of_it(add: Rule) -> Rule:
    def broken(cutter: UtteranceCutter, *chunk: Any) -> None:
        closed_until_ms, cutter.closed_until_ms = cutter.closed_until_ms, 0
        add(cutter, *chunk)
        cutter.closed_until_ms = closed_until_ms

    return broken


def _always_a_word(extend: Rule) -> Rule:
    return lambda run, start_ms, end_ms, **_: extend(run, start_ms, end_ms, is_word=True)


def _as_if_begun(_cutter: Rule) -> Rule:
    return lambda rule, _final: UtteranceCutter(rule, 0)


def _for_nobody(hand_out: Rule) -> Rule:
    return lambda queue, _next_ends, outcome: hand_out(queue, {}, outcome)


def _what_ends_with_it(choose: Rule) -> Rule:
    return lambda queue, window: structs.replace(choose(queue, structs.replace(window, start_ms=window.end_ms)), start_ms=window.start_ms)


def _for_those_who_began(next_ends: Rule) -> Rule:
    return lambda session: {name: end for name, end in next_ends(session).items() if name in session._tracks}


def _for_the_quiet(next_end_ms: Rule) -> Rule:
    return lambda track, _now: next_end_ms(track, -(10**9))


def _later(by_ms: int) -> Callable[[Rule], Rule]:
    return lambda next_end_ms: lambda cutter, *args: next_end_ms(cutter, *args) + by_ms


def _a_second_more(close: Rule) -> Rule:
    return lambda cutter, until_ms: close(cutter, until_ms + 1000)


MUTANTS = (
    Mutant("drop dedup", Lane, "note", _every_chunk_is_new, invariants.each_number_counts_once),
    Mutant("take conflicts for repeats", Lane, "note", _conflicts_are_repeats, invariants.each_number_counts_once),
    Mutant("repeats keep a lane awake", Lane, "note", _repeats_are_signs_of_life, invariants.repeats_change_nothing),
    Mutant("forget numbers", Lane, "_number", _every_number_is_new, invariants.each_number_counts_once),
    Mutant(
        "drop idleness",
        TrackAligner,
        "_watermark_at",
        lambda _: lambda track, _now: track._watermark(),
        invariants.silence_closes_everything,
    ),
    Mutant("close early by the lateness", TrackAligner, "_watermark", _without_the_allowance, invariants.nothing_is_missing),
    Mutant("follow the fastest modality", TrackAligner, "_watermark", _of_the_fastest, invariants.nothing_is_missing),
    Mutant("close out of order", HoppingCutter, "cut", _newest_first, invariants.nothing_is_missing),
    Mutant("release receipts early", TrackAligner, "_close", _with_the_first_window, invariants.everything_is_somewhere),
    Mutant("never release receipts", TrackAligner, "_close", _never, invariants.everything_is_somewhere),
    Mutant("forget late chunks", TrackAligner, "on_chunk", _without_late, invariants.everything_is_somewhere),
    Mutant("leave out what began before", TrackAligner, "_window", _only_what_starts_in_it, invariants.nothing_is_missing),
    Mutant("reopen what is closed", TrackAligner, "_advance", _wherever_the_watermark_is, invariants.watermarks_never_go_back),
    Mutant(
        "finals of no higher revision", WindowPolicy, "final_revision", lambda _: property(lambda _policy: 0), invariants.finals_are_final
    ),
    Mutant("share tracks between sessions", SessionAligner, "__init__", _shared_tracks, invariants.sessions_are_independent),
    Mutant("sleep too long", TrackAligner, "due_ms", _always(math.inf), invariants.silence_closes_everything),
    Mutant("ignore the end", SessionAligner, "on_end", _always(Outcome()), invariants.silence_closes_everything),
    Mutant("end at once", SessionAligner, "_complete", _always(value=True), invariants.nothing_is_missing),
    Mutant("end without the first chunk", Lane, "complete", _from_the_first_that_came, invariants.nothing_is_missing),
    Mutant(
        "wait for ever for the end",
        SessionAligner,
        "_grace_over_ms",
        lambda _: property(lambda _session: math.inf),
        invariants.silence_closes_everything,
    ),
    Mutant("forget what is final", SessionAligner, "open_track", _as_if_nothing_were_final, invariants.a_crash_changes_nothing),
    Mutant("forget the clocks", SessionAligner, "open_track", _as_if_no_clocks_were_known, invariants.a_crash_changes_nothing),
    Mutant("compare again after a crash", TrackAligner, "__init__", _as_if_nothing_were_compared, invariants.a_crash_changes_nothing),
    Mutant("compare chunks as they come", TrackAligner, "on_chunk", _with_every_chunk, invariants.order_does_not_matter),
    Mutant("compare what is yet to come", TrackAligner, "_stamps", _beyond_the_window, invariants.order_does_not_matter),
    Mutant("believe the future", SessionAligner, "_is_future", _always(value=False), invariants.watermarks_never_go_back),
    Mutant("take what began anew for a repeat", SessionAligner, "_is_restarted", _always(value=False), invariants.each_number_counts_once),
    Mutant("late chunks began anew", SessionAligner, "_is_restarted", _by_media_time_alone, invariants.each_number_counts_once),
    Mutant("a call on hold began anew", SessionAligner, "_is_restarted", _by_capture_time_alone, invariants.each_number_counts_once),
    Mutant("wait for no past", PastQueue, "hand_out", _for_nobody, invariants.the_past_is_the_same),
    Mutant("wait for those who began", SessionAligner, "_next_ends", _for_those_who_began, invariants.the_past_is_the_same),
    Mutant("wait for the quiet", TrackAligner, "next_end_ms", _for_the_quiet, invariants.silence_closes_everything),
    Mutant("wait too short", HoppingCutter, "next_end_ms", _later(1000), invariants.the_past_is_the_same),
    Mutant("forget the past", SessionAligner, "remember", _always(None), invariants.the_past_is_the_same),
    Mutant("hear what ends later", PastQueue, "choose", _what_ends_with_it, invariants.nothing_hears_the_future),
    Mutant("hold without bound", SessionAligner, "__init__", _without_bound, invariants.memory_is_bounded),
    Mutant("shed in silence", SessionAligner, "shed", _shed_in_silence, invariants.memory_is_bounded),
    *(
        Mutant(f"a snapshot without {field}", owner, "snapshot", _forgetting(**{field: empty}), invariants.a_snapshot_changes_nothing)
        for owner, field, empty in FORGOTTEN
    ),
    Mutant("wall clock closes while deaf", ListeningClock, "tick", _any_time_counts, invariants.an_outage_is_not_silence),
    Mutant(
        "an outage counts until it is noticed",
        ListeningClock,
        "tick",
        _any_time_until_it_is_noticed_counts,
        invariants.an_outage_is_not_silence,
    ),
    *(
        Mutant(name, owner, rule, broken, guard, utterances=True)
        for name, owner, rule, broken, guard in (
            ("ignore finals", UtteranceCutter, "add", _hearing(_not_final), invariants.utterances_are_whole),
            ("ignore faces", UtteranceCutter, "add", _hearing(_no_faces), invariants.utterances_are_whole),
            ("ignore pauses", UtteranceRule, "cutter", _with_rule(pause_ms=10**6), invariants.utterances_are_whole),
            ("ignore the longest", UtteranceRule, "cutter", _with_rule(longest_ms=10**9), invariants.utterances_are_whole),
            ("noise is speech", _Run, "extend", _always_a_word, invariants.utterances_are_whole),
            ("cut by arrival", UtteranceCutter, "cut", _as_it_looks, invariants.order_does_not_matter),
            ("skip too far", UtteranceCutter, "skip", _to_the_watermark, invariants.order_does_not_matter),
            ("never let silence go", UtteranceCutter, "skip", _always(None), invariants.silence_closes_everything),
            ("sleep through utterances", UtteranceCutter, "due_ms", _always(10**9), invariants.silence_closes_everything),
            ("hear what is final again", UtteranceCutter, "add", _all_of_it, invariants.a_crash_changes_nothing),
            ("forget where the last one ended", UtteranceRule, "cutter", _as_if_begun, invariants.a_crash_changes_nothing),
            ("close more than was cut", UtteranceCutter, "_close", _a_second_more, invariants.nothing_is_missing),
            ("hold all utterances", SessionAligner, "__init__", _without_bound, invariants.memory_is_bounded),
            ("release utterances early", TrackAligner, "_close", _with_the_first_window, invariants.everything_is_somewhere),
        )
    ),
)


OVERTAKEN = History(
    WindowPolicy(HoppingGrid(4000, 2000), allowed_lateness_ms=3000, idle_after_ms=1500, partial_every_ms=0, max_skew_ms=1000),
    tuple(Delivery(at, "customer", Modality.AUDIO, seq, seq * 1000, 1000) for at, seq in ((2000, 1), (2200, 0))),
    start_at=0,
    end_at=2100,
    media_ms=2000,
    counts={("customer", Modality.AUDIO): 2},
)
"""The second chunk and the end overtake the first: too rare to be generated."""

LONG_AFTER = History(
    WindowPolicy(HoppingGrid(4000, 2000), allowed_lateness_ms=500, idle_after_ms=1500, partial_every_ms=0, max_skew_ms=1000),
    tuple(
        Delivery(at, "customer", Modality.AUDIO, seq, seq * 1000, 1000, copy)
        for at, seq, copy in (*(((seq + 1) * 1000, seq, 0) for seq in range(20)), (20_500, 0, 1))
    ),
    start_at=0,
    end_at=None,
    media_ms=20_000,
    counts={("customer", Modality.AUDIO): 20},
)
"""A chunk comes again when its fingerprint is long forgotten: generated histories are shorter."""


BEHIND = History(
    WindowPolicy(HoppingGrid(4000, 2000), allowed_lateness_ms=500, idle_after_ms=1500, partial_every_ms=0, max_skew_ms=1000),
    tuple(
        Delivery((seq + 1) * 1000 + behind_ms, track, modality, seq, seq * 1000, 1000)
        for track, modality, behind_ms in (("customer", Modality.TEXT, 0), ("agent", Modality.AUDIO, 10_500))
        for seq in range(10)
    ),
    start_at=0,
    end_at=None,
    media_ms=10_000,
    counts={("customer", Modality.TEXT): 10, ("agent", Modality.AUDIO): 10},
)
"""One topic is read long before the other: generated lanes are never so far apart."""


@cache
def sample(*, calm: bool, utterances: bool) -> tuple[History, ...]:
    """The same histories in every run."""
    collected: list[History] = []

    @settings(
        max_examples=300, derandomize=True, database=None, phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(histories(calm=calm, utterances=utterances))
    def collect(history: History) -> None:
        collected.append(history)

    collect()
    return (*(() if utterances else (OVERTAKEN, LONG_AFTER, BEHIND)), *sorted(collected, key=lambda h: len(h.deliveries)))


def notices(guard: Check, *, utterances: bool) -> bool:
    """True when the check fails for a history of the sample."""
    for history in sample(calm=guard in OF_CALM + OF_UTTERANCES, utterances=utterances):
        try:
            guard(history)
        except AssertionError:
            return True
    return False


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_broken_rule_is_noticed(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutant.owner, mutant.rule, mutant.broken(getattr(mutant.owner, mutant.rule)))
    assert notices(mutant.guard, utterances=mutant.utterances)


@pytest.mark.parametrize("guard", OF_CALM + OF_ANY, ids=lambda guard: guard.__name__)
def test_the_whole_aligner_passes_the_same_sample(guard: Check) -> None:
    assert not notices(guard, utterances=False)


@pytest.mark.parametrize("guard", OF_CALM + OF_UTTERANCES + OF_ANY, ids=lambda guard: guard.__name__)
def test_the_whole_aligner_passes_the_same_sample_by_utterance(guard: Check) -> None:
    assert not notices(guard, utterances=True)


def test_every_check_guards_a_rule() -> None:
    unused = {check.__name__ for check in OF_CALM + OF_UTTERANCES + OF_ANY} - {mutant.guard.__name__ for mutant in MUTANTS}
    assert unused == {"a_crash_finalises_nothing_twice"}
