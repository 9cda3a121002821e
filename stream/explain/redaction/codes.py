"""Finds numbers and spelled codes, in figures and in words: cards, telephones, accounts, postcodes, spelled names.

A code is a run of digits and single letters: ``4111 1111``, ``four one double one``, ``J O H N``, ``A as in alpha``. Fillers such as
*and*, *um* or *dash* do not end it. It is personal from `DIGITS` digits, `LETTERS` letters or `MIXED` of both on. At the edge of what is
known, where it may go on, less is enough. If all digits together are `ALL_DIGITS`, every one of them goes, whatever is said between.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import phonenumbers

from stream.explain.redaction import lists
from stream.explain.redaction.tokens import Token

DIGITS, LETTERS, MIXED, ALL_DIGITS = 4, 3, 4, 7

NUMBER, CARD, PHONE, ACCOUNT, SPELLED, CODE = "[number]", "[card]", "[phone]", "[account]", "[spelled]", "[code]"

MOST_FILLERS = 2
"""Most fillers in a row inside a code."""

_SCALES = {"hundred": "", "thousand": "000", "million": "000000"}
_REPEATS = {"double": 2, "triple": 3, "treble": 3}
_WORDS_TOO, _ZEROS = ("a", "i"), ("o", "oh")
"""Letters only beside other letters, and zeros only beside other characters."""
_SPOKEN = frozenset((*lists.NUMBERS, *lists.LETTERS, *_SCALES, *_REPEATS, *_ZEROS))
"""All words that may be part of a code."""
_AS_IN = (("as", "in"), ("for",), ("like",))
_QUANTITY = re.compile(r"\d{1,3}(am|pm|st|nd|rd|th|s|h|k|m|g|kg|km|mph|x|d|p)")
"""Times, ranks and amounts are no part of a code."""
_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
_REGIONS = ("US", "GB")
"""Countries whose telephone numbers are known without their country code."""


@dataclass(slots=True)
class _Run:
    """Tokens that may form a code, and its characters."""

    places: list[int] = field(default_factory=list)
    characters: str = ""
    has_figures: bool = False

    @property
    def span(self) -> range:
        """The tokens from the first to the last, with the fillers between."""
        return range(self.places[0], self.places[-1] + 1)

    @property
    def code(self) -> str:
        """The characters; an *o* beside figures is a zero."""
        return self.characters.replace("o", "0") if any(c.isdigit() for c in self.characters) else self.characters


def codes(tokens: Sequence[Token]) -> dict[int, str]:
    """By index of a token, what takes its place."""
    runs = list(_runs(tokens))
    every = sum(_digits(run.code) for run in runs) >= ALL_DIGITS
    found: dict[int, str] = {}
    for run in runs:
        if _is_personal(run, at_edge=_reaches_an_edge(run, tokens)) or (every and _digits(run.code)):
            found |= dict.fromkeys(run.span, _kind(run.code))
    return found


def _runs(tokens: Sequence[Token]) -> Iterator[_Run]:
    run, fillers, place = _Run(), 0, 0
    while place < len(tokens):
        characters, length = _read(tokens, place, run.characters)
        if length:
            run.places += [place, place + length - 1]
            run.characters += characters
            run.has_figures |= tokens[place].low.isdigit()
            fillers, place = 0, place + length
            continue
        fillers += 1
        if run.places and (tokens[place].low not in lists.FILLERS or fillers > MOST_FILLERS):
            yield run
            run = _Run()
        place += 1
    if run.places:
        yield run


def _read(tokens: Sequence[Token], place: int, before: str) -> tuple[str, int]:
    """Digits and letters of the code that begins with a token, and the number of its tokens, 0 if it is no part of a code.

    Args:
        tokens: All tokens.
        place: Index of the token.
        before: The characters of the code that has begun before it.
    """
    low = tokens[place].low
    if len(low) > 1 and low.isalpha() and low not in _SPOKEN:
        return "", 0
    following = tokens[place + 1].low if place + 1 < len(tokens) else ""
    if low in _REPEATS:
        repeated = lists.UNITS.get(following, following)
        return (repeated * _REPEATS[low], 2) if len(repeated) == 1 and repeated.isalnum() else ("", 0)
    if low in lists.TENS and lists.UNITS.get(following, "0") != "0":
        return lists.TENS[low][0] + lists.UNITS[following], 2
    if explained := _as_in(tokens, place):
        return low, explained
    if low in lists.LETTERS:
        return low[0], 1
    return _alone(low, before, following)


def _alone(low: str, before: str, following: str) -> tuple[str, int]:
    """As `_read`, for one token that does not go together with the next."""
    if low in _SCALES:
        return _SCALES[low], int(bool(before))
    if low in _WORDS_TOO:
        return low, int(any(c.isalpha() for c in before) or (len(following) == 1 and following.isalpha()))
    if low in _ZEROS:
        return "o", int(bool(before) or _is_character(following))
    characters = _written(low)
    return characters, int(bool(characters))


def _as_in(tokens: Sequence[Token], place: int) -> int:
    """Number of tokens of *A as in alpha*, *B for bravo*; 0 if it is not that."""
    low = tokens[place].low
    if len(low) == 1 and low.isalpha():
        for words in _AS_IN:
            end = place + 1 + len(words)
            if end < len(tokens) and tuple(t.low for t in tokens[place + 1 : end]) == words and tokens[end].low.startswith(low):
                return end + 1 - place
    return 0


def _written(low: str) -> str:
    """Digits and letters of a token that is written as a code: numbers, single letters, both mixed; empty for a word."""
    parts = [part for part in re.split(r"[^\w']|_", low) if part]
    if all(part in lists.NUMBERS for part in parts):
        return "".join(lists.NUMBERS[part] for part in parts)
    if all(len(part) == 1 for part in parts):
        return "".join(parts)
    if not any(c.isdigit() for c in low):
        return ""
    whole = "".join(parts)
    return "" if _QUANTITY.fullmatch(whole) else "".join(c for c in whole if c.isalnum())


def _is_character(low: str) -> bool:
    return low in lists.NUMBERS or low in _REPEATS or (len(low) == 1 and low.isalnum()) or low.isdigit()


def _digits(characters: str) -> int:
    return sum(c.isdigit() for c in characters)


def _reaches_an_edge(run: _Run, tokens: Sequence[Token]) -> bool:
    """Whether a code may have begun before the first token, or may go on after the last."""
    sides = tokens[: run.span.start], tokens[run.span.stop :]
    return any(len(side) <= MOST_FILLERS and all(token.low in lists.FILLERS for token in side) for side in sides)


def _is_personal(run: _Run, *, at_edge: bool) -> bool:
    characters = len(run.code)
    digits = _digits(run.code)
    letters = characters - digits
    telling = letters - sum(run.code.count(letter) for letter in _WORDS_TOO)
    if digits >= DIGITS or (letters >= LETTERS and telling) or (digits and telling and characters >= MIXED):
        return True
    return at_edge and (run.has_figures or digits >= 2 or (digits > 0 and telling > 0))


def _kind(code: str) -> str:
    """What a code is, by its checksum or by the plan of telephone numbers."""
    upper = code.upper()
    if _IBAN.fullmatch(upper) and int("".join(str(int(c, 36)) for c in upper[4:] + upper[:4])) % 97 == 1:
        return ACCOUNT
    if not code.isdigit():
        return CODE if _digits(code) else SPELLED
    if 13 <= len(code) <= 19 and _luhn(code):
        return CARD
    return PHONE if 7 <= len(code) <= 15 and _is_telephone(code) else NUMBER


def _luhn(digits: str) -> bool:
    """ISO/IEC 7812: from the right, every second digit is doubled; the sum of all digits is a multiple of ten."""
    doubled = [int(d) * (2 if index % 2 else 1) for index, d in enumerate(reversed(digits))]
    return sum(sum(divmod(value, 10)) for value in doubled) % 10 == 0


def _is_telephone(digits: str) -> bool:
    for text, region in (*((digits, region) for region in _REGIONS), (f"+{digits}", None)):
        try:
            if phonenumbers.is_valid_number(phonenumbers.parse(text, region)):
                return True
        except phonenumbers.NumberParseException:
            continue
    return False
