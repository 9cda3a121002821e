"""Plays a history to an aligner in virtual time and records everything that the aligner hands out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from msgspec import structs

from stream.align.caught_up_clock import CaughtUpClock
from stream.align.outcome import ClosedWindow, Outcome
from stream.align.session import SessionAligner
from stream.align.utterance import UtteranceWindower
from stream.domain.clock_skew import decode_skews, encode_skews
from stream.domain.context import ContextWindow
from stream.domain.features import Features, TextFeatures, Word
from stream.domain.window import Window
from tests.support.histories import MAX_BACK_MS, SESSION, Delivery, History

TICK_MS = 250
NOTICED_AFTER_MS = 1100
"""An outage is noticed this long after it began; until then it looks as if there were nothing new to read."""
EXPIRE_MS = 600_000
FOREIGN = TextFeatures((Word("of another session", 0, 1),))


@dataclass(frozen=True)
class Outage:
    """Nothing can be read for ``length_ms`` from ``at`` on; everything that happens after ``at`` is delayed by ``length_ms``."""

    at: int
    length_ms: int


@dataclass(frozen=True)
class Fate:
    """What the aligner did with a delivery, and up to which media time its track was closed when it arrived."""

    kind: str
    closed_until_ms: int


@dataclass
class AlignerRun:
    """Everything that an aligner did with a history.

    Attributes:
        closed: (time on the aligner's clock, closed window) in order; features in windows are replaced by their chunk's label.
        unused: (track, number of its windows that had closed before, acks) of chunks in no further window.
        emitted: Every window handed out, partial or final, in order.
        fates: What became of each delivery, by its name.
        late_by: How late each late delivery was (ms), by its name.
        watermarks: By track, ``closed_until_ms`` after every step.
        peak_held: Most chunks that were held at once.
        held: Chunks that are still held.
        waiting: Whether a closed window still waits for its context.
        ended: Whether the aligner says that every window has closed.
        shed_windows: Windows that the aligner counted as shed.
    """

    closed: list[tuple[int, ClosedWindow[str]]] = field(default_factory=list)
    unused: list[tuple[str, int, tuple[str, ...]]] = field(default_factory=list)
    emitted: list[Window] = field(default_factory=list)
    fates: dict[str, Fate] = field(default_factory=dict)
    late_by: dict[str, int] = field(default_factory=dict)
    watermarks: dict[str, list[int]] = field(default_factory=dict)
    peak_held: int = 0
    held: int = 0
    waiting: bool = False
    ended: bool = False
    shed_windows: int = 0

    def windows(self) -> list[tuple[int, Window]]:
        """The final windows and when each closed, without acks: a chunk of silence may be released with the next window or before it."""
        return [(at, closed.window) for at, closed in self.closed]

    def finals(self) -> dict[str, Window]:
        """Final windows by id, without their context. Fails when two have the same id."""
        found: dict[str, Window] = {}
        for _, closed in self.closed:
            assert closed.window.id not in found, f"{closed.window.id} is final twice"
            found[closed.window.id] = structs.replace(closed.window, context=())
        return found

    def contexts(self) -> dict[str, tuple[ContextWindow, ...]]:
        """The context of each final window, by the window's id."""
        return {closed.window.id: closed.window.context for _, closed in self.closed}


class Player:
    """Plays steps to one aligner.

    Args:
        history: Its policy and limits are the aligner's.
        last_finals: Last final window of each track that had any before: the aligner of a worker that takes over.
        now: Time at which the aligner begins.
        lazy: Call `SessionAligner.on_time` only when `SessionAligner.notify_at` says that it can have an effect.
        final_windows: Windows that are final already.
    """

    def __init__(
        self,
        history: History,
        last_finals: Mapping[str, Window] | None = None,
        *,
        now: int = 0,
        lazy: bool = False,
        final_windows: Iterable[ContextWindow] = (),
    ) -> None:
        self.run = AlignerRun()
        self._history = history
        self._last_finals = last_finals or {}
        self._lazy = lazy
        self._notify_at = 0.0
        self._labels: dict[int, tuple[Features, TextFeatures]] = {}
        self._aligner: SessionAligner[str] = SessionAligner(
            SESSION,
            0,
            history.policy,
            end_grace_ms=history.end_grace_ms,
            expire_after_ms=EXPIRE_MS,
            max_ahead_ms=60_000,
            max_back_ms=MAX_BACK_MS,
            max_held=history.max_held,
            now=now,
        )
        self._aligner.add_final_windows(final_windows, now)

    def step(self, event: Delivery | str, now: int) -> None:
        """Play a delivery, ``start`` or ``end``."""
        self._notify_at = 0
        if isinstance(event, Delivery):
            self._deliver(event, now)
        elif event == "start":
            self._aligner.on_start(self._history.start(), now)
        else:
            self._record(self._aligner.on_end(self._history.end(), now), now)

    def tick(self, now: int) -> None:
        """Let time pass."""
        if not self._lazy or now >= self._notify_at:
            self._record(self._aligner.on_time(now), now)
            self._notify_at = self._aligner.notify_at(now)

    def finish(self) -> AlignerRun:
        """Close the open windows."""
        self._record(self._aligner.finish(), 0)
        return self.run

    def _deliver(self, delivery: Delivery, now: int) -> None:
        if delivery.track not in self._aligner.tracks:
            self._open_track(delivery, self._last_finals.get(delivery.track), now)
        logic, chunk = self._aligner._tracks[delivery.track]._logic, delivery.chunk()
        if not self._aligner.admits(chunk.header):
            self.run.fates[delivery.name] = Fate("restarted", logic.closed_until_ms)
            return
        self._record(self._aligner.on_begun(chunk.header), now)
        before = logic.closed_until_ms
        if chunk.features is not None:
            self._labels[id(chunk.features)] = chunk.features, delivery.label()
        outcome = self._aligner.on_chunk(chunk, now)
        kinds = [
            kind
            for kind, names in {
                "late": [late.chunk.ack for late in outcome.late],
                "repeated": [c.ack for c in outcome.repeated],
                "conflict": [c.ack for c in outcome.conflicts],
                "future": [c.ack for c in outcome.future],
            }.items()
            if delivery.name in names
        ]
        assert len(kinds) <= 1, f"{delivery.name} is {kinds}"
        self.run.fates[delivery.name] = Fate(kinds[0] if kinds else "held", before)
        self.run.late_by.update({str(late.chunk.ack): late.late_by_ms for late in outcome.late})
        self._record(outcome, now)

    def _open_track(self, delivery: Delivery, last: Window | None, now: int) -> None:
        """Begin a track after its last final window, whose clock skews come from the store."""
        if last is None:
            self._aligner.open_track(delivery.key, "customer", None, now, None, expected_before=())
            return
        skews = decode_skews(encode_skews(last.clock_skews))
        self._aligner.open_track(delivery.key, "customer", last.end_ms, now, skews, expected_before=last.modalities_expected)

    def _record(self, outcome: Outcome[str], now: int) -> None:
        run = self.run
        run.emitted += [self._labelled(window) for window in outcome.partial]
        closed = [structs.replace(c, window=self._labelled(c.window)) for c in outcome.closed]
        run.emitted += [c.window for c in closed]
        run.closed += [(now, c) for c in closed]
        for unused in outcome.unused:
            before = sum(c.window.track == unused.track for _, c in run.closed)
            run.unused.append((unused.track.track, before, unused.acks))
        for name, track in self._aligner._tracks.items():
            run.watermarks.setdefault(name, []).append(track._logic.closed_until_ms)
        run.held = self._aligner.held
        run.waiting = bool(self._aligner._context.waiting)
        run.peak_held = max(run.peak_held, run.held)
        run.ended = self._aligner.ended
        run.shed_windows = self._aligner.shed_windows

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


def play_backlog(
    history: History,
    steps: Iterable[Delivery | str] | None = None,
    last_finals: Mapping[str, Window] | None = None,
    *,
    final_windows: Iterable[ContextWindow] = (),
) -> AlignerRun:
    """Play a history as a worker reads a backlog: no time passes between the records. Every window is closed at the end."""
    player = Player(history, last_finals, final_windows=final_windows)
    for step in [event for _, event in events(history)] if steps is None else steps:
        player.step(step, 0)
    return player.finish()


def settle_ms(history: History) -> int:
    """How long after the last input the last window may stay open."""
    policy = history.policy
    pause_ms = policy.windower.pause_ms if isinstance(policy.windower, UtteranceWindower) else 0
    silence_ms = max(policy.idle_after_ms, policy.windower.longest_ms + pause_ms + policy.allowed_lateness_ms)
    return 2 * TICK_MS + (silence_ms if history.end_at is None else max(silence_ms, history.end_grace_ms))


def play_live(history: History, outage: Outage | None = None, *, lazy: bool = False) -> AlignerRun:
    """Play a history tick by tick, until `settle_ms` after the last input."""
    player: Player | None = None
    wall = [0]
    clock = CaughtUpClock(lambda: wall[0])
    pending = events(history)
    outage = outage or Outage(0, 0)
    end = history.last_at + settle_ms(history) + outage.length_ms
    for now in range(0, end + TICK_MS, TICK_MS):
        while pending and _delayed(pending[0][0], outage) <= now:
            player = player or Player(history, now=clock(), lazy=lazy)
            player.step(pending.pop(0)[1], clock())
        wall[0] = now
        clock.tick(_caught_up_until(now, outage))
        if player is not None:
            player.tick(clock.caught_up_ms)
    return AlignerRun() if player is None else player.run


def _caught_up_until(now: int, outage: Outage) -> int | None:
    """The moment of the last answer before the outage until the outage is noticed; then None until it is over."""
    if not outage.at < now < outage.at + outage.length_ms:
        return now
    return outage.at if now <= outage.at + NOTICED_AFTER_MS else None


def _delayed(at: int, outage: Outage) -> int:
    return at if at <= outage.at else at + outage.length_ms
