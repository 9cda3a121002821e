"""The three modalities of a session."""

from __future__ import annotations

from enum import StrEnum


class Modality(StrEnum):
    """A way in which a person is perceived. Tensors and bit masks follow the order of the members."""

    TEXT = "text"
    AUDIO = "audio"
    VIDEO = "video"

    @property
    def bit(self) -> int:
        """Bit of this modality in a coalition index (text 1, audio 2, video 4)."""
        return _BITS[self]


MODALITIES: tuple[Modality, ...] = tuple(Modality)
"""Text, audio, video: the fixed order."""

_BITS = {modality: 1 << index for index, modality in enumerate(MODALITIES)}
