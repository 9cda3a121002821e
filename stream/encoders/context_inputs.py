"""A window's context as tensors of the ``mmci`` model, and the window's contribution to later windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stream.domain.context import CONTEXT_WINDOWS, ContextFeatures, packed_mean
from stream.domain.features import Floats
from stream.domain.inference import WindowInputs
from stream.domain.modality import MODALITIES, Modality
from stream.domain.window import Window
from stream.encoders.sentence import open_sentence
from stream.encoders.speaker import centred, speaker_offset


def contribution(window: Window, inputs: WindowInputs) -> ContextFeatures:
    """What a window contributes to later windows.

    Args:
        window: The window.
        inputs: Inputs of the window alone: its audio is not centred yet.
    """
    counts = (len(inputs.word_nodes), len(inputs.audio_spans_ms), len(inputs.video_spans_ms))
    nodes = (inputs.words, inputs.audio, inputs.video)
    return ContextFeatures(
        window.track.track,
        window.epoch,
        window.end_ms,
        means={m: packed_mean(rows[:count]) for m, rows, count in zip(MODALITIES, nodes, counts, strict=True) if count},
        start_ms=window.start_ms,
        segments=len(inputs.audio_spans_ms),
        voice_ms=window.voice_ms() if window.audio else None,
        sentence=open_sentence(window),
    )


def with_context(
    inputs: WindowInputs, window: Window, context: Sequence[ContextFeatures], earlier: Sequence[ContextFeatures]
) -> WindowInputs:
    """Add a window's context to its inputs, and take what is known of its speaker's voice out of its audio.

    A mean of another width is left out: it is of an earlier release.

    Args:
        inputs: Inputs of the window alone.
        window: The window.
        context: At most `CONTEXT_WINDOWS` windows, newest first: the model reads from the position how long ago a window was.
        earlier: The earlier windows of the window's own track.
    """
    if not context and not earlier:
        return inputs
    alone = {Modality.TEXT: inputs.past_words, Modality.AUDIO: inputs.past_audio, Modality.VIDEO: inputs.past_video}
    values = {modality: np.zeros_like(past) for modality, past in alone.items()}
    offset = _offset(earlier, inputs.past_audio.shape[1])
    mask = np.zeros((CONTEXT_WINDOWS, len(MODALITIES)), np.float32)
    same_track = np.zeros(CONTEXT_WINDOWS, np.float32)
    for index, features in enumerate(context):
        same_track[index] = features.track == window.track.track
        for column, modality in enumerate(MODALITIES):
            mean = features.mean(modality)
            if mean is not None and mean.shape == values[modality][index].shape:
                values[modality][index] = mean
                mask[index, column] = 1.0
    of_speaker = same_track * mask[:, MODALITIES.index(Modality.AUDIO)]
    return replace(
        inputs,
        audio=centred(inputs.audio, inputs.audio_mask, offset),
        past_words=values[Modality.TEXT],
        past_audio=centred(values[Modality.AUDIO], of_speaker, offset),
        past_video=values[Modality.VIDEO],
        past_mask=mask,
        past_same=same_track,
    )


def _offset(earlier: Sequence[ContextFeatures], width: int) -> Floats:
    """(width,) what to subtract from the voice of a window's speaker."""
    heard = [
        (mean, features.segments) for features in earlier if (mean := features.mean(Modality.AUDIO)) is not None and len(mean) == width
    ]
    means = np.array([mean for mean, _ in heard], np.float64).reshape(-1, width)
    return speaker_offset(means, np.array([segments for _, segments in heard], np.int64))
