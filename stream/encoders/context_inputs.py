"""A window's context as tensors of the ``mmci`` model, and the window's contribution to the context of later windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stream.domain.context import CONTEXT_WINDOWS, ContextFeatures, packed_mean
from stream.domain.inference import WindowInputs
from stream.domain.media_format import EMBEDDING_WIDTH, WORD_WIDTH
from stream.domain.modality import MODALITIES, Modality
from stream.domain.window import Window


def contribution(window: Window, inputs: WindowInputs) -> ContextFeatures:
    """The mean features of a window's nodes in each modality: its contribution to the context of later windows."""
    counts = (len(inputs.word_nodes), len(inputs.audio_spans_ms), len(inputs.video_spans_ms))
    nodes = (inputs.words, inputs.audio, inputs.video)
    means = {m: packed_mean(rows[:count]) for m, rows, count in zip(MODALITIES, nodes, counts, strict=True) if count}
    return ContextFeatures(window.track.track, window.epoch, window.end_ms, means)


def with_context(inputs: WindowInputs, window: Window, context: Sequence[ContextFeatures]) -> WindowInputs:
    """Add a window's context to its inputs.

    Args:
        inputs: Inputs of the window alone.
        window: The window.
        context: At most `CONTEXT_WINDOWS` windows, newest first: the model reads from the position how long ago a window was.
    """
    if not context:
        return inputs
    values = {m: np.zeros((CONTEXT_WINDOWS, WORD_WIDTH if m is Modality.TEXT else EMBEDDING_WIDTH), np.float32) for m in MODALITIES}
    mask = np.zeros((CONTEXT_WINDOWS, len(MODALITIES)), np.float32)
    same_track = np.zeros(CONTEXT_WINDOWS, np.float32)
    for index, features in enumerate(context):
        same_track[index] = features.track == window.track.track
        for column, modality in enumerate(MODALITIES):
            mean = features.mean(modality)
            if mean is not None:
                values[modality][index] = mean
                mask[index, column] = 1.0
    return replace(
        inputs,
        past_words=values[Modality.TEXT],
        past_audio=values[Modality.AUDIO],
        past_video=values[Modality.VIDEO],
        past_mask=mask,
        past_same=same_track,
    )
