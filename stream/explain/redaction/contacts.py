"""Finds e-mail addresses, links and street addresses, written or spoken: ``john dot smith at mail dot com``, ``12 Mill Lane``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from stream.explain.function_words import FUNCTION_WORDS
from stream.explain.redaction import lists
from stream.explain.redaction.tokens import Token

EMAIL, LINK, ADDRESS = "[email]", "[link]", "[address]"

_DOMAIN = re.compile(r"[\w-]+(\.[\w-]+)+")
_LINK = re.compile(r"[a-z][a-z0-9+.-]*://|^www\.|^[\w.-]+\.[a-z]{2,}/")
MOST_STREET_WORDS = 3
MOST_LOCAL_WORDS = 6


def contacts(tokens: Sequence[Token]) -> dict[int, str]:
    """By index of a token, what takes its place."""
    found: dict[int, str] = {}
    for span, kind in (*_emails(tokens), *_links(tokens), *_addresses(tokens)):
        found |= dict.fromkeys((place for place in span if place not in found), kind)
    return found


def _emails(tokens: Sequence[Token]) -> Iterator[tuple[range, str]]:
    for place, token in enumerate(tokens):
        if "@" in token.bare:
            first = _local_part(tokens, place) if token.bare.startswith("@") else place
            yield range(first, place + 1), EMAIL
        elif token.low == "at" and place and (end := _domain_end(tokens, place + 1)):
            yield range(_local_part(tokens, place), end), EMAIL


def _domain_end(tokens: Sequence[Token], start: int) -> int:
    """Index after a domain that begins here, ``mail dot com`` or ``mail.com``; 0 if none does."""
    end = 0
    for place in range(start, min(start + 2 * MOST_STREET_WORDS, len(tokens))):
        low = tokens[place].low
        if _is_domain(low):
            return place + 1
        if place > start and tokens[place - 1].low in ("dot", "point") and low in lists.TOP_DOMAINS:
            end = place + 1
        elif end and low not in ("dot", "point"):
            break
    return end


def _local_part(tokens: Sequence[Token], at: int) -> int:
    """Index of the first word of what stands before the at sign: what is joined by *dot* and the like, and what is spelled."""
    first = max(0, at - 1)
    while first > 0 and at - first < MOST_LOCAL_WORDS:
        before, low = tokens[first - 1].low, tokens[first].low
        if not (before in lists.MARKS or low in lists.MARKS or (len(before) == 1 and before not in "ai") or before.isdigit()):
            break
        first -= 1
    return first


def _links(tokens: Sequence[Token]) -> Iterator[tuple[range, str]]:
    for place, token in enumerate(tokens):
        if not token.low.isalpha() and (_LINK.search(token.low) or _is_domain(token.low)):
            yield range(place, place + 1), LINK
        elif token.low == "www" or (
            token.low == "dot" and place and place + 1 < len(tokens) and tokens[place + 1].low in lists.TOP_DOMAINS
        ):
            first = place if token.low == "www" else place - 1
            yield range(first, min(len(tokens), max(place + 2, _domain_end(tokens, first)))), LINK


def _is_domain(low: str) -> bool:
    return (
        bool(_DOMAIN.fullmatch(low))
        and low.rsplit(".", 1)[1] in lists.TOP_DOMAINS
        and any(c.isalpha() for c in low.split(".", maxsplit=1)[0])
    )


def _addresses(tokens: Sequence[Token]) -> Iterator[tuple[range, str]]:
    for place, token in enumerate(tokens):
        if token.low in lists.STREETS:
            yield from _street(tokens, place)
        elif token.low in lists.ROOMS and place + 1 < len(tokens) and any(c.isdigit() for c in tokens[place + 1].low):
            yield range(place, place + 2), ADDRESS


def _street(tokens: Sequence[Token], place: int) -> Iterator[tuple[range, str]]:
    """A street with its number or with a name: the words before it that are no function words, as far as a number."""
    first = place
    for before in range(place - 1, max(-1, place - 1 - MOST_STREET_WORDS), -1):
        if tokens[before].low in FUNCTION_WORDS:
            break
        if any(c.isdigit() for c in tokens[before].low) or tokens[before].low in lists.NUMBERS:
            yield range(before, place + 1), ADDRESS
            return
        first = before
    named = [token for token in tokens[first:place] if token.bare[0].isupper() and not token.begins]
    if named:
        yield range(first, place + 1), ADDRESS
