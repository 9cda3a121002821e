"""Words as the rules of redaction read them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

_EDGES = re.compile(r"^[^\w+@]+|[^\w]+$")
_SENTENCE_END = re.compile("[.!?:\u2026\u2013\u2014-][\"'\u201d\u2019)]*$")
_OPENS = ('"', "\u201c", "\u2018", "(")


class Token(NamedTuple):
    """A part of a word without white space.

    Attributes:
        word: Index of its word.
        bare: Without punctuation around it, in compatibility form: full-width and stylised letters and digits are plain ones.
        low: `bare` in lower case, with a plain apostrophe.
        begins: Whether a sentence begins with it, or may begin: nothing is known of what was said before the first.
        comma: Whether a comma stands after it.
    """

    word: int
    bare: str
    low: str
    begins: bool
    comma: bool


def tokens_of(words: Sequence[str]) -> list[Token]:
    """The tokens of some words, in order; signs alone give none."""
    found: list[Token] = []
    begins = True
    for index, word in enumerate(words):
        for part in without_controls(unicodedata.normalize("NFKC", word)).split():
            has_signs = not part.isalnum()
            bare = _EDGES.sub("", part) if has_signs else part
            if bare:
                low = bare.lower().replace("\u2019", "'")
                found.append(Token(index, bare, low, begins or part.startswith(_OPENS), part.endswith(",")))
            begins = has_signs and (bool(_SENTENCE_END.search(part)) or (begins and not bare))
    return found


def without_controls(text: str) -> str:
    """The text without control and format characters: they would hide what a reader sees, or turn it round. White space stays."""
    if text.isprintable():
        return text
    return "".join(c for c in text if c.isspace() or unicodedata.category(c)[0] != "C")
