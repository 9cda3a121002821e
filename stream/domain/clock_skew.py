"""How far two modalities of a track are out of step."""

from __future__ import annotations

import msgspec

from stream.domain.modality import Modality


class ClockSkew(msgspec.Struct, frozen=True, kw_only=True):
    """Skew of a modality's media clock against the audio's: at one instant, the audio's media time minus the modality's.

    It holds the whole state of the estimator. It is stored with each final window, so that a worker that takes over continues with the
    same estimates.

    Attributes:
        offset_ms: Skew at media time `at_ms`.
        drift_ppm: Growth of the skew, in milliseconds per 1,000 s.
        at_ms: Media time up to which capture times have been used.
        samples: Chunks used for the estimate since it began or last jumped.
        misses: Windows in a row that contradicted the estimate.
        variance: Variance of the offset (ms²), covariance of offset and drift (ms·ppm), variance of the drift (ppm²).
    """

    offset_ms: float
    drift_ppm: float
    at_ms: int
    samples: int
    misses: int
    variance: tuple[float, float, float]

    def at(self, media_ms: int) -> float:
        """Skew at a media time (ms)."""
        return self.offset_ms + self.drift_ppm * (media_ms - self.at_ms) / 1e6


ClockSkews = dict[Modality, ClockSkew]
"""Skews of the modalities whose clocks could be compared with the audio's."""

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[ClockSkews] = msgspec.json.Decoder(ClockSkews)


def encode_skews(skews: ClockSkews) -> bytes:
    """JSON of clock skews, without loss of precision."""
    return _ENCODER.encode(skews)


def decode_skews(data: bytes | str) -> ClockSkews:
    """Inverse of `encode_skews`. Raises ``msgspec.ValidationError`` or ``msgspec.DecodeError``."""
    return _DECODER.decode(data)
