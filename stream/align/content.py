"""The media time that the content of a chunk covers."""

from __future__ import annotations

from typing import NamedTuple

from stream.domain.chunk import ChunkHeader
from stream.domain.features import Word


class Content(NamedTuple):
    """The media time that the content of a chunk covers: the chunk itself, and its words wherever they are.

    Attributes:
        start_ms: Where it starts, for windows: a word is in the window in which it ends.
        end_ms: Where it ends.
        spoken_ms: Where it starts, for utterances: where the first word begins, if that word ends before the chunk starts.
    """

    start_ms: int
    end_ms: int
    spoken_ms: int


def content_of(header: ChunkHeader, words: tuple[Word, ...], closed_until_ms: int) -> Content:
    """The content of a chunk. Words that end where windows have closed are left out."""
    start_ms, end_ms = header.start_ms, header.end_ms
    first_ms, last_ms, spoken_ms = start_ms, end_ms, start_ms
    for word in words:
        if word.end_ms > last_ms:
            last_ms = word.end_ms
        elif closed_until_ms < word.end_ms <= start_ms:
            first_ms, spoken_ms = min(first_ms, word.end_ms - 1), min(spoken_ms, word.start_ms)
    return Content(first_ms, last_ms, spoken_ms)
