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
        duration_ms: Duration that the chunk declares. Fewer samples leave a gap at its end; more are an error.

    Raises:
        MediaError: ``odd_bytes`` or ``too_long``.
    """
    if len(payload) % 2:
        raise MediaError("odd_bytes")
    if len(payload) // 2 > _max_samples(duration_ms):
        raise MediaError("too_long")
    return np.frombuffer(payload, dtype="<i2").astype(np.int16, copy=False)


def trim(samples: Samples, duration_ms: int) -> Samples:
    """Drop samples beyond the chunk's duration: codecs pad their last frame, and the next chunk begins there."""
    return samples[: _max_samples(duration_ms)]


def _max_samples(duration_ms: int) -> int:
    """Samples in a duration, rounded up: a duration in whole milliseconds may cut through the last sample."""
    return -(-duration_ms * SAMPLE_RATE // 1000)
