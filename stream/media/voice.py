"""Finds where somebody speaks in a chunk of audio, with the packaged detector ``earshot`` (a small recurrent network)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from earshot import Detector

from stream.domain.media_format import FULL_SCALE, SEGMENT_SAMPLES
from stream.media.pcm import Samples

FRAME_SAMPLES = 256
"""Samples that the detector takes at a time: 16 ms."""

WARM_UP_FRAMES = 10
"""Frames from the chunk's beginning that the detector is given twice: with an empty memory it misses the first words."""

MIN_SCORE = 0.5
"""Mean score of its frames from which a segment counts as a voice."""


def voiced_segments(samples: Samples) -> npt.NDArray[np.bool_]:
    """Mark the 100 ms segments that contain a voice.

    Each chunk gets a new detector. Its answer then depends on this chunk alone: a chunk that is read again after a crash gets the
    same answer, and utterance windows are cut at the same times.

    Args:
        samples: (n,) int16, 16 kHz mono; at most a second.

    Returns:
        (k,) bool, k = ceil(n / 1600).
    """
    frames = np.zeros((-(-samples.shape[0] // FRAME_SAMPLES), FRAME_SAMPLES), np.float32)
    frames.reshape(-1)[: samples.shape[0]] = samples / FULL_SCALE
    detector = Detector()
    for frame in frames[:WARM_UP_FRAMES]:
        detector.predict_f32(frame)
    scores = [detector.predict_f32(frame) for frame in frames]
    # Frames of 16 ms straddle segments of 100 ms: a frame counts for the segment that holds its middle. The middle of a padded last
    # frame may lie beyond the last segment.
    count = -(-samples.shape[0] // SEGMENT_SAMPLES)
    middles = np.arange(len(scores)) * FRAME_SAMPLES + FRAME_SAMPLES // 2
    segment_of_frame = np.minimum(middles // SEGMENT_SAMPLES, count - 1)
    total = np.bincount(segment_of_frame, weights=scores, minlength=count)
    frame_counts = np.bincount(segment_of_frame, minlength=count)
    voiced: npt.NDArray[np.bool_] = total >= MIN_SCORE * np.maximum(frame_counts, 1)
    return voiced
