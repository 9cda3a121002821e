"""From a closed window to the tensors of the ``mmci`` model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from stream.domain.context import CONTEXT_WINDOWS
from stream.domain.features import Floats, Halves, Word
from stream.domain.inference import WindowInputs
from stream.domain.media_format import AUDIO_PER_SECOND, FACE_WIDTH, VIDEO_PER_SECOND, VOICE_WIDTH, WORD_WIDTH, WORDS_PER_SECOND
from stream.domain.modality import MODALITIES
from stream.domain.window import Window

Number = TypeVar("Number", bound=np.generic)
Span = tuple[int, int]
Spans = npt.NDArray[np.int64]

NO_SPANS: Spans = np.zeros((0, 2), np.int64)
NO_CONTEXT: dict[str, Floats] = {
    "past_words": np.zeros((CONTEXT_WINDOWS, WORD_WIDTH), np.float32),
    "past_audio": np.zeros((CONTEXT_WINDOWS, VOICE_WIDTH), np.float32),
    "past_video": np.zeros((CONTEXT_WINDOWS, FACE_WIDTH), np.float32),
    "past_mask": np.zeros((CONTEXT_WINDOWS, len(MODALITIES)), np.float32),
    "past_same": np.zeros(CONTEXT_WINDOWS, np.float32),
}
"""The context inputs of a window without context. Shared between windows: never write to them."""


def build(window: Window, word_states: Floats) -> WindowInputs:
    """Lay out a window's words, audible segments and face frames as padded rows.

    The number of rows depends on the window's length alone (8 words, 10 segments and 5 frames a second, rounded up to whole seconds), so
    windows of the same length can share a batch. When there are more nodes than rows, the earliest nodes are dropped. The window's context
    is added by `stream.encoders.context_inputs.with_context`.

    Args:
        window: The window.
        word_states: (n, 384) float32, one row for each of ``window.words()``.

    Raises:
        ValueError: The word states do not fit the window's words.
    """
    words = window.words()
    if word_states.shape != (len(words), WORD_WIDTH):
        raise ValueError(f"word states must be {(len(words), WORD_WIDTH)}")
    seconds = -(-(window.end_ms - window.start_ms) // 1_000)
    kept_words = words[-seconds * WORDS_PER_SECOND :]
    word_rows = _Rows(seconds * WORDS_PER_SECOND, WORD_WIDTH, window.start_ms)
    word_spans = np.array([(word.start_ms, word.end_ms) for word in kept_words], np.int64).reshape(-1, 2)
    word_rows.fill(word_spans, word_states[len(words) - len(kept_words) :])
    audio_rows = _Rows(seconds * AUDIO_PER_SECOND, VOICE_WIDTH, window.start_ms)
    audio_spans = audio_rows.fill(*_audible_segments(window))
    video_rows = _Rows(seconds * VIDEO_PER_SECOND, FACE_WIDTH, window.start_ms)
    video_spans = video_rows.fill(*_face_frames(window))
    return WindowInputs(
        words=word_rows.values,
        word_times=word_rows.times,
        word_mask=word_rows.mask,
        audio=audio_rows.values,
        audio_times=audio_rows.times,
        audio_mask=audio_rows.mask,
        video=video_rows.values,
        video_times=video_rows.times,
        video_mask=video_rows.mask,
        **NO_CONTEXT,
        word_nodes=kept_words,
        audio_spans_ms=audio_spans,
        video_spans_ms=video_spans,
        words_dropped=len(words) - len(kept_words),
        video_cells=_face_cells(window, len(video_spans)),
    )


def with_words(inputs: WindowInputs, words: Sequence[Word], states: Floats, start_ms: int) -> WindowInputs:
    """The same window with other words: what it would be if only these had been said.

    Args:
        inputs: Inputs of the window.
        words: In order of time. If they do not fit, the earliest are dropped.
        states: (n, 384) float32, a row for each of them.
        start_ms: Start of the window.
    """
    capacity = len(inputs.word_mask)
    kept = tuple(words[-capacity:])
    rows = _Rows(capacity, WORD_WIDTH, start_ms)
    rows.fill(np.array([(word.start_ms, word.end_ms) for word in kept], np.int64).reshape(-1, 2), states[len(words) - len(kept) :])
    dropped = len(words) - len(kept)
    return replace(inputs, words=rows.values, word_times=rows.times, word_mask=rows.mask, word_nodes=kept, words_dropped=dropped)


class _Rows:
    """Padded rows of one modality: nodes first, then zeros. Times are in seconds from the window's start."""

    def __init__(self, capacity: int, width: int, origin_ms: int) -> None:
        self.values = np.zeros((capacity, width), dtype=np.float32)
        self.times = np.zeros((capacity, 2), dtype=np.float32)
        self.mask = np.zeros(capacity, dtype=np.float32)
        self._origin_ms = origin_ms

    def fill(self, spans_ms: Spans, values: Floats) -> tuple[Span, ...]:
        """Put the nodes into the first rows, the latest if not all fit. Returns the spans of these nodes."""
        kept = spans_ms[-self.mask.shape[0] :]
        count = len(kept)
        if count:
            self.values[:count] = values[-count:]
            self.times[:count] = (kept - self._origin_ms) / 1_000.0
            self.mask[:count] = 1.0
        return tuple([(start, end) for start, end in kept.tolist()])


def _audible_segments(window: Window) -> tuple[Spans, Floats]:
    if not window.audio:
        return NO_SPANS, np.zeros((0, VOICE_WIDTH), np.float32)
    spans = np.concatenate([chunk.spans_ms for chunk in window.audio])
    audible = np.concatenate([chunk.audible for chunk in window.audio])
    return _in_order(spans, window.inside(spans) & audible, [chunk.embeddings for chunk in window.audio])


def _face_frames(window: Window) -> tuple[Spans, Floats]:
    if not window.video:
        return NO_SPANS, np.zeros((0, FACE_WIDTH), np.float32)
    spans = np.concatenate([chunk.spans_ms for chunk in window.video])
    return _in_order(spans, window.inside(spans), [chunk.embeddings for chunk in window.video])


def _face_cells(window: Window, count: int) -> Halves | None:
    """The cells of the `count` latest faces; None if those of a chunk are not known."""
    chunks = [chunk for chunk in window.video if len(chunk.spans_ms)]
    cells = [chunk.cells for chunk in chunks if chunk.cells is not None]
    if not count or len(cells) < len(chunks):
        return None
    spans = np.concatenate([chunk.spans_ms for chunk in chunks])
    return _in_order(spans, window.inside(spans), cells)[1][-count:]


def _in_order(spans: Spans, is_node: npt.NDArray[np.bool_], values: list[npt.NDArray[Number]]) -> tuple[Spans, npt.NDArray[Number]]:
    """Spans and values of the nodes, sorted by start and end.

    Chunks may arrive out of order, but rarely do: sorting is skipped when the spans are in order already.
    """
    indices = np.flatnonzero(is_node)
    chosen = spans[indices]
    if (chosen[1:, 0] <= chosen[:-1, 0]).any():
        order = np.lexsort((chosen[:, 1], chosen[:, 0]))
        indices, chosen = indices[order], chosen[order]
    return chosen, np.concatenate(values)[indices]
