"""Invariants P1 to P10 of the aligner, which hold for every history. Each check fails with an AssertionError.

Checks in `LOSSLESS_CHECKS` and `UTTERANCE_CHECKS` need a lossless history: no chunk is lost, and all arrive within the allowed lateness.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace

from msgspec import structs

from stream.align.outcome import ClosedWindow
from stream.align.windower import HoppingWindower
from stream.domain.context import CONTEXT_WINDOWS, SPEAKER_WINDOWS, ContextWindow
from stream.domain.modality import Modality
from stream.domain.warning_codes import WarningCode
from stream.domain.window import Window
from tests.support.aligner_runs import AlignerRun, Outage, Player, events, play_backlog, play_live, settle_ms
from tests.support.histories import Delivery, History
from tests.support.utterances import utterances


def arrival_order_does_not_matter(lossless: History) -> None:
    """P1: windows depend on which chunks arrive, not on their order."""
    assert _finals(lossless, play_backlog(lossless)) == _finals(lossless, play_backlog(lossless.in_media_order()))


def _finals(history: History, run: AlignerRun) -> dict[str, Window]:
    """Final windows by id. If the start comes late, which windows close before it may change, and with them what they expect."""
    if history.start_at:
        return {key: structs.replace(window, modalities_expected=()) for key, window in run.finals().items()}
    return run.finals()


def no_timely_chunk_is_missing(lossless: History) -> None:
    """P1, P2: a chunk that arrives within the allowed lateness is in all windows that it touches."""
    run = play_backlog(lossless)
    repeats = {d.name for d in lossless.repeats()}
    for delivery in lossless.deliveries:
        assert run.fates[delivery.name].kind == ("repeated" if delivery.name in repeats else "held"), delivery.name
    _every_chunk_is_accounted_for(lossless, run, lossless=True)


def every_chunk_is_accounted_for(history: History) -> None:
    """P2: a delivery is either reported, or in all open windows that it touches and released exactly once."""
    for run in (play_backlog(history), play_live(history)):
        _every_chunk_is_accounted_for(history, run, lossless=False)


def _every_chunk_is_accounted_for(history: History, run: AlignerRun, *, lossless: bool) -> None:
    windows: dict[str, list[Window]] = defaultdict(list)
    ends: dict[str, list[int]] = defaultdict(list)
    for _, closed in run.closed:
        ends[closed.window.track.track].append(closed.window.end_ms)
        for feature in closed.window.text:
            windows[feature.words[0].text].append(closed.window)
    released = _windows_closed_at_release(run)
    hopping = isinstance(history.policy.windower, HoppingWindower)
    for delivery in history.deliveries:
        fate = run.fates[delivery.name]
        touched = _windows_touched(history, run, delivery)
        wanted = [end for start, end in touched if lossless or start >= fate.closed_until_ms]
        if fate.kind == "held":
            assert wanted or not hopping, f"{delivery.name} arrived when all its windows were closed"
            assert [w.end_ms for w in windows[delivery.name]] == wanted, delivery.name
            assert delivery.name in released, f"{delivery.name} is never released"
            needed = ends[delivery.track].index(wanted[-1]) + 1 if wanted else 0
            assert released[delivery.name] >= needed, f"{delivery.name} is released before its last window"
            assert released[delivery.name] == needed or not hopping, f"{delivery.name} is released after its last window"
        else:
            assert delivery.name not in windows, f"{delivery.name} is {fate.kind} and in a window"
            assert delivery.name not in released, f"{delivery.name} is {fate.kind} and released"
        if fate.kind == "late":
            assert run.ended or not wanted, f"{delivery.name} is late for an open window"
            assert run.late_by[delivery.name] > 0


def _windows_closed_at_release(run: AlignerRun) -> dict[str, int]:
    """For each released chunk the number of windows of its track that had closed by then, including the window that released it."""
    released: dict[str, int] = {}
    closed_windows: Counter[str] = Counter()
    for _, closed in run.closed:
        track = closed.window.track.track
        closed_windows[track] += 1
        for ack in closed.acks:
            assert ack not in released, f"{ack} is released twice"
            released[ack] = closed_windows[track]
    for _, before, acks in run.unused:
        for ack in acks:
            assert ack not in released, f"{ack} is released twice"
            released[ack] = before
    return released


def _windows_touched(history: History, run: AlignerRun, delivery: Delivery) -> list[tuple[int, int]]:
    """Start and end of the windows that a chunk touches: all that can exist if windows are hopping, else those that closed."""
    windower = history.policy.windower
    if isinstance(windower, HoppingWindower):
        starts = range(windower.first_start_ms(delivery.start_ms), delivery.end_ms, windower.hop_ms)
        return [(start, start + windower.length_ms) for start in starts]
    windows = [closed.window for _, closed in run.closed if closed.window.track == delivery.key]
    return [(w.start_ms, w.end_ms) for w in windows if w.start_ms < delivery.end_ms and w.end_ms > delivery.start_ms]


def utterances_match_hindsight(lossless: History) -> None:
    """Utterance windows are those that can be found with all chunks of the session at hand."""
    run = play_backlog(lossless)
    for track in {d.track for d in lossless.deliveries}:
        found = [(c.window.start_ms, c.window.end_ms) for _, c in run.closed if c.window.track.track == track]
        assert found == utterances(lossless, track), track


def each_number_counts_once(history: History) -> None:
    """P2, P6: the first chunk with a number counts; the same chunk again is a repeat, another chunk a conflict, an hour ahead the future.

    A restart of the media clock is neither a repeat nor a conflict, and neither a late chunk nor a call on hold is a restart.
    """
    run = play_live(history)
    first: dict[tuple[str, Modality, int], bool] = {}
    for delivery in history.deliveries:
        kind = run.fates[delivery.name].kind
        number = (*delivery.modality_key, delivery.seq)
        if delivery.future:
            assert kind == "future", f"{delivery.name} is {kind}"
        elif delivery.restarted:
            assert kind == "restarted", f"{delivery.name} is {kind}"
        elif number in first:
            assert kind == ("repeated" if first[number] == delivery.other else "conflict"), f"{delivery.name} is {kind}"
        else:
            first[number] = delivery.other
            assert kind in {"held", "late"}, f"{delivery.name} is {kind}"


def final_windows_stay_final(history: History) -> None:
    """P3: each window has one final revision, in order of time; revisions rise up to it and none follows it."""
    for run in (play_backlog(history), play_live(history)):
        run.finals()
        last_revision: dict[str, int] = {}
        final_until: Counter[str] = Counter()
        for window in run.emitted:
            track = window.track.track
            assert window.revision > last_revision.get(window.id, -1), f"{window.id} goes back to revision {window.revision}"
            assert window.end_ms > final_until[track], f"{window.id} comes after the final of {final_until[track]}"
            last_revision[window.id] = window.revision
            if window.is_final:
                final_until[track] = window.end_ms


def watermarks_never_go_back(history: History) -> None:
    """P4: what is closed stays closed, and neither a chunk from the future nor a restarted media clock changes a window."""
    for run in (play_backlog(history), play_live(history)):
        for track, marks in run.watermarks.items():
            assert marks == sorted(marks), track
    refused = [d.name for d in history.deliveries if d.future or d.restarted]
    assert play_backlog(history).finals() == play_backlog(history.without(*refused)).finals()


def a_crash_changes_nothing(lossless: History) -> None:
    """P5: wherever a worker dies, a replay of the records that it had not acknowledged gives the same windows."""
    whole = _finals(lossless, play_backlog(lossless))
    for crash_after in _crash_points(lossless):
        for unpublished in (0, 1):
            published, replay = _crash(lossless, crash_after, unpublished)
            replayed = replay.finals()
            assert not published.keys() & replayed.keys(), "a window is final again after the crash"
            replay.closed[:0] = [(0, ClosedWindow(window, (), 0)) for window in published.values()]
            assert _finals(lossless, replay) == whole, f"crash after {crash_after} steps with {unpublished} windows unpublished"


def no_window_is_final_again_after_a_crash(history: History) -> None:
    """P3, P5: even if chunks were lost or late."""
    published, replay = _crash(history, len(history.deliveries) // 2, 1)
    assert not published.keys() & replay.finals().keys()


def context_is_deterministic(lossless: History) -> None:
    """P10: with a plan, the context of a window is the newest windows that ended before it, in any order of arrival and after a crash."""
    planned = replace(lossless, start_at=0)
    run = play_backlog(planned)
    expected = {key: _ended_before(window, run.finals().values()) for key, window in run.finals().items()}
    assert run.contexts() == expected
    assert play_backlog(planned.in_media_order()).contexts() == expected
    for crash_after in _crash_points(lossless):
        for unpublished in (0, 1):
            published, replay = _crash(planned, crash_after, unpublished)
            found = {key: window.context for key, window in published.items()} | replay.contexts()
            assert found == expected, f"crash after {crash_after} steps with {unpublished} windows unpublished"


def context_never_holds_later_windows(history: History) -> None:
    """P10: even if chunks are lost or late, the windows of a context ended before the window began and were handed out before it."""
    for run in (play_backlog(history), play_live(history)):
        handed_out: list[Window] = []
        for _, closed in run.closed:
            assert closed.window.context == _ended_before(closed.window, handed_out)
            handed_out.append(closed.window)


def earlier_windows_are_those_of_the_track(history: History) -> None:
    """P10: even if chunks are lost or late, and without a plan, the earlier windows are chosen from all that the track had before."""
    for run in (play_backlog(history), play_live(history)):
        handed_out: list[Window] = []
        for window in run.finals().values():
            expected, until_ms = list[Window](), window.start_ms
            while (before := [w for w in handed_out if w.track == window.track and w.end_ms <= until_ms]) and len(
                expected
            ) < SPEAKER_WINDOWS:
                expected.append(max(before, key=lambda w: w.end_ms))
                until_ms = expected[-1].start_ms
            assert window.earlier == tuple(ContextWindow(w.track.track, w.start_ms, w.end_ms) for w in expected)
            handed_out.append(window)


def _ended_before(window: Window, others: Iterable[Window]) -> tuple[ContextWindow, ...]:
    own = window.track.track
    earlier = [(-w.end_ms, w.track.track != own, w.track.track) for w in others if w.end_ms <= window.start_ms]
    starts = {(w.track.track, w.end_ms): w.start_ms for w in others}
    return tuple(ContextWindow(track, starts[track, -end], -end) for end, _, track in sorted(earlier)[:CONTEXT_WINDOWS])


def _crash_points(history: History) -> list[int]:
    """Numbers of steps after which a worker dies."""
    count = len(history.deliveries)
    return sorted({count // 3, count // 2, count - 1, count + 2} - {-1})


def _crash(history: History, crash_after: int, unpublished: int) -> tuple[dict[str, Window], AlignerRun]:
    """A worker dies after some steps, and another one replays the records that were not acknowledged.

    Returns:
        The windows that the first worker had published, and the run of the second.
    """
    steps = [event for _, event in events(history)]
    player = Player(history)
    for step in steps[:crash_after]:
        player.step(step, 0)
    by_track: dict[str, list[tuple[Window, tuple[str, ...]]]] = defaultdict(list)
    for _, closed in player.run.closed:
        by_track[closed.window.track.track].append((closed.window, closed.acks))
    published = {track: windows[: len(windows) - unpublished] for track, windows in by_track.items()}
    acknowledged = {name for name, fate in player.run.fates.items() if fate.kind != "held"}
    acknowledged |= {ack for windows in published.values() for _, acks in windows for ack in acks}
    acknowledged |= {ack for track, before, acks in player.run.unused if before <= len(published.get(track, ())) for ack in acks}
    last_finals = {track: windows[-1][0] for track, windows in published.items() if windows}
    finals = {window.id: window for windows in published.values() for window, _ in windows}
    final_windows = [ContextWindow(window.track.track, window.start_ms, window.end_ms) for window in finals.values()]
    return finals, play_backlog(history, _uncommitted(steps, acknowledged), last_finals, final_windows=final_windows)


def _uncommitted(steps: list[Delivery | str], acknowledged: set[str]) -> list[Delivery | str]:
    """The steps after a crash. Each modality has a topic of its own and continues with its first record that is not acknowledged."""
    open_topics: set[Modality] = set()
    left = []
    for step in steps:
        if isinstance(step, Delivery):
            if step.name not in acknowledged:
                open_topics.add(step.modality)
            if step.modality not in open_topics:
                continue
        left.append(step)
    return left


def repeats_change_nothing(history: History) -> None:
    """P6: neither a repeat nor a conflict changes a window or when it closes."""
    repeats = [d.name for d in history.repeats()]
    with_repeats, without = play_live(history), play_live(history.without(*repeats))
    assert with_repeats.windows() == without.windows()[: len(with_repeats.closed)]
    assert with_repeats.finals() == without.finals()


def memory_is_bounded(history: History) -> None:
    """P7: no more chunks are held than the limit allows, and windows that are closed early because of it are counted."""
    bounded = replace(history, max_held=6)
    for run in (play_backlog(bounded), play_live(bounded)):
        assert run.peak_held <= 6
        assert run.shed_windows == sum(WarningCode.SHED in window.warnings for window in run.finals().values())


def silence_closes_everything(history: History) -> None:
    """P8: some time after the last input nothing is open, and it is enough to call the aligner when it asked to be called."""
    run = play_live(history)
    assert run.held == 0, f"{run.held} chunks are still held {settle_ms(history)} ms after the last input"
    assert not run.waiting, f"a window still waits for its context {settle_ms(history)} ms after the last input"
    if history.end_at is not None:
        assert run.ended
    # Without a limit: a lazy player holds silence for longer, and would have to shed windows that the other closes in time.
    unlimited = replace(history, max_held=sys.maxsize)
    run, lazy = play_live(unlimited), play_live(unlimited, lazy=True)
    assert lazy.held == 0
    assert lazy.windows() == run.windows()
    assert lazy.fates == run.fates


def an_outage_is_not_silence(history: History) -> None:
    """P8: no window closes while the worker cannot read."""
    run = play_live(history)
    for at in (500, 3000):
        assert play_live(history, Outage(at, 20_000)).windows() == run.windows()


def sessions_are_independent(history: History) -> None:
    """P9: another session that is read alternately with this one changes nothing."""
    other = replace(history.in_media_order(), end_at=None)
    mine, theirs = Player(history), Player(other)
    left, right = [e for _, e in events(history)], [e for _, e in events(other)]
    for index in range(max(len(left), len(right))):
        for player, steps in ((mine, left), (theirs, right)):
            if index < len(steps):
                player.step(steps[index], 0)
    theirs.finish()
    assert mine.finish().closed == play_backlog(history).closed


Check = Callable[[History], None]

UTTERANCE_CHECKS: tuple[Check, ...] = (utterances_match_hindsight,)
LOSSLESS_CHECKS: tuple[Check, ...] = (
    arrival_order_does_not_matter,
    no_timely_chunk_is_missing,
    a_crash_changes_nothing,
    context_is_deterministic,
)
ANY_CHECKS: tuple[Check, ...] = (
    every_chunk_is_accounted_for,
    each_number_counts_once,
    final_windows_stay_final,
    watermarks_never_go_back,
    no_window_is_final_again_after_a_crash,
    repeats_change_nothing,
    memory_is_bounded,
    silence_closes_everything,
    an_outage_is_not_silence,
    sessions_are_independent,
    context_never_holds_later_windows,
    earlier_windows_are_those_of_the_track,
)
