"""Which finished windows a window hears: the newest ones of all tracks that ended before it began. Pure; time is not asked for.

A window [4.0, 8.0) of the customer hears of windows that end by 4.0: those of the customer and of the agent that end at 4.0, then those
that end at 2.0. It is handed out once no other track can bring a window that ends by 4.0 any more. So neither the order in which
chunks come nor a replay changes what is chosen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic

from msgspec import structs

from stream.align.outcome import ClosedWindow, Outcome, R, UnusedChunks
from stream.domain.past import PAST_WINDOWS, REMEMBERED, PastWindow
from stream.domain.window import Window

Waiting = ClosedWindow[R] | UnusedChunks[R]
"""A closed window, or chunks to be let go of after the windows before them."""


@dataclass(frozen=True, slots=True)
class PastSnapshot:
    """A queue at one moment; what waits is without its receipts."""

    ended: tuple[tuple[str, tuple[int, ...]], ...]
    waiting: tuple[tuple[str, tuple[Waiting[Any], ...]], ...]


class PastQueue(Generic[R]):
    """Closed windows of a session on their way out: each waits until all windows that it may hear have been handed out.

    Windows of one track stay in order, and a window is handed out after those that it hears.
    """

    __slots__ = ("_ended", "waiting")

    def __init__(self) -> None:
        self._ended: dict[str, list[PastWindow]] = {}
        self.waiting: dict[str, list[Waiting[R]]] = {}
        """What waits, by track: no track without any."""

    def snapshot(self) -> PastSnapshot:
        """The queue as it is now."""
        waiting = [(track, tuple([structs.replace(one, receipts=()) for one in queue])) for track, queue in self.waiting.items()]
        ended = [(track, tuple([one.end_ms for one in windows])) for track, windows in self._ended.items()]
        return PastSnapshot(tuple(ended), tuple(waiting))

    def restore(self, seen: PastSnapshot) -> None:
        """Go on from a snapshot."""
        self._ended = {track: [PastWindow(track, end_ms) for end_ms in ends] for track, ends in seen.ended}
        self.waiting = {track: list(queue) for track, queue in seen.waiting}

    @property
    def chunks(self) -> int:
        """Chunks that cannot be let go of for what waits."""
        return sum([one.released for queue in self.waiting.values() for one in queue])

    def remember(self, past: Iterable[PastWindow]) -> None:
        """Windows that are final already, all that are known of their tracks."""
        by_track: dict[str, set[PastWindow]] = {}
        for one in past:
            by_track.setdefault(one.track, set()).add(one)
        self._ended |= {track: sorted(windows)[-REMEMBERED:] for track, windows in by_track.items()}

    def choose(self, window: Window) -> Window:
        """The window with the past that it has as things are: newest first, of equals its own track's, then by name."""
        own, start_ms = window.track.track, window.start_ms
        found = [one for windows in self._ended.values() for one in _newest(windows, start_ms)]
        if len(self._ended) > 1:
            found.sort(key=lambda one: (-one.end_ms, one.track != own, one.track))
        past = tuple(found[:PAST_WINDOWS])
        return window.hearing(past) if past else window

    def pass_on(self, closed: ClosedWindow[R]) -> ClosedWindow[R]:
        """Hand out a window at once, with its past."""
        window = closed.window
        ended = self._ended.setdefault(window.track.track, [])
        heard = self.choose(window)
        if not ended or ended[-1].end_ms < window.end_ms:
            ended.append(PastWindow(window.track.track, window.end_ms))
            del ended[:-REMEMBERED]
        return closed if heard is window else ClosedWindow(heard, closed.receipts, closed.released)

    def take(self, outcome: Outcome[R]) -> None:
        """Let what has closed wait; it is no longer in the outcome."""
        for closed in outcome.closed:
            self.waiting.setdefault(closed.window.track.track, []).append(closed)
        for unused in outcome.unused:
            self.waiting.setdefault(unused.track.track, []).append(unused)
        outcome.closed, outcome.unused = (), ()

    def hand_out(self, next_ends: Mapping[str, float], outcome: Outcome[R]) -> None:
        """Add to an outcome what need not wait any longer: those that end first come first.

        Args:
            next_ends: For each track the media time before which no further window of it ends.
            outcome: What is added to.
        """
        earliest = sorted((end, track) for track, end in next_ends.items())
        while self.waiting:
            self._let_unused_go(outcome)
            ready = [
                (head.window.end_ms, track)
                for track, queue in self.waiting.items()
                if isinstance(head := queue[0], ClosedWindow) and head.window.start_ms < _of_others(earliest, track)
            ]
            if not ready:
                return
            self._pop(min(ready)[1], outcome)

    def hurry(self, outcome: Outcome[R]) -> None:
        """Hand out the window that ends first, with the past that it has as things are."""
        self._let_unused_go(outcome)
        heads = [(head.window.end_ms, track) for track, queue in self.waiting.items() if isinstance(head := queue[0], ClosedWindow)]
        if heads:
            self._pop(min(heads)[1], outcome)
            self._let_unused_go(outcome)

    def _let_unused_go(self, outcome: Outcome[R]) -> None:
        for track in [track for track, queue in self.waiting.items() if isinstance(queue[0], UnusedChunks)]:
            while track in self.waiting and isinstance(self.waiting[track][0], UnusedChunks):
                self._pop(track, outcome)

    def _pop(self, track: str, outcome: Outcome[R]) -> None:
        queue = self.waiting[track]
        item = queue.pop(0)
        if not queue:
            del self.waiting[track]
        if isinstance(item, UnusedChunks):
            outcome.unused += (item,)
        else:
            outcome.closed += (self.pass_on(item),)


def _newest(ended: list[PastWindow], until_ms: int) -> list[PastWindow]:
    """Of a track's windows in order those that ended by a media time, the newest first, as many as a window hears."""
    place = len(ended)
    while place and ended[place - 1].end_ms > until_ms:
        place -= 1
    return ended[max(0, place - PAST_WINDOWS) : place][::-1]


def _of_others(earliest: list[tuple[float, str]], track: str) -> float:
    return next((end for end, other in earliest if other != track), math.inf)
