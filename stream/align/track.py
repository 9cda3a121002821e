"""Windows of one track: a pure state machine, time is handed in."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic

from stream.align.grid import HoppingGrid
from stream.align.lane import Lane
from stream.align.outcome import ClosedWindow, EncodedChunk, LateChunk, Outcome, R
from stream.domain.features import AudioFeatures, TextFeatures, VideoFeatures
from stream.domain.identity import TrackKey
from stream.domain.modality import MODALITIES, Modality
from stream.domain.window import Window


@dataclass(frozen=True, slots=True)
class WindowPolicy:
    """When windows open and close; all in milliseconds, the meanings are those of `config.settings.WindowSettings`."""

    grid: HoppingGrid
    allowed_lateness_ms: int
    idle_after_ms: int
    partial_every_ms: int

    @property
    def final_revision(self) -> int:
        """Revision of every final window: one more than the last partial one can have."""
        return self.grid.length_ms // self.partial_every_ms + 1 if self.partial_every_ms else 1


class TrackAligner(Generic[R]):
    """Collects the chunks of a track and closes its windows in order.

    A window closes once the watermark reaches its end. The watermark is the least of its modalities' progress, less the allowed lateness;
    a modality that has been quiet for ``idle_after_ms`` no longer counts, and when all are quiet the wall clock moves it on.

    Args:
        track: Whose windows these are.
        role: The track's role.
        epoch: The media clock they belong to.
        policy: When windows open and close.
        expected: Modalities to wait for; None waits for all of them until they turn out to be idle.
        final_until_ms: End of the last window that is already final (a replay goes on after it), or None.
        now: Monotonic clock, ms.
    """

    def __init__(
        self,
        track: TrackKey,
        role: str,
        epoch: int,
        policy: WindowPolicy,
        *,
        expected: Iterable[Modality] | None,
        final_until_ms: int | None,
        now: int,
    ) -> None:
        self.track = track
        self.role = role
        self.epoch = epoch
        self._policy = policy
        self._lanes = {m: Lane(since=now) for m in (MODALITIES if expected is None else expected)}
        self._held: dict[Modality, list[EncodedChunk[R]]] = {m: [] for m in MODALITIES}
        self._next_window = 0 if final_until_ms is None else policy.grid.after(final_until_ms)
        self._final_before = self._next_window
        self._shown_ms = 0
        self._end_ms: int | None = None
        self._ended = False

    @property
    def held(self) -> int:
        """Chunks that wait for a window to close."""
        return sum(map(len, self._held.values()))

    def expect(self, role: str, modalities: Iterable[Modality], now: int) -> None:
        """Wait for these modalities and no others, apart from any that come all the same."""
        self.role = role
        wanted = set(modalities)
        self._lanes = {m: lane for m, lane in self._lanes.items() if m in wanted or lane.heard_at is not None}
        for modality in wanted - self._lanes.keys():
            self._lanes[modality] = Lane(since=now)

    def on_chunk(self, chunk: EncodedChunk[R], now: int) -> Outcome[R]:
        """Take in a chunk and close what can be closed."""
        header = chunk.header
        lane = self._lanes.setdefault(header.modality, Lane(since=now))
        outcome: Outcome[R] = Outcome()
        last_window = self._policy.grid.last(header.end_ms)
        if not lane.note(header.seq, header.end_ms, now) or last_window < self._final_before:
            outcome.repeated.append(chunk)
        elif self._ended or last_window < self._next_window:
            closed_until = self._policy.grid.start_ms(self._next_window)
            outcome.late.append(LateChunk(chunk, max(1, closed_until - header.end_ms)))
        else:
            self._held[header.modality].append(chunk)
        return outcome.extend([self._advance(self._watermark(now, live=False)), self._look()])

    def on_time(self, now: int, *, live: bool) -> Outcome[R]:
        """Let time pass. ``live`` is True while all input that exists has been read, so that quiet means silence."""
        return self._advance(self._watermark(now, live=live))

    def complete(self, counts: dict[Modality, int]) -> bool:
        """True when all the chunks that a session's end has counted for this track are here."""
        return all(m in self._lanes and self._lanes[m].complete(count) for m, count in counts.items() if count)

    def end(self, media_ms: int | None) -> Outcome[R]:
        """Close every window that holds a chunk; the session ended at ``media_ms`` (None: where its chunks end)."""
        reached = max((lane.reached_ms for lane in self._lanes.values()), default=0)
        self._end_ms = reached if media_ms is None else media_ms
        self._ended = True
        return self._advance(math.inf)

    def shed(self) -> Outcome[R]:
        """Close the oldest window that holds a chunk without waiting any longer, to free memory."""
        starts = [c.header.start_ms for chunks in self._held.values() for c in chunks]
        if not starts:
            return Outcome()
        window = max(self._next_window, self._policy.grid.first(min(starts)))
        return self._advance(self._policy.grid.end_ms(window), warning="shed")

    def _watermark(self, now: int, *, live: bool) -> float:
        policy = self._policy
        active = [lane for lane in self._lanes.values() if not (live and lane.quiet_ms(now) >= policy.idle_after_ms)]
        if active:
            return min(lane.reached_ms for lane in active) - policy.allowed_lateness_ms
        reached = max((lane.reached_ms for lane in self._lanes.values()), default=0)
        quiet = min((lane.quiet_ms(now) for lane in self._lanes.values()), default=0)
        return reached + quiet - policy.allowed_lateness_ms

    def _advance(self, watermark: float, warning: str | None = None) -> Outcome[R]:
        outcome: Outcome[R] = Outcome()
        grid = self._policy.grid
        while self.held:
            first = min(c.header.start_ms for chunks in self._held.values() for c in chunks)
            window = max(self._next_window, grid.first(first))
            if grid.end_ms(window) > watermark:
                break
            outcome.closed.append(self._close(window, (warning,) if warning else ()))
        if watermark < math.inf:
            self._next_window = max(self._next_window, grid.after(math.floor(watermark)))
        return outcome

    def _close(self, window: int, warnings: tuple[str, ...]) -> ClosedWindow[R]:
        grid = self._policy.grid
        end = grid.end_ms(window)
        media_end = end if self._end_ms is None else min(end, self._end_ms)
        final = self._window(window, media_end, self._policy.final_revision, warnings)
        self._next_window = window + 1
        receipts: list[R] = []
        for modality, chunks in self._held.items():
            done = [c for c in chunks if grid.last(c.header.end_ms) <= window]
            receipts += [c.receipt for c in done if c.receipt is not None]
            self._held[modality] = [c for c in chunks if grid.last(c.header.end_ms) > window]
        return ClosedWindow(final, tuple(receipts))

    def _look(self) -> Outcome[R]:
        """A partial window each time that all modalities have come a further ``partial_every_ms``."""
        every = self._policy.partial_every_ms
        heard = [lane.reached_ms for lane in self._lanes.values() if lane.heard_at is not None]
        reached = min(heard, default=0) // every * every if every else 0
        if reached <= self._shown_ms:
            return Outcome()
        self._shown_ms = reached
        window = max(self._next_window, self._policy.grid.first(reached - 1))
        start, end = self._policy.grid.start_ms(window), self._policy.grid.end_ms(window)
        if not start < reached < end:
            return Outcome()
        return Outcome(partial=[self._window(window, reached, (reached - start) // every, (), is_final=False)])

    def _window(self, window: int, media_end_ms: int, revision: int, warnings: tuple[str, ...], *, is_final: bool = True) -> Window:
        start, end = self._policy.grid.start_ms(window), self._policy.grid.end_ms(window)
        inside = {
            m: sorted((c for c in chunks if c.header.start_ms < end and c.header.end_ms > start), key=_by_time)
            for m, chunks in self._held.items()
        }
        features = [c.features for chunks in inside.values() for c in chunks]
        newest = max((c.header for chunks in inside.values() for c in chunks), key=lambda h: (h.end_ms, h.modality), default=None)
        return Window(
            track=self.track,
            role=self.role,
            epoch=self.epoch,
            start_ms=start,
            end_ms=end,
            media_end_ms=media_end_ms,
            revision=revision,
            is_final=is_final,
            text=tuple(f for f in features if isinstance(f, TextFeatures)),
            audio=tuple(f for f in features if isinstance(f, AudioFeatures)),
            video=tuple(f for f in features if isinstance(f, VideoFeatures)),
            media_end_at_ms=None if newest is None else newest.captured_ms + media_end_ms - newest.end_ms,
            warnings=warnings,
        )


def _by_time(chunk: EncodedChunk[R]) -> tuple[int, int]:
    return chunk.header.start_ms, chunk.header.seq
