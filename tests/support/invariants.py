"""What holds for every history: P1 to P10. Each check fails with an AssertionError."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace

from msgspec import structs

from stream.align.grid import HoppingGrid
from stream.align.utterance import UtteranceRule
from stream.domain.delivery import LastFinal
from stream.domain.modality import Modality
from stream.domain.past import PAST_WINDOWS, PastWindow
from stream.domain.sync import decode_sync, encode_sync
from stream.domain.window import Window
from tests.support.aligner_runs import Outage, Player, Run, events, patience_ms, play_live, play_unhurried
from tests.support.histories import Delivery, History
from tests.support.utterances import utterances


def order_does_not_matter(calm: History) -> None:
    """P1: windows depend on which chunks came, not on their order."""
    assert play_unhurried(calm).finals() == play_unhurried(calm.in_media_order()).finals()


def nothing_is_missing(calm: History) -> None:
    """P1, P2: whatever comes within the allowed lateness is in all the windows that it touches."""
    run = play_unhurried(calm)
    repeats = {d.name for d in calm.repeats()}
    for delivery in calm.deliveries:
        assert run.fates[delivery.name].kind == ("repeated" if delivery.name in repeats else "held"), delivery.name
    _every_chunk_is_where_it_belongs(calm, run, calm=True)


def everything_is_somewhere(history: History) -> None:
    """P2: each delivery is in the windows that it touches and that were open, or reported, and released exactly once."""
    for run in (play_unhurried(history), play_live(history)):
        _every_chunk_is_where_it_belongs(history, run, calm=False)


def _every_chunk_is_where_it_belongs(history: History, run: Run, *, calm: bool) -> None:
    places: dict[str, list[Window]] = defaultdict(list)
    released: dict[str, int] = {}
    ends: dict[str, list[int]] = defaultdict(list)
    for _, closed in run.closings:
        track = closed.window.track.track
        ends[track].append(closed.window.end_ms)
        for feature in closed.window.text:
            places[feature.words[0].text].append(closed.window)
        for receipt in closed.receipts:
            assert receipt not in released, f"{receipt} is released twice"
            released[receipt] = len(ends[track])
    for _, before, receipts in run.unused:
        for receipt in receipts:
            assert receipt not in released, f"{receipt} is released twice"
            released[receipt] = before
    on_grid = isinstance(history.policy.rule, HoppingGrid)
    for delivery in history.deliveries:
        fate = run.fates[delivery.name]
        touched = _windows_touched(history, run, delivery)
        wanted = [end for start, end in touched if calm or start >= fate.closed_until_ms]
        if fate.kind == "held":
            assert wanted or not on_grid, f"{delivery.name} came when all its windows were closed"
            assert [w.end_ms for w in places[delivery.name]] == wanted, delivery.name
            assert delivery.name in released, f"{delivery.name} is never released"
            needed = ends[delivery.track].index(wanted[-1]) + 1 if wanted else 0
            assert released[delivery.name] >= needed, f"{delivery.name} is released before its last window"
            assert released[delivery.name] == needed or not on_grid, f"{delivery.name} is released after its last window"
        else:
            assert delivery.name not in places, f"{delivery.name} is {fate.kind} and in a window"
            assert delivery.name not in released, f"{delivery.name} is {fate.kind} and released"
        if fate.kind == "late":
            assert run.ended or not wanted, f"{delivery.name} is late for an open window"
            assert run.late_by[delivery.name] > 0


def _windows_touched(history: History, run: Run, delivery: Delivery) -> list[tuple[int, int]]:
    """Start and end of the windows that a chunk touches: on a grid all that there can be, else those that closed."""
    rule = history.policy.rule
    if isinstance(rule, HoppingGrid):
        starts = range(rule.first_ms(delivery.start_ms), delivery.end_ms, rule.hop_ms)
        return [(start, start + rule.length_ms) for start in starts]
    windows = [closed.window for _, closed in run.closings if closed.window.track == delivery.key]
    return [(w.start_ms, w.end_ms) for w in windows if w.start_ms < delivery.end_ms and w.end_ms > delivery.start_ms]


def utterances_are_whole(calm: History) -> None:
    """Windows are those that somebody who knew all of the session from the start would cut."""
    run = play_unhurried(calm)
    for track in {d.track for d in calm.deliveries}:
        found = [(c.window.start_ms, c.window.end_ms) for _, c in run.closings if c.window.track.track == track]
        assert found == utterances(calm, track), track


def each_number_counts_once(history: History) -> None:
    """P2, P6: the first chunk with a number counts; the same again is repeated, another one a conflict, an hour ahead the future.

    A late chunk and a call on hold are no media clock that began anew, and that is neither a repeat nor a conflict.
    """
    run = play_live(history)
    first: dict[tuple[str, Modality, int], bool] = {}
    for delivery in history.deliveries:
        kind = run.fates[delivery.name].kind
        number = (*delivery.lane, delivery.seq)
        if delivery.future:
            assert kind == "future", f"{delivery.name} is {kind}"
        elif delivery.restarted:
            assert kind == "restarted", f"{delivery.name} is {kind}"
        elif number in first:
            assert kind == ("repeated" if first[number] == delivery.other else "conflict"), f"{delivery.name} is {kind}"
        else:
            first[number] = delivery.other
            assert kind in {"held", "late"}, f"{delivery.name} is {kind}"


def finals_are_final(history: History) -> None:
    """P3: one final for each window, in order; revisions rise up to it and nothing follows it."""
    for run in (play_unhurried(history), play_live(history)):
        run.finals()
        last_revision: dict[str, int] = {}
        final_until: Counter[str] = Counter()
        for window in run.shown:
            track = window.track.track
            assert window.revision > last_revision.get(window.id, -1), f"{window.id} goes back to revision {window.revision}"
            assert window.end_ms > final_until[track], f"{window.id} comes after the final of {final_until[track]}"
            last_revision[window.id] = window.revision
            if window.is_final:
                final_until[track] = window.end_ms


def watermarks_never_go_back(history: History) -> None:
    """P4: what is closed stays closed, and neither the future nor a media clock that began anew opens anything."""
    for run in (play_unhurried(history), play_live(history)):
        for track, marks in run.watermarks.items():
            assert marks == sorted(marks), track
    refused = [d.name for d in history.deliveries if d.future or d.restarted]
    assert play_unhurried(history).finals() == play_unhurried(history.without(*refused)).finals()


def a_crash_changes_nothing(calm: History) -> None:
    """P5: wherever a worker dies, what Kafka still holds leads to the same windows."""
    whole = play_unhurried(calm).finals()
    count = len(calm.deliveries)
    for crash_after in sorted({count // 3, count // 2, count - 1, count + 2} - {-1}):
        for unpublished in (0, 1):
            published, replay = _crash(calm, crash_after, unpublished)
            replayed = replay.finals()
            assert not published.keys() & replayed.keys(), "a window is final again after the crash"
            assert {key: structs.replace(window, past=()) for key, window in published.items()} | replayed == whole, (
                f"crash after {crash_after} steps with {unpublished} windows unpublished"
            )


def a_crash_finalises_nothing_twice(history: History) -> None:
    """P3, P5: also where chunks were lost or late."""
    published, replay = _crash(history, len(history.deliveries) // 2, 1)
    assert not published.keys() & replay.finals().keys()


def the_past_is_the_same(calm: History) -> None:
    """P10: with a plan, every window hears the newest that ended before it, in whatever order chunks come and wherever a worker dies."""
    planned = replace(calm, start_at=0)
    run = play_unhurried(planned)
    expected = {key: _ended_before(window, run.finals().values()) for key, window in run.finals().items()}
    assert run.past() == expected
    assert play_unhurried(planned.in_media_order()).past() == expected
    count = len(calm.deliveries)
    for crash_after in sorted({count // 3, count // 2, count - 1, count + 2} - {-1}):
        for unpublished in (0, 1):
            published, replay = _crash(planned, crash_after, unpublished)
            found = {key: window.past for key, window in published.items()} | replay.past()
            assert found == expected, f"crash after {crash_after} steps with {unpublished} windows unpublished"


def _ended_before(window: Window, others: Iterable[Window]) -> tuple[PastWindow, ...]:
    own = window.track.track
    earlier = [(-w.end_ms, w.track.track != own, w.track.track) for w in others if w.end_ms <= window.start_ms]
    return tuple(PastWindow(track, -end) for end, _, track in sorted(earlier)[:PAST_WINDOWS])


def nothing_hears_the_future(history: History) -> None:
    """P10: also where chunks are lost or late, a window hears only what ended before it began and was handed out before it."""
    for run in (play_unhurried(history), play_live(history)):
        done: list[Window] = []
        for _, closed in run.closings:
            assert closed.window.past == _ended_before(closed.window, done)
            done.append(closed.window)


def _crash(history: History, crash_after: int, unpublished: int) -> tuple[dict[str, Window], Run]:
    steps = [event for _, event in events(history)]
    player = Player(history)
    for step in steps[:crash_after]:
        player.step(step, 0)
    by_track: dict[str, list[tuple[Window, tuple[str, ...]]]] = defaultdict(list)
    for _, closed in player.run.closings:
        by_track[closed.window.track.track].append((closed.window, closed.receipts))
    published = {track: closed[: len(closed) - unpublished] for track, closed in by_track.items()}
    done = {name for name, fate in player.run.fates.items() if fate.kind != "held"}
    done |= {receipt for closed in published.values() for _, receipts in closed for receipt in receipts}
    done |= {receipt for track, before, receipts in player.run.unused if before <= len(published.get(track, ())) for receipt in receipts}
    last_finals = {track: _last_final(closed[-1][0]) for track, closed in published.items() if closed}
    finals = {window.id: window for closed in published.values() for window, _ in closed}
    past = [PastWindow(window.track.track, window.end_ms) for window in finals.values()]
    return finals, play_unhurried(history, _uncommitted(steps, done), last_finals, past=past)


def _last_final(window: Window) -> LastFinal:
    """As the store gives it back."""
    return LastFinal(window.epoch, window.end_ms, decode_sync(encode_sync(window.sync)))


def _uncommitted(steps: list[Delivery | str], done: set[str]) -> list[Delivery | str]:
    """Each modality is a topic of its own and goes on at its first record that is not acknowledged."""
    open_topics: set[Modality] = set()
    left = []
    for step in steps:
        if isinstance(step, Delivery):
            if step.name not in done:
                open_topics.add(step.modality)
            if step.modality not in open_topics:
                continue
        left.append(step)
    return left


def a_snapshot_changes_nothing(history: History) -> None:
    """P5: an aligner that is replaced by its own snapshot again and again does what it would have done."""
    for play in (play_unhurried, play_live):
        whole, reborn = play(history), play(history, reborn=True)
        closed = [(at, closed.window) for at, closed in whole.closings]
        assert [(at, closed.window) for at, closed in reborn.closings] == closed
        for run in (whole, reborn):
            run.closings.clear()
            run.unused.clear()
        assert reborn == whole


def repeats_change_nothing(history: History) -> None:
    """P6: neither a repeat nor a conflict changes a window or when it closes."""
    repeats = [d.name for d in history.repeats()]
    with_them, without = play_live(history), play_live(history.without(*repeats))
    assert with_them.windows() == without.windows()[: len(with_them.closings)]
    assert with_them.finals() == without.finals()


def memory_is_bounded(history: History) -> None:
    """P7: no more chunks wait than may, and the windows that this costs are counted."""
    bounded = replace(history, max_held=6)
    for run in (play_unhurried(bounded), play_live(bounded)):
        assert run.most_held <= 6
        assert run.shed == sum("shed" in window.warnings for window in run.finals().values())


def silence_closes_everything(history: History) -> None:
    """P8: some time after the last input nothing is open, and looking only when something is due is enough."""
    run = play_live(history)
    assert run.held == 0, f"{run.held} chunks still wait {patience_ms(history)} ms after the last input"
    assert not run.waits, f"a window still waits for its past {patience_ms(history)} ms after the last input"
    if history.end_at is not None:
        assert run.ended
    roomy = replace(history, max_held=sys.maxsize)  # who looks seldom holds silence longer, and must shed what the other need not
    run, lazy = play_live(roomy), play_live(roomy, lazy=True)
    assert lazy.held == 0
    if isinstance(history.policy.rule, UtteranceRule):  # what comes after a silence is certain the sooner the closer it was watched
        assert lazy.finals() == run.finals()
    else:
        assert lazy.windows() == run.windows()


def an_outage_is_not_silence(history: History) -> None:
    """P8: while the worker cannot listen, no window closes."""
    run = play_live(history)
    for at in (500, 3000):
        assert play_live(history, Outage(at, 20_000)).windows() == run.windows()


def sessions_are_independent(history: History) -> None:
    """P9: another session beside it, record by record, changes nothing."""
    other = replace(history.in_media_order(), end_at=None)
    mine, theirs = Player(history), Player(other)
    left, right = [e for _, e in events(history)], [e for _, e in events(other)]
    for index in range(max(len(left), len(right))):
        for player, steps in ((mine, left), (theirs, right)):
            if index < len(steps):
                player.step(steps[index], 0)
    theirs.finish()
    assert mine.finish().closings == play_unhurried(history).closings


Check = Callable[[History], None]

OF_UTTERANCES: tuple[Check, ...] = (utterances_are_whole,)
OF_CALM: tuple[Check, ...] = (order_does_not_matter, nothing_is_missing, a_crash_changes_nothing, the_past_is_the_same)
OF_ANY: tuple[Check, ...] = (
    everything_is_somewhere,
    each_number_counts_once,
    finals_are_final,
    watermarks_never_go_back,
    a_crash_finalises_nothing_twice,
    a_snapshot_changes_nothing,
    repeats_change_nothing,
    memory_is_bounded,
    silence_closes_everything,
    an_outage_is_not_silence,
    sessions_are_independent,
    nothing_hears_the_future,
)
