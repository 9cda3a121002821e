"""What a window leaves for those after it, and what it hears of those before, as tensors of the ``mmci`` model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stream.domain.features import EMBEDDING
from stream.domain.inference import WindowInputs
from stream.domain.modality import MODALITIES, Modality
from stream.domain.past import PAST_WINDOWS, PastFeatures, packed_mean
from stream.domain.window import Window
from stream.encoders.shapes import WORD_WIDTH


def left_behind(window: Window, inputs: WindowInputs) -> PastFeatures:
    """Mean features of a window's nodes, as the model is given them."""
    counts = (len(inputs.word_nodes), len(inputs.audio_spans_ms), len(inputs.video_spans_ms))
    nodes = (inputs.words, inputs.audio, inputs.video)
    means = {m: packed_mean(rows[:count]) for m, rows, count in zip(MODALITIES, nodes, counts, strict=True) if count}
    return PastFeatures(window.track.track, window.epoch, window.end_ms, means)


def with_past(inputs: WindowInputs, window: Window, past: Sequence[PastFeatures]) -> WindowInputs:
    """The inputs of a window that hears earlier ones.

    Args:
        inputs: Of the window alone.
        window: The window.
        past: At most `PAST_WINDOWS` others, the newest first: the place in the row says how long ago it was.
    """
    if not past:
        return inputs
    values = {m: np.zeros((PAST_WINDOWS, WORD_WIDTH if m is Modality.TEXT else EMBEDDING), np.float32) for m in MODALITIES}
    mask = np.zeros((PAST_WINDOWS, len(MODALITIES)), np.float32)
    same = np.zeros(PAST_WINDOWS, np.float32)
    for place, features in enumerate(past):
        same[place] = features.track == window.track.track
        for column, modality in enumerate(MODALITIES):
            mean = features.mean(modality)
            if mean is not None:
                values[modality][place] = mean
                mask[place, column] = 1.0
    return replace(
        inputs,
        past_words=values[Modality.TEXT],
        past_audio=values[Modality.AUDIO],
        past_video=values[Modality.VIDEO],
        past_mask=mask,
        past_same=same,
    )
