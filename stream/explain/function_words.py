"""English function words: words that say little without a content word beside them. The list is in ``function_words.toml``."""

from __future__ import annotations

import tomllib
from pathlib import Path

_LISTS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))

NEGATIONS = frozenset(_LISTS["negations"].split())
"""Words that turn round what follows them."""

FUNCTION_WORDS = NEGATIONS | frozenset(_LISTS["others"].split())
"""All function words, in lower case."""

OBJECTS = frozenset(_LISTS["objects"].split())
"""Pronouns that may be the object of the word before them."""

VERBS = frozenset(_LISTS["verbs"].split())
"""Verbs whose subject a pronoun before them is."""

DEGREES = frozenset(_LISTS["degrees"].split())
"""What may stand before *much*."""
