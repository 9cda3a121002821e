"""Types of words, as reports on many windows count them."""

from __future__ import annotations

import re
import string

from stream.explain.redaction.names import GIVEN_NAMES

PUNCTUATION = string.punctuation + "\u2013\u2014\u2026 "
WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
"""A word type: letters alone, so that no number and no address gets into a report."""


def word_type(text: str) -> str | None:
    """The type of a word: in lower case without punctuation. None for anything but letters, and for names: a report may be shown around."""
    found = WORD.fullmatch(text.lower().strip(PUNCTUATION))
    return found[0] if found and found[0].removesuffix("'s") not in GIVEN_NAMES else None
