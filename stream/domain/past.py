"""The windows that the model hears beside one: finished windows of the same session, of whichever track."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats
from stream.domain.modality import Modality

PAST_WINDOWS = 4
"""Most finished windows that are heard with a window."""

REMEMBERED = 32
"""Newest finished windows of each track that can still be chosen, by a worker and by whoever takes over from it."""

LARGEST_HALF = float(np.finfo(np.float16).max)


class PastWindow(NamedTuple):
    """A finished window of the session: whose, and where it ended."""

    track: str
    end_ms: int


class PastFeatures(msgspec.Struct, frozen=True):
    """What a finished window leaves for those after it: a function of its contents alone, the same whoever works it out.

    Attributes:
        track: Whose window it was.
        epoch: Media clock it belongs to.
        end_ms: Where it ended.
        means: By modality the mean of its nodes' features, float16; a modality without a node is not in it.
    """

    track: str
    epoch: int
    end_ms: int
    means: dict[Modality, bytes]

    @property
    def window(self) -> PastWindow:
        """Which window it was."""
        return PastWindow(self.track, self.end_ms)

    def mean(self, modality: Modality) -> npt.NDArray[np.float16] | None:
        """(width,) float16, None where the window lacked the modality."""
        packed = self.means.get(modality)
        return None if packed is None else np.frombuffer(packed, np.float16)


def packed_mean(nodes: Floats) -> bytes:
    """(n, width) node features, n > 0, to their float16 mean; values beyond float16 are cut."""
    mean = np.add.reduce(nodes, axis=0, dtype=np.float64) / len(nodes)
    packed: bytes = np.minimum(np.maximum(mean, -LARGEST_HALF), LARGEST_HALF).astype(np.float16).tobytes()
    return packed


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(PastFeatures)


def encode_past(features: PastFeatures) -> bytes:
    """JSON; no bit is lost."""
    return _ENCODER.encode(features)


def decode_past(data: bytes | str) -> PastFeatures:
    """Inverse of `encode_past`. Raises ``msgspec.ValidationError`` or ``msgspec.DecodeError``."""
    return _DECODER.decode(data)
