"""Which frequencies of the voice moved the score: each band of the stored sound is held still in turn, and the voice is encoded again.

What is compared is the contribution of the voice, not the score: where one label is certain, no part of the voice moves the score alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from stream.cli.explain.served import Served
from stream.domain.features import Floats
from stream.domain.inference import WindowInputs
from stream.domain.media_format import MEL_BINS, SEGMENT_MS, SEGMENTS_PER_BLOCK
from stream.domain.modality import Modality
from stream.encoders.audio import band_hz, with_still_band
from stream.explain.shapley import restricted, shapley_values
from stream.sinks.stored_window import StoredWindow

BANDS = 8
"""Bands of equal width on the mel scale."""


@dataclass(frozen=True, slots=True)
class BandEffect:
    """A band of frequencies (Hz), and the contribution of the voice minus its contribution with the band held still."""

    low_hz: float
    high_hz: float
    effect: float


async def voice_bands(served: Served, stored: StoredWindow, contribution: float) -> list[BandEffect]:
    """The effect of each band, from low to high; nothing if the sound was not stored.

    Args:
        served: The models.
        stored: The window.
        contribution: The contribution of its voice.
    """
    if stored.log_mel is None or not stored.inputs.audio_spans_ms:
        return []
    sound = stored.log_mel.astype(np.float32)
    edges = np.linspace(0, MEL_BINS, BANDS + 1).astype(int).tolist()
    bands = list(pairwise(edges))
    whole = await served.voice(sound)
    changes = [await served.voice(np.stack([with_still_band(block, *band) for block in sound])) - whole for band in bands]
    windows = [_with_change(stored.inputs, stored.log_mel_ms, change) for change in changes]
    present, has_context = stored.score.modalities_present, bool(stored.inputs.past_mask.any())
    scores = [restricted(answer.scores, present, has_context=has_context) for answer in await served.answers(windows)]
    left = [shapley_values(own).modalities[Modality.AUDIO] for own in scores]
    return [BandEffect(*band_hz(*band), contribution - found) for band, found in zip(bands, left, strict=True)]


def _with_change(inputs: WindowInputs, starts_ms: Sequence[int], change: Floats) -> WindowInputs:
    """The window with a (n, 10, width) change of the embeddings of its n seconds.

    The change is added to what the model saw, because the voice of the speaker has been taken out of that.
    """
    places = {start + SEGMENT_MS * i: (row, i) for row, start in enumerate(starts_ms) for i in range(SEGMENTS_PER_BLOCK)}
    audio = inputs.audio.copy()
    for node, (start_ms, _) in enumerate(inputs.audio_spans_ms):
        if start_ms in places:
            audio[node] += change[places[start_ms]]
    return replace(inputs, audio=audio)
