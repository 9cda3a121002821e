"""Window contexts under construction: the contribution of each finished window to the windows after it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from stream.domain.context import CONTEXT_KEPT, ContextFeatures, ContextWindow
from stream.domain.window import Window


class WindowContext:
    """The context of one window, and the window's own contribution to later windows.

    Args:
        window: The window.
        context: The contributions of the windows of its context; some may not be known yet.
        contributed: Receives the window's own contribution.
    """

    def __init__(
        self, window: Window, context: Sequence[asyncio.Future[ContextFeatures]], contributed: asyncio.Future[ContextFeatures]
    ) -> None:
        self._window = window
        self._context = context
        self._contributed = contributed

    async def features(self) -> list[ContextFeatures]:
        """The contributions of the windows of the context, newest window first; waits until all are known."""
        return [features.result() if features.done() else await asyncio.shield(features) for features in self._context]

    def contribute(self, features: ContextFeatures) -> None:
        """Publish the window's contribution to later windows."""
        if not self._contributed.done():
            self._contributed.set_result(features)

    def contribute_nothing(self) -> None:
        """The window cannot be scored: later windows must not wait for it."""
        self.contribute(ContextFeatures(self._window.track.track, self._window.epoch, self._window.end_ms, {}))

    @property
    def contributed(self) -> ContextFeatures | None:
        """The window's contribution; None until it is known."""
        return self._contributed.result() if self._contributed.done() else None


class ContextStore:
    """The contributions of the newest finished windows of each track of an epoch."""

    def __init__(self) -> None:
        self._tracks: dict[str, dict[int, asyncio.Future[ContextFeatures]]] = {}

    def add(self, contributions: Iterable[ContextFeatures]) -> None:
        """Add the contributions of windows that were already final; do not replace known ones."""
        for features in sorted(contributions, key=lambda features: features.end_ms):
            if features.end_ms not in self._tracks.get(features.track, {}):
                self._expect(features.window).set_result(features)

    def context_of(self, window: Window) -> WindowContext:
        """The context of a window. The aligner releases it after the windows of its context. An open window contributes nothing."""
        context = [known for track, end_ms in window.context if (known := self._tracks.get(track, {}).get(end_ms)) is not None]
        own = ContextWindow(window.track.track, window.end_ms)
        return WindowContext(window, context, self._expect(own) if window.is_final else asyncio.get_running_loop().create_future())

    def _expect(self, window: ContextWindow) -> asyncio.Future[ContextFeatures]:
        track = self._tracks.setdefault(window.track, {})
        track[window.end_ms] = future = asyncio.get_running_loop().create_future()
        while len(track) > CONTEXT_KEPT:
            del track[next(iter(track))]
        return future
