"""The word lists of the rules of redaction, from ``lists.toml``."""

from __future__ import annotations

import tomllib
from pathlib import Path

_LISTS = {name: words.split() for name, words in tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")).items()}

UNITS = {word: str(value) for value, word in enumerate(_LISTS["units"])} | dict.fromkeys(_LISTS["zeros"], "0")
"""Digits by their words."""
TENS = {word: str(value) for value, word in zip(range(20, 100, 10), _LISTS["tens"], strict=True)}
"""Twenty to ninety."""
NUMBERS = UNITS | TENS | {word: str(value) for value, word in enumerate(_LISTS["teens"], 10)}
"""Zero to ninety, as far as they are one word."""

LETTERS = frozenset(_LISTS["letters"])
FILLERS = frozenset(_LISTS["fillers"])
MARKS = frozenset(_LISTS["marks"])
TOP_DOMAINS = frozenset(_LISTS["top_domains"])
STREETS = frozenset(_LISTS["streets"])
ROOMS = frozenset(_LISTS["rooms"])
NO_NAMES = frozenset(_LISTS["no_names"])
ORDINARY_NAMES = frozenset(_LISTS["ordinary_names"])
