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

from stream.align.windower import Span
from stream.domain.features import LEAST_VOICE_MS, AudioFeatures, Features, TextFeatures, VideoFeatures, Word


@dataclass(frozen=True, slots=True)
class UtteranceWindower:
    """One window for each utterance.

    A window ends with the last word of a final text, where a pause begins, or at `longest_ms`. It begins where the window before ended or,
    after a pause, with the next speech or face. A face while nobody speaks lies in windows that end when speech begins or at `longest_ms`.
    Where there is neither speech nor a face there is no window.
    """

    longest_ms: int
    pause_ms: int

    def build(self, final_until_ms: int | None) -> UtteranceLogic:
        """Continue at the end of the last final window."""
        return UtteranceLogic(self, final_until_ms or 0)


@dataclass(slots=True)
class _Run:
    """Speech whose gaps are shorter than the pause.

    Attributes:
        voice_ms: How much of it is speech.
        is_speech_by_ms: Media time by which it has a word or enough voice; None while it may be a noise.
    """

    start_ms: int
    end_ms: int
    voice_ms: int = 0
    is_speech_by_ms: int | None = None

    def extend(self, start_ms: int, end_ms: int, *, is_word: bool) -> None:
        self.voice_ms += max(0, end_ms - max(start_ms, self.end_ms))
        self.end_ms = max(self.end_ms, end_ms)
        if self.is_speech_by_ms is None and (is_word or self.voice_ms >= LEAST_VOICE_MS):
            self.is_speech_by_ms = self.end_ms


@dataclass(frozen=True, slots=True)
class _Plan:
    """The next window as known now; certain once the watermark has reached `certain_at_ms`."""

    start_ms: int
    end_ms: int
    certain_at_ms: int


class UtteranceLogic:
    """Closes the utterance windows of one track, from the speech and faces after `closed_until_ms`."""

    __slots__ = ("_faces", "_finals", "_reached_ms", "_speech", "_window_end_ms", "_windower", "closed_until_ms")

    def __init__(self, windower: UtteranceWindower, closed_until_ms: int) -> None:
        self._windower = windower
        self.closed_until_ms = closed_until_ms
        self._window_end_ms = closed_until_ms
        self._reached_ms = 0
        self._speech: list[tuple[int, int, bool]] = []
        self._faces: list[tuple[int, int]] = []
        self._finals: list[int] = []

    def on_chunk(self, start_ms: int, end_ms: int, features: Features | None) -> bool:
        """Record where a chunk has words, voice, faces and the end of a final text; nothing counts outside the chunk's own span."""
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

    def due_window(self, first_held_ms: int, watermark: float) -> Span | None:
        """The next window as known now, when it is certain at this watermark."""
        plan = self._plan()
        return Span(plan.start_ms, plan.end_ms) if plan is not None and plan.certain_at_ms <= watermark else None

    def close_window(self, first_held_ms: int, watermark: float) -> Span | None:
        """Close the next window once nothing that can still arrive could change it."""
        span = self.due_window(first_held_ms, watermark)
        if span is not None:
            self._close(span.end_ms)
            self._window_end_ms = span.end_ms
        return span

    def close_gap(self, watermark: float) -> None:
        """Close silence up to one pause before the point where a window may still begin, so that it begins no earlier because of it."""
        if watermark == math.inf:
            self._close(max(self.closed_until_ms, self._reached_ms))
            return
        plan = self._plan()
        open_from = watermark if plan is None else min(watermark, plan.start_ms)
        open_from = min([open_from, *(run.start_ms for run in self._runs() if run.end_ms + self._windower.pause_ms > watermark)])
        self._close(max(self.closed_until_ms, math.floor(open_from) - self._windower.pause_ms))

    def notify_at_ms(self, first_held_ms: int) -> int:
        """When the next window is certain; without a window, when all held chunks are known to be silence."""
        plan = self._plan()
        return self._reached_ms + self._windower.pause_ms if plan is None else plan.certain_at_ms

    def next_end_ms(self, first_held_ms: int, watermark: float) -> float:
        """The watermark, or earlier where a window is planned or a noise may yet turn out to be the beginning of speech."""
        plan = self._plan()
        noises_ms = [
            run.start_ms for run in self._runs() if run.is_speech_by_ms is None and run.end_ms + self._windower.pause_ms > watermark
        ]
        return max(self.closed_until_ms + 1, min([watermark, *noises_ms] if plan is None else [watermark, plan.end_ms, *noises_ms]))

    def open_window(self, reached_ms: int) -> Span | None:
        """From the window's beginning to the last speech, or to the end of known media while a face is quiet."""
        plan = self._plan()
        if plan is None or not plan.start_ms < reached_ms < min(plan.certain_at_ms, plan.start_ms + self._windower.longest_ms):
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
            if run is not None and start - run.end_ms >= self._windower.pause_ms:
                yield run
                run = None
            if run is None:
                run = _Run(start, start)
            run.extend(start, end_ms, is_word=is_word)
        if run is not None:
            yield run

    def _plan(self) -> _Plan | None:
        """The next window if nothing more arrived."""
        noises: list[_Run] = []
        for run in self._runs():
            if run.is_speech_by_ms is None:
                noises.append(run)
                continue
            start_ms = self._start(run.start_ms)
            if run.start_ms - start_ms < self._windower.pause_ms:
                return self._speech_plan(start_ms, run, run.is_speech_by_ms)
            return self._face_plan(start_ms, run, noises)
        return self._face_plan(self._start(), None, noises) if self._faces else None

    def _start(self, *speech_ms: int) -> int:
        """Start of the next window: the first speech or face, or the end of the last window if that is less than a pause before.

        How far silence has been closed does not matter: that depends on when the aligner was told the time.
        """
        faces_ms = [max(self._faces[0][0], self.closed_until_ms)] if self._faces else []
        first_ms = min([*speech_ms, *faces_ms])
        return self.closed_until_ms if first_ms - self._window_end_ms < self._windower.pause_ms else first_ms

    def _speech_plan(self, start_ms: int, run: _Run, is_speech_by_ms: int) -> _Plan:
        longest_end_ms = start_ms + self._windower.longest_ms
        final = bisect_right(self._finals, start_ms)
        end_ms = min([longest_end_ms, *self._finals[final : final + 1]])
        if end_ms <= run.end_ms:
            return _Plan(start_ms, end_ms, max(end_ms, is_speech_by_ms))
        return _Plan(start_ms, run.end_ms, run.end_ms + self._windower.pause_ms)

    def _face_plan(self, start_ms: int, next_run: _Run | None, noises: list[_Run]) -> _Plan:
        """A face while nobody speaks. A noise inside may yet become the beginning of speech, until a pause has followed it."""
        longest_end_ms = start_ms + self._windower.longest_ms
        certain_at_ms = longest_end_ms
        end_ms = longest_end_ms
        if next_run is not None and next_run.start_ms < longest_end_ms:
            end_ms = next_run.start_ms
            certain_at_ms = next_run.is_speech_by_ms or next_run.end_ms
        pauses_ms = [noise.end_ms + self._windower.pause_ms for noise in noises if noise.start_ms < end_ms]
        return _Plan(start_ms, end_ms, max([certain_at_ms, *pauses_ms]))


def _inside(word: Word, start_ms: int, end_ms: int) -> tuple[int, int] | None:
    """The part of a word inside a span, at least a millisecond; None when the word ends outside the span."""
    if not start_ms < word.end_ms <= end_ms:
        return None
    return min(max(word.start_ms, start_ms), word.end_ms - 1), word.end_ms


def _clipped(spans_ms: npt.NDArray[np.int64], start_ms: int, end_ms: int) -> Iterator[tuple[int, int]]:
    for first_ms, last_ms in np.clip(spans_ms, start_ms, end_ms).tolist():
        if first_ms < last_ms:
            yield first_ms, last_ms
