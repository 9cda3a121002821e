"""Tells whether words are English, the language of the training data. Pure, and by their function words alone."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from stream.explain.function_words import FUNCTION_WORDS
from stream.explain.redaction.lists import NUMBERS
from stream.explain.redaction.tokens import tokens_of

LEAST_WORDS = 6
"""Fewer words say too little about their language, unless their letters do. Numbers and single letters do not count."""

LEAST_SHARE = 0.1
"""Share of English function words below which words are taken for another language.

Of the English utterances of MELD (13,708) and MOSI (2,199), 0.1 % fall below it. Of 25 sentences in German, French, Spanish, Italian, Dutch
and Polish, 20 do.
"""


def is_foreign(words: Sequence[str]) -> bool:
    """Whether words seem to be in another language than English. False where they are too few to tell."""
    tokens = [token for token in tokens_of(words) if len(token.low) > 1 and token.low not in NUMBERS and not token.low.isdigit()]
    letters = [c for token in tokens for c in token.bare if c.isalpha()]
    if len(letters) > 2 and sum(not c.isascii() and not unicodedata.name(c, "").startswith("LATIN") for c in letters) > len(letters) / 2:
        return True
    known = sum(token.low in FUNCTION_WORDS for token in tokens)
    return len(tokens) >= LEAST_WORDS and known < LEAST_SHARE * len(tokens)
