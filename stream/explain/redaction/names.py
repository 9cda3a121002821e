"""Finds names of people: what follows *my name is* or a title, given names, and capital letters inside a sentence.

The given names are the most frequent of the US census of 1990 (public domain) that are no ordinary words. A name that is neither on the
list, nor introduced, nor written with a capital letter inside a sentence, is not found. Names that are ordinary words are found where
they address somebody: *Jack, what is your number*.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from stream.explain.function_words import FUNCTION_WORDS
from stream.explain.redaction import lists
from stream.explain.redaction.tokens import Token

NAME = "[name]"

_HERE = Path(__file__).parent
GIVEN_NAMES = frozenset((_HERE / "given_names.txt").read_text(encoding="ascii").split())
FAMILY_NAMES = frozenset((_HERE / "family_names.txt").read_text(encoding="ascii").split())
"""The most frequent family names. Many are ordinary words, so one counts only after a given name or a title."""

_INTRODUCTIONS = frozenset(("name is", "name's", "surname is", "call me", "mr", "mrs", "ms", "mister", "dr"))
"""After these a word that is no function word is taken for a name."""

_PRESENTATIONS = frozenset(
    (
        *("this is", "i'm", "i am", "it's", "it is", "here is", "hi", "hello", "hey", "dear", "regards", "doctor", "miss"),
        *(f"{verb} {to}" for verb in ("speak", "speaking", "spoke", "talk", "talking", "talked") for to in ("to", "with")),
    )
)
"""After these only a capital letter makes a name: *this is terrible* is none."""

_NEVER = FUNCTION_WORDS | lists.NO_NAMES
"""Words that are no names, wherever they stand and however they are written."""

MOST_NAMES = 3
"""Most words of one name."""


def names(tokens: Sequence[Token]) -> dict[int, str]:
    """By index of a token, what takes its place."""
    return dict.fromkeys((place for span in _spans(tokens) for place in span), NAME)


def _spans(tokens: Sequence[Token]) -> Iterator[range]:
    cased = _is_cased(tokens)
    for place, token in enumerate(tokens):
        capital = cased and _is_capital(token)
        introduced = _may_be_name(token) and _introduced(tokens, place, _INTRODUCTIONS)
        if introduced or _whole(token.low) in GIVEN_NAMES or (capital and _tells(tokens, place)):
            yield range(place, _end(tokens, place + 1, introduced=introduced, cased=cased))


def _tells(tokens: Sequence[Token], place: int) -> bool:
    """Whether a capital letter makes a name here."""
    token = tokens[place]
    return not token.begins or _introduced(tokens, place, _PRESENTATIONS) or (token.comma and token.low in lists.ORDINARY_NAMES)


def _end(tokens: Sequence[Token], place: int, *, introduced: bool, cased: bool) -> int:
    """Index after a name whose first word has been found: what follows is capitalised or on a list, or the second of an introduced name."""
    last = min(len(tokens), place + MOST_NAMES - 1)
    while place < last and not tokens[place].begins:
        low = _whole(tokens[place].low)
        is_name = low in GIVEN_NAMES or low in FAMILY_NAMES or (cased and _is_capital(tokens[place]))
        if not is_name and not (introduced and _may_be_name(tokens[place])):
            break
        place, introduced = place + 1, False
    return place


def _may_be_name(token: Token) -> bool:
    low = token.low
    return low not in _NEVER and (low.isalpha() or low.replace("-", "").replace("'", "").isalpha())


def _introduced(tokens: Sequence[Token], place: int, phrases: frozenset[str]) -> bool:
    """Whether one of the phrases, of one or two words, stands before a token."""
    if not place:
        return False
    before = tokens[place - 1].low
    return before in phrases or (place > 1 and f"{tokens[place - 2].low} {before}" in phrases)


def _is_cased(tokens: Sequence[Token]) -> bool:
    """Whether capital letters say something: not where every word has them, or none."""
    lower = sum(token.bare[0].islower() for token in tokens)
    return lower > sum(token.bare[0].isupper() for token in tokens) / 2


def _is_capital(token: Token) -> bool:
    bare = token.bare
    return len(bare) > 1 and bare[0].isupper() and not bare.isupper() and _whole(token.low) not in _NEVER


def _whole(low: str) -> str:
    """Without a possessive."""
    return low.removesuffix("'s").removesuffix("'")
