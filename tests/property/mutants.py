"""Mutants of the aligner: its rules, each broken on purpose, and the invariants that guard them."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

from msgspec import structs

from stream.align import clock_skew, session
from stream.align import context as align_context
from stream.align.caught_up_clock import CaughtUpClock
from stream.align.context import ContextQueue
from stream.align.expiry import Expiry
from stream.align.media_clock import MediaClock
from stream.align.modality_state import ModalityState, Novelty
from stream.align.outcome import ClosedWindow, Outcome
from stream.align.session import SessionAligner
from stream.align.track import TrackAligner, WindowPolicy
from stream.align.utterance import UtteranceLogic, UtteranceWindower, _Run
from stream.align.windower import HoppingLogic, Span
from stream.domain.context import SPEAKER_WINDOWS
from stream.domain.features import Features, TextFeatures, VideoFeatures
from stream.domain.window import Window
from tests.support import invariants
from tests.support.invariants import Check

Rule = Callable[..., Any]
"""A method of the aligner, or a function of its modules."""


@dataclass(frozen=True)
class Mutant:
    """A broken rule.

    Attributes:
        name: How the rule is broken.
        owner: Class or module that has the rule.
        rule: Name of the method, property or function.
        broken: Makes the broken rule from the right one.
        guard: Check that must fail.
        utterances: Whether it is to fail for utterance windows rather than for hopping windows.
    """

    name: str
    owner: Any
    rule: str
    broken: Callable[[Rule], Any]
    guard: Check
    utterances: bool = False


def _always(value: Any) -> Callable[[Rule], Rule]:
    return lambda _rule: lambda *_args, **_options: value


def _every_chunk_is_new(register: Rule) -> Rule:
    def broken(state: ModalityState[str], chunk: Any, now: int) -> Novelty:
        register(state, chunk, now)
        return Novelty.NEW

    return broken


def _every_number_is_new(add_number: Rule) -> Rule:
    def broken(state: ModalityState[str], seq: int) -> bool:
        add_number(state, seq)
        return True

    return broken


def _conflicts_are_repeats(register: Rule) -> Rule:
    return lambda *args: Novelty.NEW if register(*args) is Novelty.NEW else Novelty.REPEATED


def _repeats_count_as_activity(register: Rule) -> Rule:
    def broken(state: ModalityState[str], chunk: Any, now: int) -> Novelty:
        novelty: Novelty = register(state, chunk, now)
        state.last_seen = now
        return novelty

    return broken


def _without_lateness(watermark: Rule) -> Rule:
    return lambda track, *now: watermark(track, *now) + track._policy.allowed_lateness_ms


def _of_the_fastest_modality(_watermark: Rule) -> Rule:
    return lambda track: track._reached_ms() - track._policy.allowed_lateness_ms


def _newest_first(close_window: Rule) -> Rule:
    def broken(logic: HoppingLogic, first_held_ms: int, watermark: float) -> Span | None:
        span = close_window(logic, first_held_ms, watermark)
        while watermark < math.inf and (later := close_window(logic, first_held_ms, watermark)) is not None:
            span = later
        return cast(Span | None, span)

    return broken


def _acks_too_early(close_window: Rule) -> Rule:
    def broken(track: TrackAligner[str], span: Span, warnings: tuple[str, ...]) -> ClosedWindow[str]:
        closed: ClosedWindow[str] = close_window(track, span, warnings)
        early: list[str] = []
        for state in track._modalities.values():
            for index, held in enumerate(state.held):
                if held.start_ms < closed.window.end_ms and held.ack is not None:
                    early.append(held.ack)
                    state.held[index] = structs.replace(held, ack=None)
        return structs.replace(closed, acks=(*closed.acks, *early))

    return broken


def _without_acks(close_window: Rule) -> Rule:
    return lambda *args: structs.replace(close_window(*args), acks=())


def _without_late_chunks(on_chunk: Rule) -> Rule:
    def broken(*args: Any) -> Outcome[str]:
        outcome: Outcome[str] = on_chunk(*args)
        outcome.late = ()
        return outcome

    return broken


def _only_chunks_that_start_inside(window: Rule) -> Rule:
    def broken(*args: Any, **options: Any) -> Window:
        whole: Window = window(*args, **options)
        return structs.replace(whole, text=tuple(t for t in whole.text if t.words[0].start_ms >= whole.start_ms))

    return broken


def _without_final_windows(open_track: Rule) -> Rule:
    return lambda aligner, track, role, _final, now, skews, **options: open_track(aligner, track, role, None, now, skews, **options)


def _without_clock_skews(open_track: Rule) -> Rule:
    return lambda aligner, track, role, final, now, _skews, **options: open_track(aligner, track, role, final, now, **options)


def _without_expectations(open_track: Rule) -> Rule:
    return lambda *args, **_options: open_track(*args)


def _estimating_with_every_chunk(on_chunk: Rule) -> Rule:
    def broken(track: TrackAligner[str], *args: Any) -> Outcome[str]:
        outcome: Outcome[str] = on_chunk(track, *args)
        track._skew.current = track._skew.estimate(track._modalities, 0, track._reached_ms())
        return outcome

    return broken


def _as_if_nothing_were_compared(init: Rule) -> Rule:
    return lambda skew, estimate, _compared_ms: init(skew, estimate, 0)


def _beyond_the_window(stamps: Rule) -> Rule:
    return lambda state, after_ms, _until_ms: stamps(state, after_ms, sys.maxsize)


def _from_the_first_that_arrived(_is_complete: Rule) -> Rule:
    return lambda state, count, *_: count == 0 or (bool(state._ranges) and state._ranges[1] >= count)


def _closed_until_the_watermark(advance: Rule) -> Rule:
    def broken(track: TrackAligner[str], watermark: float, *args: Any) -> None:
        advance(track, watermark, *args)
        if watermark < math.inf:
            track._logic.closed_until_ms = max(0, math.floor(watermark) - 4000)

    return broken


def _uncounted(shed: Rule) -> Rule:
    def broken(aligner: SessionAligner[str]) -> Outcome[str]:
        outcome: Outcome[str] = shed(aligner)
        aligner.shed_windows = 0
        return outcome

    return broken


def _all_time_counts(_tick: Rule) -> Rule:
    def broken(clock: CaughtUpClock, _until: int | None) -> None:
        clock._caught_up = clock._now()

    return broken


def _unnoticed_time_counts(tick: Rule) -> Rule:
    return lambda clock, until: tick(clock, None if until is None else clock._now())


def _without_limit(init: Rule) -> Rule:
    return lambda aligner, *args, **options: init(aligner, *args, **(options | {"max_held": 10**9}))


def _with_shared_tracks(init: Rule) -> Rule:
    shared: dict[Any, Any] = {}

    def broken(aligner: SessionAligner[str], *args: Any, **options: Any) -> None:
        init(aligner, *args, **options)
        aligner._tracks = shared

    return broken


def _by_media_time_alone(_is_restarted: Rule) -> Rule:
    return lambda clock, end_ms, _media_start_at_ms: clock._newest_ms - end_ms > clock._max_back_ms


def _by_capture_time_alone(_is_restarted: Rule) -> Rule:
    return lambda clock, _end_ms, media_start_at_ms: (
        clock._newest_ms > 0 and media_start_at_ms - clock._newest_media_start_at_ms > clock._max_back_ms
    )


def _with_setting(**changes: Any) -> Callable[[Rule], Rule]:
    return lambda build: lambda windower, final_until_ms: build(replace(windower, **changes), final_until_ms)


def _with_features(change: Callable[[Features | None], Features | None]) -> Callable[[Rule], Rule]:
    return lambda on_chunk: lambda logic, start_ms, end_ms, features: on_chunk(logic, start_ms, end_ms, change(features))


def _not_final(features: Features | None) -> Features | None:
    return TextFeatures(features.words) if isinstance(features, TextFeatures) else features


def _no_faces(features: Features | None) -> Features | None:
    return None if isinstance(features, VideoFeatures) else features


def _before_it_is_certain(close_window: Rule) -> Rule:
    def broken(logic: UtteranceLogic, first_held_ms: int, watermark: float) -> Span | None:
        plan = logic._plan()
        passed = plan is not None and plan.end_ms <= watermark
        return cast(Span | None, close_window(logic, first_held_ms, math.inf if passed else watermark))

    return broken


def _up_to_the_watermark(close_gap: Rule) -> Rule:
    def broken(logic: UtteranceLogic, watermark: float) -> None:
        close_gap(logic, watermark)
        if watermark < math.inf and logic._plan() is None:
            logic._close(max(logic.closed_until_ms, math.floor(watermark)))

    return broken


def _at_every_tick(_clock_step: Rule) -> Rule:
    return lambda _track, watermark: watermark


def _also_before_the_last_final(on_chunk: Rule) -> Rule:
    def broken(logic: UtteranceLogic, *chunk: Any) -> None:
        closed_until_ms, logic.closed_until_ms = logic.closed_until_ms, 0
        on_chunk(logic, *chunk)
        logic.closed_until_ms = closed_until_ms

    return broken


def _always_a_word(extend: Rule) -> Rule:
    return lambda run, start_ms, end_ms, **_: extend(run, start_ms, end_ms, is_word=True)


def _from_media_time_0(_build: Rule) -> Rule:
    return lambda windower, _final_until_ms: UtteranceLogic(windower, 0)


def _without_waiting(release_ready: Rule) -> Rule:
    return lambda queue, _next_ends, outcome: release_ready(queue, {}, outcome)


def _up_to_the_end_of_the_window(with_context: Rule) -> Rule:
    return lambda queue, window: structs.replace(
        with_context(queue, structs.replace(window, start_ms=window.end_ms)), start_ms=window.start_ms
    )


def _that_overlap(earlier_windows: Rule) -> Rule:
    return lambda ended, until_ms: tuple(window for window in ended if window.end_ms <= until_ms)[:SPEAKER_WINDOWS]


def _without_starts(add_final_windows: Rule) -> Rule:
    return lambda queue, windows: add_final_windows(queue, [window._replace(start_ms=0) for window in windows])


def _of_open_tracks_only(next_ends: Rule) -> Rule:
    return lambda aligner: {name: end for name, end in next_ends(aligner).items() if name in aligner._tracks}


def _as_if_never_idle(next_end_ms: Rule) -> Rule:
    return lambda track, _now: next_end_ms(track, -(10**9))


def _later(by_ms: int) -> Callable[[Rule], Rule]:
    return lambda next_end_ms: lambda logic, *args: next_end_ms(logic, *args) + by_ms


def _a_second_too_far(close: Rule) -> Rule:
    return lambda logic, until_ms: close(logic, until_ms + 1000)


MUTANTS = (
    Mutant("take every chunk for new", ModalityState, "register", _every_chunk_is_new, invariants.each_number_counts_once),
    Mutant("take conflicts for repeats", ModalityState, "register", _conflicts_are_repeats, invariants.each_number_counts_once),
    Mutant("repeats keep a modality active", ModalityState, "register", _repeats_count_as_activity, invariants.repeats_change_nothing),
    Mutant("forget numbers", ModalityState, "_add_number", _every_number_is_new, invariants.each_number_counts_once),
    Mutant(
        "ignore idleness",
        TrackAligner,
        "_watermark_at",
        lambda _: lambda track, _now: track._watermark(),
        invariants.silence_closes_everything,
    ),
    Mutant("close early by the lateness", TrackAligner, "_watermark", _without_lateness, invariants.no_timely_chunk_is_missing),
    Mutant("follow the fastest modality", TrackAligner, "_watermark", _of_the_fastest_modality, invariants.no_timely_chunk_is_missing),
    Mutant("close out of order", HoppingLogic, "close_window", _newest_first, invariants.no_timely_chunk_is_missing),
    Mutant("release acks early", TrackAligner, "_close_window", _acks_too_early, invariants.every_chunk_is_accounted_for),
    Mutant("never release acks", TrackAligner, "_close_window", _without_acks, invariants.every_chunk_is_accounted_for),
    Mutant("forget late chunks", TrackAligner, "on_chunk", _without_late_chunks, invariants.every_chunk_is_accounted_for),
    Mutant(
        "leave out chunks that began before", TrackAligner, "_window", _only_chunks_that_start_inside, invariants.no_timely_chunk_is_missing
    ),
    Mutant("reopen closed windows", TrackAligner, "_advance", _closed_until_the_watermark, invariants.watermarks_never_go_back),
    Mutant(
        "final windows without a higher revision",
        WindowPolicy,
        "final_revision",
        lambda _: property(lambda _policy: 0),
        invariants.final_windows_stay_final,
    ),
    Mutant("share tracks between sessions", SessionAligner, "__init__", _with_shared_tracks, invariants.sessions_are_independent),
    Mutant("sleep too long", TrackAligner, "notify_at", _always(math.inf), invariants.silence_closes_everything),
    Mutant("close empty windows bit by bit", TrackAligner, "_clock_step", _at_every_tick, invariants.silence_closes_everything),
    Mutant("ignore the end", SessionAligner, "on_end", _always(Outcome()), invariants.silence_closes_everything),
    Mutant("end at once", session, "_has_all_chunks", _always(value=True), invariants.no_timely_chunk_is_missing),
    Mutant(
        "end without the first chunk", ModalityState, "is_complete", _from_the_first_that_arrived, invariants.no_timely_chunk_is_missing
    ),
    Mutant(
        "wait for missing chunks forever",
        Expiry,
        "end_grace_over_at",
        lambda _: property(lambda _expiry: math.inf),
        invariants.silence_closes_everything,
    ),
    Mutant("forget which windows are final", SessionAligner, "open_track", _without_final_windows, invariants.a_crash_changes_nothing),
    Mutant("forget what was expected", SessionAligner, "open_track", _without_expectations, invariants.a_crash_changes_nothing),
    Mutant("forget the clock skews", SessionAligner, "open_track", _without_clock_skews, invariants.a_crash_changes_nothing),
    Mutant(
        "compare chunks again after a crash",
        clock_skew.VideoSkew,
        "__init__",
        _as_if_nothing_were_compared,
        invariants.a_crash_changes_nothing,
    ),
    Mutant(
        "compare chunks as they arrive", TrackAligner, "on_chunk", _estimating_with_every_chunk, invariants.arrival_order_does_not_matter
    ),
    Mutant("compare chunks after the window", clock_skew, "_stamps", _beyond_the_window, invariants.arrival_order_does_not_matter),
    Mutant("accept the future", MediaClock, "is_future", _always(value=False), invariants.watermarks_never_go_back),
    Mutant("take a restart for a repeat", MediaClock, "is_restarted", _always(value=False), invariants.each_number_counts_once),
    Mutant("take a late chunk for a restart", MediaClock, "is_restarted", _by_media_time_alone, invariants.each_number_counts_once),
    Mutant("take a call on hold for a restart", MediaClock, "is_restarted", _by_capture_time_alone, invariants.each_number_counts_once),
    Mutant("wait for no context", ContextQueue, "release_ready", _without_waiting, invariants.context_is_deterministic),
    Mutant("wait for open tracks only", SessionAligner, "_next_ends", _of_open_tracks_only, invariants.context_is_deterministic),
    Mutant("wait for idle tracks", TrackAligner, "next_end_ms", _as_if_never_idle, invariants.silence_closes_everything),
    Mutant("wait too short", HoppingLogic, "next_end_ms", _later(1000), invariants.context_is_deterministic),
    Mutant("forget the context", SessionAligner, "add_final_windows", _always(None), invariants.context_is_deterministic),
    Mutant(
        "choose context that ends later",
        ContextQueue,
        "with_context",
        _up_to_the_end_of_the_window,
        invariants.context_never_holds_later_windows,
    ),
    Mutant(
        "choose earlier windows that overlap",
        align_context,
        "earlier_windows",
        _that_overlap,
        invariants.earlier_windows_are_those_of_the_track,
    ),
    Mutant("forget where final windows began", ContextQueue, "add_final_windows", _without_starts, invariants.a_crash_changes_nothing),
    Mutant("hold without limit", SessionAligner, "__init__", _without_limit, invariants.memory_is_bounded),
    Mutant("shed without counting", SessionAligner, "shed", _uncounted, invariants.memory_is_bounded),
    Mutant("count time while disconnected", CaughtUpClock, "tick", _all_time_counts, invariants.an_outage_is_not_silence),
    Mutant("count time before an outage is noticed", CaughtUpClock, "tick", _unnoticed_time_counts, invariants.an_outage_is_not_silence),
    *(
        Mutant(name, owner, rule, broken, guard, utterances=True)
        for name, owner, rule, broken, guard in (
            ("ignore final texts", UtteranceLogic, "on_chunk", _with_features(_not_final), invariants.utterances_match_hindsight),
            ("ignore faces", UtteranceLogic, "on_chunk", _with_features(_no_faces), invariants.utterances_match_hindsight),
            ("ignore pauses", UtteranceWindower, "build", _with_setting(pause_ms=10**6), invariants.utterances_match_hindsight),
            ("ignore the longest", UtteranceWindower, "build", _with_setting(longest_ms=10**9), invariants.utterances_match_hindsight),
            ("take noise for speech", _Run, "extend", _always_a_word, invariants.utterances_match_hindsight),
            ("close before it is certain", UtteranceLogic, "close_window", _before_it_is_certain, invariants.arrival_order_does_not_matter),
            ("close too much silence", UtteranceLogic, "close_gap", _up_to_the_watermark, invariants.utterances_match_hindsight),
            ("close silence bit by bit", TrackAligner, "_clock_step", _at_every_tick, invariants.silence_closes_everything),
            ("never release silence", UtteranceLogic, "close_gap", _always(None), invariants.silence_closes_everything),
            ("sleep through utterances", UtteranceLogic, "notify_at_ms", _always(10**9), invariants.silence_closes_everything),
            ("use final speech again", UtteranceLogic, "on_chunk", _also_before_the_last_final, invariants.a_crash_changes_nothing),
            ("forget the last utterance", UtteranceWindower, "build", _from_media_time_0, invariants.a_crash_changes_nothing),
            ("close beyond the window", UtteranceLogic, "_close", _a_second_too_far, invariants.no_timely_chunk_is_missing),
            ("hold utterances without limit", SessionAligner, "__init__", _without_limit, invariants.memory_is_bounded),
            ("release utterances early", TrackAligner, "_close_window", _acks_too_early, invariants.every_chunk_is_accounted_for),
        )
    ),
)
