"""The three modalities of a conversation."""

from __future__ import annotations

from enum import StrEnum


class Modality(StrEnum):
    """One way a person is perceived; the order is the order of every tensor and bit mask."""

    TEXT = "text"
    AUDIO = "audio"
    VIDEO = "video"

    @property
    def bit(self) -> int:
        """Bit of this modality in a coalition index (text 1, audio 2, video 4)."""
        return _BITS[self]


MODALITIES: tuple[Modality, ...] = tuple(Modality)
"""Text, audio, video: the fixed order."""

_BITS = {modality: 1 << place for place, modality in enumerate(MODALITIES)}
