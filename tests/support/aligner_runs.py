"""Plays a history to an aligner in virtual time and writes down what became of everything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from msgspec import structs

from stream.align.clock import ListeningClock
from stream.align.outcome import ClosedWindow, Outcome
from stream.align.session import SessionAligner
from stream.align.utterance import UtteranceRule
from stream.domain.delivery import LastFinal
from stream.domain.features import Features, TextFeatures, Word
from stream.domain.past import PastWindow
from stream.domain.window import Window
from tests.support.histories import FAR_MS, SESSION, Delivery, History

TICK_MS = 250
NOTICED_AFTER_MS = 1100
"""So long an outage looks like nothing new."""
EXPIRE_MS = 600_000
FOREIGN = TextFeatures((Word("of another session", 0, 1),))


@dataclass(frozen=True)
class Outage:
    """From ``at`` on nothing is heard for ``length_ms``; what happens later, happens so much later."""

    at: int
    length_ms: int


@dataclass(frozen=True)
class Fate:
    """What became of a delivery, and which media time was closed on its track when it came."""

    kind: str
    closed_until_ms: int


@dataclass
class Run:
    """A finished run.

    Attributes:
        closings: (listening time, track's window) in order; features in windows are replaced by their chunk's label.
        unused: (track, how many of its windows had closed before, receipts) of chunks in no further window.
        shown: Every window handed out, partial or final, in order.
        fates: By name of the delivery.
        late_by: Of late deliveries.
        watermarks: By track, ``closed_until_ms`` after every step.
        most_held: The most chunks that waited at once.
        held: Chunks that waited in the end.
        waits: Whether a closed window waited for its past in the end.
        shed: Windows that were counted as shed.
    """

    closings: list[tuple[int, ClosedWindow[str]]] = field(default_factory=list)
    unused: list[tuple[str, int, tuple[str, ...]]] = field(default_factory=list)
    shown: list[Window] = field(default_factory=list)
    fates: dict[str, Fate] = field(default_factory=dict)
    late_by: dict[str, int] = field(default_factory=dict)
    watermarks: dict[str, list[int]] = field(default_factory=dict)
    most_held: int = 0
    held: int = 0
    waits: bool = False
    ended: bool = False
    shed: int = 0

    def windows(self) -> list[tuple[int, Window]]:
        """When each window closed. A chunk of silence may be let go of with the next window or before: that is left out."""
        return [(at, closed.window) for at, closed in self.closings]

    def finals(self) -> dict[str, Window]:
        """Final windows by id, without their past; fails when an id comes twice."""
        found: dict[str, Window] = {}
        for _, closed in self.closings:
            assert closed.window.id not in found, f"{closed.window.id} is final twice"
            found[closed.window.id] = structs.replace(closed.window, past=())
        return found

    def past(self) -> dict[str, tuple[PastWindow, ...]]:
        """What each final window hears, by its id."""
        return {closed.window.id: closed.window.past for _, closed in self.closings}


class Player:
    """One aligner and its run; a ``reborn`` one is restored from a snapshot of itself before every step."""

    def __init__(
        self,
        history: History,
        last_finals: Mapping[str, LastFinal] | None = None,
        *,
        now: int = 0,
        lazy: bool = False,
        reborn: bool = False,
        past: Iterable[PastWindow] = (),
    ) -> None:
        self.run = Run()
        self._history = history
        self._last_finals = last_finals or {}
        self._lazy = lazy
        self._reborn = reborn
        self._due_ms = 0.0
        self._labels: dict[int, tuple[Features, TextFeatures]] = {}
        self._aligner = self._new_aligner(now)
        self._aligner.remember(past, now)

    def _new_aligner(self, now: int) -> SessionAligner[str]:
        return SessionAligner(
            SESSION,
            0,
            self._history.policy,
            end_grace_ms=self._history.end_grace_ms,
            expire_after_ms=EXPIRE_MS,
            max_ahead_ms=60_000,
            max_back_ms=FAR_MS,
            max_held=self._history.max_held,
            now=now,
        )

    def _be_reborn(self) -> None:
        if self._reborn:
            seen = self._aligner.snapshot()
            self._aligner = self._new_aligner(0)
            self._aligner.restore(seen)

    def step(self, event: Delivery | str, now: int) -> None:
        """A delivery, ``start`` or ``end``."""
        self._be_reborn()
        self._due_ms = 0
        if isinstance(event, Delivery):
            self._deliver(event, now)
        elif event == "start":
            self._aligner.on_start(self._history.start(), now)
        else:
            self._take(self._aligner.on_end(self._history.end(), now), now)

    def tick(self, now: int) -> None:
        """Time passes."""
        self._be_reborn()
        if not self._lazy or now >= self._due_ms:
            self._take(self._aligner.on_time(now), now)
            self._due_ms = self._aligner.due_ms(now)

    def finish(self) -> Run:
        """Close what is open."""
        self._be_reborn()
        self._take(self._aligner.finish(), 0)
        return self.run

    def _deliver(self, delivery: Delivery, now: int) -> None:
        if not self._aligner.knows(delivery.key):
            last = self._last_finals.get(delivery.track)
            self._aligner.open_track(delivery.key, "customer", last and last.end_ms, now, last and last.sync)
        before = self._aligner._tracks[delivery.track].closed_until_ms
        chunk = delivery.chunk()
        if not self._aligner.admits(chunk.header):
            self.run.fates[delivery.name] = Fate("restarted", before)
            return
        if chunk.features is not None:
            self._labels[id(chunk.features)] = chunk.features, delivery.label()
        outcome = self._aligner.on_chunk(chunk, now)
        kinds = [
            kind
            for kind, names in {
                "late": [late.chunk.receipt for late in outcome.late],
                "repeated": [c.receipt for c in outcome.repeated],
                "conflict": [c.receipt for c in outcome.conflicts],
                "future": [c.receipt for c in outcome.future],
            }.items()
            if delivery.name in names
        ]
        assert len(kinds) <= 1, f"{delivery.name} is {kinds}"
        self.run.fates[delivery.name] = Fate(kinds[0] if kinds else "held", before)
        self.run.late_by.update({str(late.chunk.receipt): late.late_by_ms for late in outcome.late})
        self._take(outcome, now)

    def _take(self, outcome: Outcome[str], now: int) -> None:
        run = self.run
        run.shown += [self._labelled(window) for window in outcome.partial]
        closed = [structs.replace(c, window=self._labelled(c.window)) for c in outcome.closed]
        run.shown += [c.window for c in closed]
        run.closings += [(now, c) for c in closed]
        for unused in outcome.unused:
            before = sum(c.window.track == unused.track for _, c in run.closings)
            run.unused.append((unused.track.track, before, unused.receipts))
        for name, track in self._aligner._tracks.items():
            run.watermarks.setdefault(name, []).append(track.closed_until_ms)
        run.held = self._aligner.held
        run.waits = bool(self._aligner._past.waiting)
        run.most_held = max(run.most_held, run.held)
        run.ended = self._aligner.ended
        run.shed = self._aligner.shed_windows

    def _labelled(self, window: Window) -> Window:
        held = (*window.text, *window.audio, *window.video)
        labels = tuple(self._labels[id(features)][1] if id(features) in self._labels else FOREIGN for features in held)
        return structs.replace(window, text=labels, audio=(), video=())


def events(history: History) -> list[tuple[int, Delivery | str]]:
    """Deliveries, start and end in order of time."""
    timed: list[tuple[int, int, Delivery | str]] = [(d.at, 1, d) for d in history.deliveries]
    if history.start_at is not None:
        timed.append((history.start_at, 0, "start"))
    if history.end_at is not None:
        timed.append((history.end_at, 2, "end"))
    return [(at, event) for at, _, event in sorted(timed, key=lambda t: t[:2])]


def play_unhurried(
    history: History,
    steps: Iterable[Delivery | str] | None = None,
    last_finals: Mapping[str, LastFinal] | None = None,
    *,
    reborn: bool = False,
    past: Iterable[PastWindow] = (),
) -> Run:
    """As if no time passed between the records: what a backlog looks like. Everything is closed in the end."""
    player = Player(history, last_finals, reborn=reborn, past=past)
    for step in [event for _, event in events(history)] if steps is None else steps:
        player.step(step, 0)
    return player.finish()


def patience_ms(history: History) -> int:
    """How long after the last input the last window may stay open."""
    policy = history.policy
    pause_ms = policy.rule.pause_ms if isinstance(policy.rule, UtteranceRule) else 0
    silence = max(policy.idle_after_ms, policy.rule.longest_ms + pause_ms + policy.allowed_lateness_ms)
    return 2 * TICK_MS + (silence if history.end_at is None else max(silence, history.end_grace_ms))


def play_live(history: History, outage: Outage | None = None, *, lazy: bool = False, reborn: bool = False) -> Run:
    """Tick by tick until `patience_ms` after the last input."""
    player: Player | None = None
    wall = [0]
    clock = ListeningClock(lambda: wall[0])
    waiting = events(history)
    gap = outage or Outage(0, 0)
    end = history.last_at + patience_ms(history) + gap.length_ms
    for now in range(0, end + TICK_MS, TICK_MS):
        while waiting and _when(waiting[0][0], gap) <= now:
            player = player or Player(history, now=clock(), lazy=lazy, reborn=reborn)
            player.step(waiting.pop(0)[1], clock())
        wall[0] = now
        clock.tick(_heard_until(now, gap))
        if player is not None:
            player.tick(clock.heard_ms)
    return Run() if player is None else player.run


def _heard_until(now: int, gap: Outage) -> int | None:
    """The last answer before the outage, until it is noticed; nothing from then until it is over."""
    if not gap.at < now < gap.at + gap.length_ms:
        return now
    return gap.at if now <= gap.at + NOTICED_AFTER_MS else None


def _when(at: int, gap: Outage) -> int:
    return at if at <= gap.at else at + gap.length_ms
