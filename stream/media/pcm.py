"""Raw samples: the payload of `ContentType.PCM`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.domain.media_format import SAMPLE_RATE
from stream.media.errors import MediaError

Samples = npt.NDArray[np.int16]


def read_pcm(payload: bytes, duration_ms: int) -> Samples:
    """Signed 16-bit little-endian samples as an (n,) int16 array.

    Args:
        payload: The chunk's bytes.
        duration_ms: What the chunk says it covers; fewer samples are a gap at its end, more are an error.

    Raises:
        MediaError: ``odd_bytes`` or ``too_long``.
    """
    if len(payload) % 2:
        raise MediaError("odd_bytes")
    if len(payload) // 2 > -(-duration_ms * SAMPLE_RATE // 1000):
        raise MediaError("too_long")
    return np.frombuffer(payload, dtype="<i2").astype(np.int16, copy=False)


def fit(samples: Samples, duration_ms: int) -> Samples:
    """Drop what decoded audio has beyond the chunk's duration: codecs pad their last frame."""
    return samples[: -(-duration_ms * SAMPLE_RATE // 1000)]
