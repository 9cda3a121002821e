"""Finds where somebody speaks in a chunk of audio, with two detectors.

``earshot`` finds nearly every word, also on a bad line, but takes music and tones for a voice: it says where an utterance begins and ends.
Silero VAD misses quiet words, but is hardly ever wrong where it hears a voice: it says whether there is a voice at all.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from earshot import Detector

from stream.domain.features import Floats
from stream.domain.media_format import FULL_SCALE, SEGMENT_SAMPLES
from stream.media import silero
from stream.media.pcm import Samples

FRAME_SAMPLES = 256
"""Samples that the detector takes at a time: 16 ms."""

WARM_UP_FRAMES = 10
"""Frames from the chunk's beginning that the detector is given twice: with an empty memory it misses the first words."""

LAYOUTS = 64
"""Lengths of chunks for which is remembered which frame belongs to which segment. Nearly all chunks last a second."""

MIN_SCORE = 0.5
"""Mean score of its frames from which a segment counts as a voice for ``earshot``."""

MIN_CONFIRMED = 0.4
"""The same for Silero VAD: it then confirms 104 of the 105 utterances of the research clips. With 0.5 it confirms 101."""


def voiced_segments(samples: Samples) -> npt.NDArray[np.bool_]:
    """Mark the 100 ms segments in which somebody speaks, according to ``earshot``.

    Each chunk gets a new detector. Its answer then depends on this chunk alone: a chunk that is read again after a crash gets the
    same answer, and utterance windows are cut at the same times.

    Args:
        samples: (n,) int16, 16 kHz mono; at most a second.

    Returns:
        (k,) bool, k = ceil(n / 1600).
    """
    frames = np.zeros((-(-samples.shape[0] // FRAME_SAMPLES), FRAME_SAMPLES), np.float32)
    np.divide(samples, np.float32(FULL_SCALE), frames.reshape(-1)[: samples.shape[0]])
    detector = Detector()
    for frame in frames[:WARM_UP_FRAMES]:
        detector.predict_f32(frame)
    scores = np.array([detector.predict_f32(frame) for frame in frames], np.float32)
    return _segments(scores, FRAME_SAMPLES, samples, MIN_SCORE)


def confirmed_segments(samples: Samples) -> npt.NDArray[np.bool_]:
    """Mark the 100 ms segments in which somebody certainly speaks, according to Silero VAD.

    It hears the chunk twice, and its answer depends on this chunk alone.

    Args:
        samples: (n,) int16, 16 kHz mono; at most a second.

    Returns:
        (k,) bool, k = ceil(n / 1600).
    """
    return _segments(silero.voice_probabilities(samples), silero.FRAME_SAMPLES, samples, MIN_CONFIRMED)


def _segments(scores: Floats, frame_samples: int, samples: Samples, least: float) -> npt.NDArray[np.bool_]:
    """The segments whose frames have a mean score of at least `least`."""
    segment_of_frame, frame_counts = _layout(len(scores), frame_samples, -(-samples.shape[0] // SEGMENT_SAMPLES))
    total = np.bincount(segment_of_frame, weights=scores, minlength=len(frame_counts))
    voiced: npt.NDArray[np.bool_] = total >= least * frame_counts
    return voiced


@lru_cache(maxsize=LAYOUTS)
def _layout(frames: int, frame_samples: int, segments: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The segment of each frame, and the number of frames in each segment, at least 1."""
    # Frames straddle segments of 100 ms: a frame counts for the segment that holds its middle. The middle of a padded last frame may lie
    # beyond the last segment.
    middles = np.arange(frames) * frame_samples + frame_samples // 2
    segment_of_frame = np.minimum(middles // SEGMENT_SAMPLES, segments - 1)
    return segment_of_frame, np.maximum(np.bincount(segment_of_frame, minlength=segments), 1)
