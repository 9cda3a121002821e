"""The context of a window: finished windows of the same session, of any track, that the model sees beside it."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats
from stream.domain.modality import Modality

CONTEXT_WINDOWS = 4
"""Most finished windows in the context of a window."""

CONTEXT_KEPT = 32
"""Newest finished windows of each track that can still be chosen, by this worker and by the worker that takes over from it."""

LARGEST_FLOAT16 = float(np.finfo(np.float16).max)


class ContextWindow(NamedTuple):
    """Names a finished window of the session: its track and its end."""

    track: str
    end_ms: int


class ContextFeatures(msgspec.Struct, frozen=True):
    """The contribution of a finished window to the context of later windows.

    It is a function of the window's contents alone, so that a replay on another worker contributes the same.

    Attributes:
        track: The window's track.
        epoch: Epoch of the session's media clock.
        end_ms: Media time at which the window ended.
        means: By modality, the mean of its nodes' features, float16; a modality without a node has no entry.
    """

    track: str
    epoch: int
    end_ms: int
    means: dict[Modality, bytes]

    @property
    def window(self) -> ContextWindow:
        """The window that contributes it."""
        return ContextWindow(self.track, self.end_ms)

    def mean(self, modality: Modality) -> npt.NDArray[np.float16] | None:
        """(width,) float16, None where the window lacked the modality."""
        packed = self.means.get(modality)
        return None if packed is None else np.frombuffer(packed, np.float16)


def packed_mean(nodes: Floats) -> bytes:
    """(n, width) node features, n > 0, to the bytes of their float16 mean; values beyond float16's range are clipped."""
    mean = np.add.reduce(nodes, axis=0, dtype=np.float64) / len(nodes)
    packed: bytes = np.minimum(np.maximum(mean, -LARGEST_FLOAT16), LARGEST_FLOAT16).astype(np.float16).tobytes()
    return packed


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(ContextFeatures)


def encode_context(features: ContextFeatures) -> bytes:
    """JSON of the features, without loss of precision."""
    return _ENCODER.encode(features)


def decode_context(data: bytes | str) -> ContextFeatures:
    """Inverse of `encode_context`. Raises ``msgspec.ValidationError`` or ``msgspec.DecodeError``."""
    return _DECODER.decode(data)
