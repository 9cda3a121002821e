"""What the finished windows of a conversation leave for those after them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from stream.domain.past import REMEMBERED, PastFeatures, PastWindow
from stream.domain.window import Window


class Recall:
    """What one window hears of earlier ones, and what it leaves itself.

    Args:
        window: Which.
        past: What it hears; some may still be in the making.
        left: Where it is put what the window leaves.
    """

    def __init__(self, window: Window, past: Sequence[asyncio.Future[PastFeatures]], left: asyncio.Future[PastFeatures]) -> None:
        self._window = window
        self._past = past
        self._left = left

    async def past(self) -> list[PastFeatures]:
        """The earlier windows, newest first, once all are known."""
        return [features.result() if features.done() else await asyncio.shield(features) for features in self._past]

    def leave(self, features: PastFeatures) -> None:
        """Tell later windows what they hear of this one."""
        if not self._left.done():
            self._left.set_result(features)

    def leave_nothing(self) -> None:
        """Nothing is known of the window: later ones must not wait for it."""
        self.leave(PastFeatures(self._window.track.track, self._window.epoch, self._window.end_ms, {}))

    @property
    def left(self) -> PastFeatures | None:
        """What it leaves, once that is known."""
        return self._left.result() if self._left.done() else None


class Memory:
    """The newest finished windows of each track of a conversation."""

    def __init__(self) -> None:
        self._tracks: dict[str, dict[int, asyncio.Future[PastFeatures]]] = {}

    def remember(self, past: Iterable[PastFeatures]) -> None:
        """What windows left that are final already, unless it is known."""
        for features in sorted(past, key=lambda one: one.end_ms):
            if features.end_ms not in self._tracks.get(features.track, {}):
                self._expect(features.window).set_result(features)

    def recall(self, window: Window) -> Recall:
        """Of a window that is handed out after all that it hears; an open one leaves nothing."""
        past = [known for track, end_ms in window.past if (known := self._tracks.get(track, {}).get(end_ms)) is not None]
        own = PastWindow(window.track.track, window.end_ms)
        return Recall(window, past, self._expect(own) if window.is_final else asyncio.get_running_loop().create_future())

    def _expect(self, window: PastWindow) -> asyncio.Future[PastFeatures]:
        track = self._tracks.setdefault(window.track, {})
        track[window.end_ms] = future = asyncio.get_running_loop().create_future()
        while len(track) > REMEMBERED:
            del track[next(iter(track))]
        return future
