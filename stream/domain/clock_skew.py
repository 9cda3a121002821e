"""How far two modalities of a track are out of step."""

from __future__ import annotations

import msgspec

from stream.domain.modality import Modality


class ClockSkew(msgspec.Struct, frozen=True, kw_only=True):
    """Skew of a modality's media clock against the audio's: the audio's media time less its own, of the same instant.

    It is the whole state of its estimate: written with a final window and read again, it leads to the same estimates.

    Attributes:
        offset_ms: Skew at media time `at_ms`.
        drift_ppm: By how much it grows, in milliseconds per 1,000 s.
        at_ms: Media time up to which capture times were looked at.
        samples: Chunks that the estimate rests on, since it began or last jumped.
        misses: Windows in a row that contradicted it.
        variance: Of the offset (ms²), of offset and drift together (ms·ppm), of the drift (ppm²).
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
"""Skews of the modalities whose clock could be compared with the audio's."""

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[ClockSkews] = msgspec.json.Decoder(ClockSkews)


def encode_skews(skews: ClockSkews) -> bytes:
    """JSON of clock skews; no digit is lost."""
    return _ENCODER.encode(skews)


def decode_skews(data: bytes | str) -> ClockSkews:
    """Inverse of `encode_skews`. Raises ``msgspec.ValidationError`` or ``msgspec.DecodeError``."""
    return _DECODER.decode(data)
