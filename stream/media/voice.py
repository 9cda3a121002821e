"""Where somebody speaks in a chunk of audio, by the packaged detector ``earshot`` (a small recurrent network)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from earshot import Detector

from stream.domain.media_format import SAMPLE_RATE
from stream.media.pcm import Samples

FRAME_SAMPLES = 256
"""What the detector judges at a time: 16 ms."""

SEGMENT_SAMPLES = SAMPLE_RATE // 10
WARM_UP_FRAMES = 10
"""Frames from the chunk's beginning that the detector hears twice: from a standing start it misses the first words."""

LEAST_SCORE = 0.5


def voiced_segments(samples: Samples) -> npt.NDArray[np.bool_]:
    """Say for each 100 ms whether there is a voice.

    The detector starts anew for each chunk, so that a chunk that is read again after a crash is judged as before.

    Args:
        samples: (n,) int16, 16 kHz mono; at most a second.

    Returns:
        (k,) bool, k = ceil(n / 1600).
    """
    frames = np.zeros((-(-samples.shape[0] // FRAME_SAMPLES), FRAME_SAMPLES), np.float32)
    frames.reshape(-1)[: samples.shape[0]] = samples / np.float32(32_768)
    detector = Detector()
    for frame in frames[:WARM_UP_FRAMES]:
        detector.predict_f32(frame)
    scores = [detector.predict_f32(frame) for frame in frames]
    count = -(-samples.shape[0] // SEGMENT_SAMPLES)
    middles = np.arange(len(scores)) * FRAME_SAMPLES + FRAME_SAMPLES // 2
    segment_of = np.minimum(middles // SEGMENT_SAMPLES, count - 1)
    total = np.bincount(segment_of, weights=scores, minlength=count)
    frames_in = np.bincount(segment_of, minlength=count)
    voiced: npt.NDArray[np.bool_] = total >= LEAST_SCORE * np.maximum(frames_in, 1)
    return voiced
