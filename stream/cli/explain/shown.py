"""Rows, times and phrases as the table and the page show them."""

from __future__ import annotations

from collections.abc import Sequence

from stream.cli.explain.rows import Row
from stream.domain.features import Word
from stream.domain.modality import Modality
from stream.explain.phrasing import clock
from stream.explain.redaction.words import joined_text

EARLIER = "earlier windows"
NOUNS = {Modality.TEXT: "words", Modality.AUDIO: "voice", Modality.VIDEO: "face"}


def shown_row(row: Row, words: Sequence[Word]) -> str:
    """What a row is about: the word as it may be shown, or the span of voice or face."""
    if row.modality is Modality.TEXT:
        return words[row.nodes[0]].text or f"word at {clock(row.start_ms)}"
    return f"{NOUNS[row.modality]} {clock(row.start_ms)}-{clock(row.end_ms)}"


def shown_phrase(words: Sequence[Word], phrase: range) -> str:
    """The words of a phrase as they may be shown, in quotation marks."""
    text = joined_text(words, phrase)
    return f"“{text}”" if text else f"the words at {clock(words[phrase.start].start_ms)}"
