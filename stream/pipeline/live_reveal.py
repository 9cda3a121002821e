"""What the probes of this worker's windows have shown: kept by hour in bounded memory, for the report that is made of all workers.

Words are looked at besides: each word type of a probed window that the honest reference knows is scored alone, once for each version, in
the background. Only those that score notably otherwise than in an honest model are kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping

import structlog

from stream.aio.tasks import TaskSet
from stream.domain.context import RedactedWord
from stream.domain.disclosure import Disclosure
from stream.domain.live_reveal import HOUR_MS, SAID, LiveHour, LiveSums
from stream.domain.modality import Modality
from stream.domain.window import Window
from stream.encoders.text import Tokenizer
from stream.encoders.window_inputs import build
from stream.encoders.window_of_words import window_of_words
from stream.explain.redaction.words import disclosed
from stream.explain.word_effects import PhraseEffect
from stream.explain.word_types import word_type
from stream.pipeline.metrics import Metrics
from stream.pipeline.probes import Probes, ScoredWindow, Shift
from stream.pipeline.word_states import word_states
from stream.serving.errors import ServingError
from stream.serving.models import Models

log = structlog.get_logger(__name__)

ODD = 0.3
"""Score points. A word alone that scores nearer than this to the honest model is not kept."""

MOST_NAMES = 200
"""Most words and marks that are kept of a version and an hour. Further ones are not counted in that hour."""

AT_ONCE = 8
"""Windows whose words are scored alone at a time. The words of further ones wait for a later window."""

MOST_KNOWN = 20_000
"""Most scores of words alone that are remembered: those of two versions, and some. Then all are asked for anew."""

TIMEOUT_S = 10.0


class LiveReveal:
    """Probes windows, and adds up what they show.

    Args:
        probes: Puts nuisances on windows.
        models: Triton's models, for words alone: tried once, so nothing waits for them.
        tokenizer: Of the text encoder.
        honest_words: By word type, the score of the word alone in an honest model; empty if words are not to be looked at.
        metrics: Receives the number of probed windows, and of those that a nuisance moves.
        disclosure: What explanations show of words; if nothing, words are not looked at.
        now_ms: Wall clock (Unix ms).
    """

    def __init__(
        self,
        probes: Probes,
        models: Models,
        tokenizer: Tokenizer,
        honest_words: Mapping[str, float],
        metrics: Metrics,
        *,
        disclosure: Disclosure = Disclosure.REDACTED,
        now_ms: Callable[[], int] = lambda: round(time.time() * 1000),
    ) -> None:
        self._probes = probes
        self._models = models
        self._tokenizer = tokenizer
        self._honest_words = {} if disclosure is Disclosure.NONE else honest_words
        self._metrics = metrics
        self._now_ms = now_ms
        self._hours: dict[int, LiveHour] = {}
        self._changed: set[int] = set()
        self._alone: dict[tuple[str, str], float] = {}
        self._running = TaskSet(lambda _error: None)

    def covers(self, window: Window) -> bool:
        """Whether a window is among those that are probed."""
        return self._probes.covers(window)

    async def probe(self, scored: ScoredWindow) -> tuple[str, ...]:
        """The names of the nuisances that move a window that is covered; what each does is added up. Outages are waited out.

        A fault of the probes costs no window: nothing is said of it, as if it were not covered.
        """
        try:
            shifts = await self._probes.shifts(scored)
        except Exception as error:
            log.warning("probe_failed", error=type(error).__name__)
            return ()
        sensitive = self._probes.sensitive(shifts)
        version = scored.inference.version
        for shift in shifts:
            self._metrics.probes.labels(shift.name).inc()
            self._add(version, shift.key, _sums(shift, moved=shift.name in sensitive))
        for name in sensitive:
            self._metrics.nuisance_sensitive.labels(name).inc()
        self._count_window()
        return sensitive

    def observe_words(
        self, window: Window, claims: Iterable[PhraseEffect], scored: ScoredWindow, redacted: Collection[RedactedWord]
    ) -> None:
        """Look at the words of a window in the background, if it is covered. Words that no explanation may show are left out.

        A fault costs no window, either.
        """
        try:
            self._observe_words(window, claims, scored, redacted)
        except Exception as error:
            log.warning("words_not_looked_at", error=type(error).__name__)

    def _observe_words(
        self, window: Window, claims: Iterable[PhraseEffect], scored: ScoredWindow, redacted: Collection[RedactedWord]
    ) -> None:
        if not self._honest_words or not self.covers(window) or window.word_states() is not None:
            return
        shown = disclosed(window.words(), redacted, Disclosure.REDACTED)
        types = [word_type(word.text) for word in shown]
        known = {own for own in types if own in self._honest_words}
        first = len(types) - len(scored.inputs.word_nodes)
        effects: dict[str, list[float]] = {}
        for claim in claims:
            for own in {types[first + index] for index in claim.phrase} & known:
                effects.setdefault(str(own), []).append(claim.effect)
        if known and len(self._running) < AT_ONCE:
            self._running.spawn(self._look_at({str(own) for own in known}, effects, scored.inference.version))

    def changed(self) -> list[LiveHour]:
        """The sums of the hours that have changed since the last call. Sums of earlier hours are then forgotten."""
        found = [self._hours[hour] for hour in sorted(self._changed)]
        self._changed.clear()
        now = self._now_ms() // HOUR_MS
        self._hours = {hour: own for hour, own in self._hours.items() if hour >= now - 1}
        return found

    async def finished(self) -> None:
        """Wait until the words that are being looked at now are counted."""
        await self._running.join()

    def close(self) -> None:
        """Drop the words that are being looked at."""
        self._running.cancel()

    async def _look_at(self, types: Collection[str], effects: Mapping[str, list[float]], version: str) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                scores = await asyncio.gather(*(self._score_alone(own, version) for own in sorted(types)))
        except (ServingError, TimeoutError):
            return
        for own, score in zip(sorted(types), scores, strict=True):
            if abs(score - self._honest_words[own]) >= ODD:
                found = effects.get(own, [])
                self._add(version, f"{SAID}{own}", LiveSums(1, score, score**2, sum(found), len(found)))

    async def _score_alone(self, word: str, version: str) -> float:
        known = self._alone.get((version, word))
        if known is not None:
            return known
        window = window_of_words((word,))
        inputs = build(window, await word_states(self._models, self._tokenizer, window.words(), ()))
        answer = await self._models.try_infer(inputs, version)
        if len(self._alone) >= MOST_KNOWN:
            self._alone.clear()
        self._alone[version, word] = score = float(answer.scores[Modality.TEXT.bit])
        return score

    def _count_window(self) -> None:
        hour = self._hour()
        self._hours[hour.hour] = LiveHour(hour.hour, hour.windows + 1, hour.sums)

    def _add(self, version: str, name: str, sums: LiveSums) -> None:
        by_name = self._hour().sums.setdefault(version, {})
        if name in by_name or len(by_name) < MOST_NAMES:
            by_name[name] = by_name.get(name, LiveSums()).plus(sums)

    def _hour(self) -> LiveHour:
        hour = self._now_ms() // HOUR_MS
        self._changed.add(hour)
        return self._hours.setdefault(hour, LiveHour(hour, 0, {}))


def _sums(shift: Shift, *, moved: bool) -> LiveSums:
    return LiveSums(1, shift.contribution, shift.contribution**2, shift.score, int(moved))
