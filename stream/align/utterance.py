"""Utterance windows: from where somebody begins to speak to where they stop.

Speech is what words and voiced audio cover. Speech whose gaps are shorter than the pause is a *run*. With a pause of 600 ms, words at
[1.0, 1.4) and [1.7, 2.5) and nothing more until 3.1 s are the window [1.0, 2.5).
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.align.rule import Span
from stream.domain.features import AudioFeatures, Features, TextFeatures, VideoFeatures, Word

LEAST_VOICE_MS = 300
"""Voice without a word that is shorter, with pauses on both sides, is a noise and begins no window."""


@dataclass(frozen=True, slots=True)
class UtteranceRule:
    """A window ends with the last word of a final text, or where a pause begins, or when it is as long as may be.

    It begins where the one before ended or, after a pause, with the next speech or face. A face while nobody speaks is in windows that
    end when speech begins, or when they are as long as may be; where there is neither speech nor face there is no window.
    """

    longest_ms: int
    pause_ms: int

    def cutter(self, final_until_ms: int | None) -> UtteranceCutter:
        """Goes on at the end of the last final window."""
        return UtteranceCutter(self, final_until_ms or 0)


@dataclass(slots=True)
class _Run:
    """Speech whose gaps are shorter than the pause.

    Attributes:
        voice_ms: How much of it is speech.
        told_by_ms: Media time by which it has a word or enough voice; None when it has neither.
    """

    start_ms: int
    end_ms: int
    voice_ms: int = 0
    told_by_ms: int | None = None

    def extend(self, start_ms: int, end_ms: int, *, is_word: bool) -> None:
        self.voice_ms += max(0, end_ms - max(start_ms, self.end_ms))
        self.end_ms = max(self.end_ms, end_ms)
        if self.told_by_ms is None and (is_word or self.voice_ms >= LEAST_VOICE_MS):
            self.told_by_ms = self.end_ms


@dataclass(frozen=True, slots=True)
class _Plan:
    """The next window as far as is known; certain once the watermark has come to `sure_at_ms`."""

    start_ms: int
    end_ms: int
    sure_at_ms: int


class UtteranceCutter:
    """Cuts one track by what its chunks hold after `closed_until_ms`."""

    __slots__ = ("_faces", "_finals", "_reached_ms", "_rule", "_speech", "closed_until_ms")

    def __init__(self, rule: UtteranceRule, closed_until_ms: int) -> None:
        self._rule = rule
        self.closed_until_ms = closed_until_ms
        self._reached_ms = 0
        self._speech: list[tuple[int, int, bool]] = []
        self._faces: list[tuple[int, int]] = []
        self._finals: list[int] = []

    def add(self, start_ms: int, end_ms: int, features: Features | None) -> bool:
        """Note where a chunk has words, voice, faces and the end of a final text; nothing counts outside of its own span."""
        self._reached_ms = max(self._reached_ms, end_ms)
        start_ms = max(start_ms, self.closed_until_ms)
        match features:
            case TextFeatures(words=words, ends_utterance=is_final):
                spoken = [span for word in words if (span := _inside(word, start_ms, end_ms)) is not None]
                for first_ms, last_ms in spoken:
                    insort(self._speech, (first_ms, last_ms, True))
                if spoken and is_final:
                    insort(self._finals, max(last_ms for _, last_ms in spoken))
            case AudioFeatures(spans_ms=spans_ms, voiced=voiced) if voiced is not None:
                for first_ms, last_ms in _clipped(spans_ms[voiced], start_ms, end_ms):
                    insort(self._speech, (first_ms, last_ms, False))
            case VideoFeatures(spans_ms=spans_ms):
                for span in _clipped(spans_ms, start_ms, end_ms):
                    insort(self._faces, span)
        return True

    def cut(self, first_held_ms: int, watermark: float) -> Span | None:
        """A window closes when nothing that may still come could change it."""
        plan = self._plan()
        if plan is None or plan.sure_at_ms > watermark:
            return None
        self._close(plan.end_ms)
        return Span(plan.start_ms, plan.end_ms)

    def skip(self, watermark: float) -> None:
        """Silence is closed up to a pause before what may still begin a window, so that this window begins no earlier for it."""
        if watermark == math.inf:
            self._close(max(self.closed_until_ms, self._reached_ms))
            return
        plan = self._plan()
        open_from = watermark if plan is None else min(watermark, plan.start_ms)
        open_from = min([open_from, *(run.start_ms for run in self._runs() if run.end_ms + self._rule.pause_ms > watermark)])
        self._close(max(self.closed_until_ms, math.floor(open_from) - self._rule.pause_ms))

    def due_ms(self, first_held_ms: int) -> int:
        """When the next window is certain; without one, when all that waits is known to be silence."""
        plan = self._plan()
        return self._reached_ms + self._rule.pause_ms if plan is None else plan.sure_at_ms

    def next_end_ms(self, first_held_ms: int, watermark: float) -> float:
        """Nothing that is still to come makes a window end before the watermark, but for a noise that becomes the beginning of speech."""
        plan = self._plan()
        noises_ms = [run.start_ms for run in self._runs() if run.told_by_ms is None and run.end_ms + self._rule.pause_ms > watermark]
        return max(self.closed_until_ms + 1, min([watermark, *noises_ms] if plan is None else [watermark, plan.end_ms, *noises_ms]))

    def open_span(self, reached_ms: int) -> Span | None:
        """From the window's beginning to the last speech, or to where media has come while a face is quiet."""
        plan = self._plan()
        if plan is None or not plan.start_ms < reached_ms < min(plan.sure_at_ms, plan.start_ms + self._rule.longest_ms):
            return None
        return Span(plan.start_ms, min(plan.end_ms, reached_ms))

    def _close(self, until_ms: int) -> None:
        self.closed_until_ms = until_ms
        self._speech = [span for span in self._speech if span[1] > until_ms]
        self._faces = [span for span in self._faces if span[1] > until_ms]
        del self._finals[: bisect_right(self._finals, until_ms)]

    def _runs(self) -> Iterator[_Run]:
        run: _Run | None = None
        for start_ms, end_ms, is_word in self._speech:
            start = max(start_ms, self.closed_until_ms)
            if run is not None and start - run.end_ms >= self._rule.pause_ms:
                yield run
                run = None
            if run is None:
                run = _Run(start, start)
            run.extend(start, end_ms, is_word=is_word)
        if run is not None:
            yield run

    def _plan(self) -> _Plan | None:
        """The next window if nothing more were to come."""
        noises: list[_Run] = []
        for run in self._runs():
            if run.told_by_ms is None:
                noises.append(run)
                continue
            start_ms = self._start(run.start_ms)
            if run.start_ms - start_ms < self._rule.pause_ms:
                return self._speaking(start_ms, run, run.told_by_ms)
            return self._quiet(start_ms, run, noises)
        return self._quiet(self._start(), None, noises) if self._faces else None

    def _start(self, *speech_ms: int) -> int:
        """Where the next window begins: with the first speech or face, or where the last one ended when that is less than a pause ago."""
        faces_ms = [max(self._faces[0][0], self.closed_until_ms)] if self._faces else []
        first_ms = min([*speech_ms, *faces_ms])
        return self.closed_until_ms if first_ms - self.closed_until_ms < self._rule.pause_ms else first_ms

    def _speaking(self, start_ms: int, run: _Run, told_by_ms: int) -> _Plan:
        longest_end_ms = start_ms + self._rule.longest_ms
        final = bisect_right(self._finals, start_ms)
        end_ms = min([longest_end_ms, *self._finals[final : final + 1]])
        if end_ms <= run.end_ms:
            return _Plan(start_ms, end_ms, max(end_ms, told_by_ms))
        return _Plan(start_ms, run.end_ms, run.end_ms + self._rule.pause_ms)

    def _quiet(self, start_ms: int, next_run: _Run | None, noises: list[_Run]) -> _Plan:
        """A face and nobody speaking. A noise inside may yet become the beginning of speech, until a pause has followed it."""
        longest_end_ms = start_ms + self._rule.longest_ms
        sure_at_ms = longest_end_ms
        end_ms = longest_end_ms
        if next_run is not None and next_run.start_ms < longest_end_ms:
            end_ms = next_run.start_ms
            sure_at_ms = next_run.told_by_ms or next_run.end_ms
        pauses_ms = [noise.end_ms + self._rule.pause_ms for noise in noises if noise.start_ms < end_ms]
        return _Plan(start_ms, end_ms, max([sure_at_ms, *pauses_ms]))


def _inside(word: Word, start_ms: int, end_ms: int) -> tuple[int, int] | None:
    """The part of a word in a span, at least a millisecond; None when it ends elsewhere."""
    if not start_ms < word.end_ms <= end_ms:
        return None
    return min(max(word.start_ms, start_ms), word.end_ms - 1), word.end_ms


def _clipped(spans_ms: npt.NDArray[np.int64], start_ms: int, end_ms: int) -> Iterator[tuple[int, int]]:
    for first_ms, last_ms in np.clip(spans_ms, start_ms, end_ms).tolist():
        if first_ms < last_ms:
            yield first_ms, last_ms
