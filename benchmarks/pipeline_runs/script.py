"""What each session of the load sends, second by second."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import msgspec

from benchmarks.pipeline_runs import media
from benchmarks.pipeline_runs.raw_media import SECOND_MS, Clip, Piece, moved_words, read_clip
from stream.domain.chunk import ContentType
from stream.domain.modality import MODALITIES, Modality

STRIDE = 8
"""Seconds of media between the beginnings of two sessions that follow each other: further than a clip of one person is long."""


class EncodedScript:
    """Every session sends the same features."""

    modalities = MODALITIES
    ends_ms: Sequence[int] = (SECOND_MS,)

    def pieces(self, _session: int, second: int) -> Sequence[Piece]:
        """What a session sends in a second."""
        return [Piece(modality, 0, SECOND_MS, *typed) for modality, typed in media.encoded(second).items()]


class RawScript:
    """Sessions go through the same clip, from different places on.

    Args:
        clip: The seconds of a kind of media.
    """

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        sent = {piece.modality for pieces in clip for piece in pieces}
        self.modalities: Sequence[Modality] = [modality for modality in MODALITIES if modality in sent]
        self.ends_ms: Sequence[int] = sorted({piece.end_ms for pieces in clip for piece in pieces})
        self._at = lru_cache(maxsize=20_000)(self._moved)

    def pieces(self, session: int, second: int) -> Sequence[Piece]:
        """What a session sends in a second, with words at the session's times."""
        return self._at((session * STRIDE + second) % len(self._clip), second)

    def _moved(self, place: int, second: int) -> Sequence[Piece]:
        return [
            msgspec.structs.replace(piece, payload=moved_words(piece.payload, second * SECOND_MS))
            if piece.content_type == ContentType.WORDS
            else piece
            for piece in self._clip[place]
        ]


Script = EncodedScript | RawScript


def script(clip: Path | None) -> Script:
    """The script of encoded chunks, or that of the raw media in a file of `write_clip`."""
    return EncodedScript() if clip is None else RawScript(read_clip(clip))
