"""Chooses the context of each window: the newest finished windows of all tracks that ended before it began.

A window [4.0, 8.0) of the customer has as its context the windows that end by 4.0: first those of the customer and of the agent that end
at 4.0, then those that end at 2.0. The window is released once no other track can still produce a window that ends by 4.0. So neither
the order in which chunks arrive nor a replay changes the choice.

It also chooses the earlier windows of the window's own track (`stream.domain.context.earlier_windows`). The windows of a track stay in
order, so this choice does not depend on other tracks. Pure: the module asks for no time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Generic

from stream.align.outcome import A, ClosedWindow, Outcome, UnusedChunks
from stream.domain.context import CONTEXT_KEPT, CONTEXT_WINDOWS, ContextWindow, earlier_windows
from stream.domain.window import Window

Queued = ClosedWindow[A] | UnusedChunks[A]
"""A closed window, or chunks to release after the windows before them."""


class ContextQueue(Generic[A]):
    """Holds the closed windows of a session until all windows of their context have been released.

    Windows of one track stay in order, and a window is released after the windows of its context.
    """

    __slots__ = ("_ended", "waiting")

    def __init__(self) -> None:
        self._ended: dict[str, list[ContextWindow]] = {}
        self.waiting: dict[str, list[Queued[A]]] = {}
        """Queued items by track; a track without any has no entry."""

    @property
    def held_chunks(self) -> int:
        """Chunks that cannot be acknowledged before the queued items are released."""
        return sum([item.released for queue in self.waiting.values() for item in queue])

    def add_final_windows(self, windows: Iterable[ContextWindow]) -> None:
        """Add windows that were final before this queue began. They have to be all that are known of their tracks."""
        by_track: dict[str, set[ContextWindow]] = {}
        for window in windows:
            by_track.setdefault(window.track, set()).add(window)
        self._ended |= {track: sorted(ended, key=lambda window: window.end_ms)[-CONTEXT_KEPT:] for track, ended in by_track.items()}

    def with_context(self, window: Window) -> Window:
        """The window with its context and the earlier windows of its track as known now.

        The context is in order, newest first; of windows with one end, the window's own track comes first, then the others by name.
        """
        own, start_ms = window.track.track, window.start_ms
        found = [ended for windows in self._ended.values() for ended in _newest(windows, start_ms)]
        if len(self._ended) > 1:
            found.sort(key=lambda ended: (-ended.end_ms, ended.track != own, ended.track))
        context = tuple(found[:CONTEXT_WINDOWS])
        return window.with_context(context, earlier_windows(reversed(self._ended.get(own, [])), start_ms)) if context else window

    def hand_out(self, closed: ClosedWindow[A]) -> ClosedWindow[A]:
        """The closed window with its context as known now; from here on it may be context of later windows."""
        window = closed.window
        ended = self._ended.setdefault(window.track.track, [])
        in_context = self.with_context(window)
        if not ended or ended[-1].end_ms < window.end_ms:
            ended.append(ContextWindow(window.track.track, window.start_ms, window.end_ms))
            del ended[:-CONTEXT_KEPT]
        return closed if in_context is window else ClosedWindow(in_context, closed.acks, closed.released)

    def enqueue(self, outcome: Outcome[A]) -> None:
        """Move the closed windows and unused chunks of an outcome into the queue."""
        for closed in outcome.closed:
            self.waiting.setdefault(closed.window.track.track, []).append(closed)
        for unused in outcome.unused:
            self.waiting.setdefault(unused.track.track, []).append(unused)
        outcome.closed, outcome.unused = (), ()

    def release_ready(self, next_ends: Mapping[str, float], outcome: Outcome[A]) -> None:
        """Move the items that need not wait any longer to an outcome, in order of their ends.

        Args:
            next_ends: For each track the media time before which no further window of it ends.
            outcome: Receives the items.
        """
        earliest = sorted((end, track) for track, end in next_ends.items())
        while self.waiting:
            self._release_unused(outcome)
            ready = [
                (head.window.end_ms, track)
                for track, queue in self.waiting.items()
                if isinstance(head := queue[0], ClosedWindow) and head.window.start_ms < _earliest_of_others(earliest, track)
            ]
            if not ready:
                return
            self._pop(min(ready)[1], outcome)

    def force_release(self, outcome: Outcome[A]) -> None:
        """Move the window that ends first to an outcome, with its context as known now, to free memory."""
        self._release_unused(outcome)
        heads = [(head.window.end_ms, track) for track, queue in self.waiting.items() if isinstance(head := queue[0], ClosedWindow)]
        if heads:
            self._pop(min(heads)[1], outcome)
            self._release_unused(outcome)

    def _release_unused(self, outcome: Outcome[A]) -> None:
        for track in [track for track, queue in self.waiting.items() if isinstance(queue[0], UnusedChunks)]:
            while track in self.waiting and isinstance(self.waiting[track][0], UnusedChunks):
                self._pop(track, outcome)

    def _pop(self, track: str, outcome: Outcome[A]) -> None:
        queue = self.waiting[track]
        item = queue.pop(0)
        if not queue:
            del self.waiting[track]
        if isinstance(item, UnusedChunks):
            outcome.unused += (item,)
        else:
            outcome.closed += (self.hand_out(item),)


def _newest(ended: list[ContextWindow], until_ms: int) -> list[ContextWindow]:
    """The windows of a track (in order of time) that ended by a media time: the newest first, at most `CONTEXT_WINDOWS`."""
    index = len(ended)
    while index and ended[index - 1].end_ms > until_ms:
        index -= 1
    return ended[max(0, index - CONTEXT_WINDOWS) : index][::-1]


def _earliest_of_others(earliest: list[tuple[float, str]], track: str) -> float:
    return next((end for end, other in earliest if other != track), math.inf)
