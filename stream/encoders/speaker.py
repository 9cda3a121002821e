"""Speaker normalisation: what is known of a track's voice is taken out of its segment embeddings.

Voices differ more from each other than one voice differs between moods. So a part of the voice's own mean, as heard so far, is subtracted:
none at the beginning, half after a minute of audible voice.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats
from stream.domain.media_format import SEGMENT_MS

PRIOR_S = 60.0
"""Seconds of voice after which half of the mean is subtracted: a mean of little voice says more about its words than about the speaker."""


def speaker_offset(means: npt.NDArray[np.floating], segments: npt.NDArray[np.integer]) -> Floats:
    """What to subtract from every segment embedding of a track: t / (t + `PRIOR_S`) of the mean over the t seconds heard before.

    Args:
        means: (n, width) mean embedding of the audible segments of each earlier window; they must not overlap.
        segments: (n,) number of audible segments of each.

    Returns:
        (width,) float32, zeros while nothing has been heard.
    """
    weights = np.asarray(segments, np.float64)
    heard = float(weights.sum())
    if not heard:
        return np.zeros(means.shape[1], np.float32)
    seconds = heard * SEGMENT_MS / 1_000
    mean = weights @ np.asarray(means, np.float64) / heard
    return (seconds / (seconds + PRIOR_S) * mean).astype(np.float32)


def centred(rows: Floats, mask: Floats, offset: Floats) -> Floats:
    """(n, width) rows minus the (width,) offset where the (n,) mask is 1; padding stays as it is."""
    return rows - mask[:, np.newaxis] * offset
