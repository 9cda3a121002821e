"""Window contexts under construction: what each finished window contributes to the windows after it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from stream.domain.context import CONTEXT_KEPT, ContextFeatures, ContextWindow, OpenSentence, RedactedWord
from stream.domain.window import Window
from stream.encoders.sentence import open_sentence, words_before
from stream.explain.redaction.words import personal
from stream.pipeline.word_states import TextMemory


class WindowContext:
    """What one window knows of the windows before it, and the window's own contribution to later windows.

    Args:
        window: The window.
        context: The contributions of the windows of its context; some may not be known yet.
        earlier: The contributions of the earlier windows of its track, likewise.
        words_before: The beginning of the window's first sentence, from the earlier windows of its track.
        redacted: The words of the window that no explanation may show.
        contributed: Receives the window's own contribution.
        allowed: What the window may know of a contribution.
        texts: The encoded texts of the window's track.
    """

    def __init__(
        self,
        window: Window,
        context: Sequence[asyncio.Future[ContextFeatures]],
        earlier: Sequence[asyncio.Future[ContextFeatures]],
        *,
        words_before: tuple[str, ...],
        redacted: tuple[RedactedWord, ...],
        contributed: asyncio.Future[ContextFeatures],
        allowed: Callable[[ContextFeatures, Window], ContextFeatures],
        texts: TextMemory,
    ) -> None:
        self._window = window
        self._context = context
        self._earlier = earlier
        self.words_before = words_before
        """Words of earlier windows with which the window's first sentence began; known at once, so that no window waits for them."""
        self.redacted = redacted
        """Words that no explanation may show; known at once, too."""
        self.texts = texts
        """The encoded texts of the window's track."""
        self._contributed = contributed
        self._allowed = allowed

    async def features(self) -> list[ContextFeatures]:
        """The contributions of the windows of the context, newest window first; waits until all are known."""
        return await self._results(self._context)

    async def earlier(self) -> list[ContextFeatures]:
        """The contributions of the earlier windows of the window's track, newest first; waits until all are known."""
        return await self._results(self._earlier)

    async def _results(self, contributions: Sequence[asyncio.Future[ContextFeatures]]) -> list[ContextFeatures]:
        # Shielded: a window that is dropped while it waits must not cancel what others wait for.
        known = [features.result() if features.done() else await asyncio.shield(features) for features in contributions]
        return [self._allowed(features, self._window) for features in known]

    def contribute(self, features: ContextFeatures) -> None:
        """Publish the window's contribution to later windows."""
        if not self._contributed.done():
            self._contributed.set_result(features)

    def contribute_nothing(self) -> None:
        """The window cannot be scored: later windows must not wait for it."""
        window = self._window
        self.contribute(ContextFeatures(window.track.track, window.epoch, window.end_ms, {}, window.start_ms))

    @property
    def contributed(self) -> ContextFeatures | None:
        """The window's contribution; None until it is known."""
        return self._contributed.result() if self._contributed.done() else None


class _Kept(NamedTuple):
    """A finished window: its unfinished sentence, its words that are not shown, and its contribution once it is known."""

    sentence: OpenSentence | None
    redacted: tuple[RedactedWord, ...]
    features: asyncio.Future[ContextFeatures]


def _everything(features: ContextFeatures, _window: Window) -> ContextFeatures:
    return features


class ContextStore:
    """The contributions of the newest finished windows of each track of an epoch.

    Args:
        allowed: What a window may know of a contribution; by default everything.
    """

    def __init__(self, allowed: Callable[[ContextFeatures, Window], ContextFeatures] = _everything) -> None:
        self._allowed = allowed
        self._tracks: dict[str, dict[int, _Kept]] = {}
        self._texts: defaultdict[str, TextMemory] = defaultdict(TextMemory)

    def add(self, contributions: Iterable[ContextFeatures]) -> None:
        """Add the contributions of windows that were already final; do not replace known ones."""
        for features in sorted(contributions, key=lambda features: features.end_ms):
            if features.end_ms not in self._tracks.get(features.track, {}):
                self._expect(features.window, features.sentence, features.redacted).set_result(features)

    def context_of(self, window: Window) -> WindowContext:
        """What a window knows of the windows before it, which the aligner releases before it. An open window contributes nothing."""
        context, earlier = self._known(window.context), self._known(window.earlier)
        before = words_before(window.words(), [kept.sentence for kept in earlier])
        redacted: tuple[RedactedWord, ...] = ()
        if window.is_final:
            own = ContextWindow(window.track.track, window.start_ms, window.end_ms)
            overlapping = [kept for end_ms, kept in self._tracks.get(own.track, {}).items() if window.start_ms < end_ms < window.end_ms]
            redacted = personal(window.words(), before, [word for kept in overlapping for word in kept.redacted])
            contributed = self._expect(own, open_sentence(window), redacted)
        else:
            contributed = asyncio.get_running_loop().create_future()
        return WindowContext(
            window,
            [kept.features for kept in context],
            [kept.features for kept in earlier],
            words_before=before,
            redacted=redacted,
            contributed=contributed,
            allowed=self._allowed,
            texts=self._texts[window.track.track],
        )

    def _known(self, windows: Iterable[ContextWindow]) -> list[_Kept]:
        return [kept for track, _, end_ms in windows if (kept := self._tracks.get(track, {}).get(end_ms)) is not None]

    def _expect(
        self, window: ContextWindow, sentence: OpenSentence | None, redacted: tuple[RedactedWord, ...]
    ) -> asyncio.Future[ContextFeatures]:
        track = self._tracks.setdefault(window.track, {})
        future: asyncio.Future[ContextFeatures] = asyncio.get_running_loop().create_future()
        track[window.end_ms] = _Kept(sentence, redacted, future)
        while len(track) > CONTEXT_KEPT:
            del track[min(track)]
        return future
