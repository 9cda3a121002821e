"""Tells whether words are English, the language of the training data. Pure, and by their function words alone."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from stream.explain.function_words import FUNCTION_WORDS
from stream.explain.redaction.tokens import tokens_of

LEAST_WORDS = 6
"""Fewer words say too little about their language, unless their letters do."""

LEAST_SHARE = 0.2
"""Share of English function words below which words are taken for another language.

Of English utterances of `LEAST_WORDS` words on, 1.1 % of MELD (7,766) and 0.3 % of MOSI fall below it; of 25 sentences in German, French,
Spanish, Italian, Dutch and Polish, 22 do.
"""


def is_foreign(words: Sequence[str]) -> bool:
    """Whether words seem to be in another language than English. False where they are too few to tell."""
    tokens = tokens_of(words)
    letters = [c for token in tokens for c in token.bare if c.isalpha()]
    if len(letters) > 2 and sum(not unicodedata.name(c, "").startswith("LATIN") for c in letters) > len(letters) / 2:
        return True
    known = sum(token.low in FUNCTION_WORDS for token in tokens)
    return len(tokens) >= LEAST_WORDS and known < LEAST_SHARE * len(tokens)
