"""Made-up service calls: matter-of-fact talk that is neutral, and callers' feelings as a contrast.

No corpus of the recipe has agents who greet, names that are spelled and numbers that are read out. Without them a model takes a polite
formula for praise. The phrases are in ``routine_talk.toml``; those of one part of the corpora are in no other part. Labels and words are
ours, not annotations of what people have said.
"""

from __future__ import annotations

import functools
import random
import re
import string
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stream.training.corpora import NEGATIVE, NEUTRAL, POSITIVE, Part, Utterance
from stream.training.rated_sentences import without_punctuation

CORPUS = "routine"
AGENT, CALLER = "agent", "caller"
FEELING = {"positive": POSITIVE, "negative": NEGATIVE}

FEELING_SHARE = 0.25
"""Share of the utterances in which a caller has a feeling."""

WITHOUT_PUNCTUATION = 1 / 3
"""Share of the calls in lower case and without punctuation, as many speech recognisers write."""

WITH_OPENER = 0.2
"""Share of the utterances of a caller that begin with a filler."""

SCENES_PER_CALL = 4, 8
"""Least and largest number of scenes between the opening and the closing of a call."""

Turn = tuple[str, tuple[str, ...]]
"""A speaker, and the kinds of the phrases that are said in one go."""

OPENING: tuple[Turn, ...] = ((AGENT, ("greeting",)), (CALLER, ("request",)))
SCENES: tuple[tuple[Turn, ...], ...] = (
    ((AGENT, ("ask_name",)), (CALLER, ("give_name",)), (AGENT, ("acknowledge",))),
    ((AGENT, ("acknowledge", "ask_name")), (CALLER, ("give_name",)), (AGENT, ("read_back",)), (CALLER, ("answer",))),
    ((AGENT, ("ask_detail",)), (CALLER, ("give_number",)), (AGENT, ("acknowledge",))),
    ((AGENT, ("acknowledge", "ask_detail")), (CALLER, ("give_number",)), (AGENT, ("read_back",)), (CALLER, ("back_channel",))),
    ((AGENT, ("ask_detail",)), (CALLER, ("give_detail",)), (AGENT, ("back_channel",)), (CALLER, ("give_detail",))),
    ((AGENT, ("hold",)), (CALLER, ("back_channel",)), (AGENT, ("hold", "inform"))),
    ((AGENT, ("inform",)), (CALLER, ("back_channel",)), (AGENT, ("inform",)), (CALLER, ("answer",))),
    ((AGENT, ("schedule",)), (CALLER, ("answer",)), (AGENT, ("acknowledge", "read_back")), (CALLER, ("back_channel",))),
    ((AGENT, ("back_channel", "schedule")), (CALLER, ("back_channel", "answer"))),
    ((AGENT, ("transfer",)), (CALLER, ("back_channel",)), (AGENT, ("greeting",))),
    ((AGENT, ("menu",)), (AGENT, ("menu",)), (AGENT, ("greeting",))),
    ((CALLER, ("request",)), (AGENT, ("back_channel", "hold"))),
)
CLOSING: tuple[Turn, ...] = ((AGENT, ("closing",)), (CALLER, ("back_channel",)), (AGENT, ("closing",)))


def routine_talk(count: int, seed: int, part: Part) -> list[Utterance]:
    """Make up `count` utterances of calls; the same seed and part give the same ones.

    Each call is a group. The score is None as in MELD: the loss pulls the score of what is neutral to 0.
    """
    rng = random.Random(f"{seed} {part}")
    utterances: list[Utterance] = []
    call = 0
    while len(utterances) < count:
        utterances += _call(f"{part}{call}", tuple(FEELING)[call % len(FEELING)], rng, part)
        call += 1
    return utterances[:count]


def _call(name: str, feeling: str, rng: random.Random, part: Part) -> list[Utterance]:
    scenes = rng.sample(SCENES, rng.randint(*SCENES_PER_CALL))
    plain = rng.random() < WITHOUT_PUNCTUATION
    said = []
    turns = [*OPENING, *(turn for scene in scenes for turn in scene), *CLOSING]
    for order, (speaker, kinds) in enumerate(_with_feelings(turns, feeling, rng)):
        text = " ".join(_phrase(kind, rng, part) for kind in kinds)
        if speaker == CALLER and kinds[0] != "back_channel" and rng.random() < WITH_OPENER:
            text = f"{rng.choice(_book().slots['opener'])} {text}"
        polarity = FEELING.get(kinds[0], NEUTRAL)
        said.append(Utterance(CORPUS, name, without_punctuation(text) if plain else text, None, polarity, part, speaker, order))
    return said


def _with_feelings(turns: Sequence[Turn], feeling: str, rng: random.Random) -> Iterator[Turn]:
    """Put turns of a caller with a feeling between the others, so that they are about `FEELING_SHARE` of all."""
    for index, turn in enumerate(turns):
        yield turn
        if index and rng.random() < FEELING_SHARE / (1 - FEELING_SHARE):
            yield CALLER, (feeling,)


def _phrase(kind: str, rng: random.Random, part: Part) -> str:
    return filled(rng.choice(_book().phrases[kind][part]), rng)


def filled(phrase: str, rng: random.Random) -> str:
    """Fill in the words in braces, those of the filled in words, too."""
    while "{" in phrase:
        phrase = re.sub(r"\{(\w+)\}", lambda slot: _filler(slot[1], rng), phrase)
    return phrase


@dataclass(frozen=True, slots=True)
class _Book:
    """Phrases by kind and part, and the words for each slot."""

    phrases: Mapping[str, Mapping[Part, tuple[str, ...]]]
    slots: Mapping[str, tuple[str, ...]]


@functools.cache
def _book() -> _Book:
    tables = tomllib.loads((Path(__file__).with_suffix(".toml")).read_text(encoding="utf-8"))
    slots = tables.pop("slots")
    phrases = {kind: _by_part(all_of_kind) for table in tables.values() for kind, all_of_kind in table.items()}
    return _Book(phrases, {name: tuple(words) for name, words in slots.items()})


def _by_part(phrases: Sequence[str]) -> dict[Part, tuple[str, ...]]:
    parts = (Part.TRAIN, Part.TRAIN, Part.TRAIN, Part.VALIDATION, Part.TEST)
    return {part: tuple(phrase for index, phrase in enumerate(phrases) if parts[index % len(parts)] is part) for part in Part}


def _filler(slot: str, rng: random.Random) -> str:
    return _MADE[slot](rng) if slot in _MADE else rng.choice(_book().slots[slot])


NUMERALS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def _digits(rng: random.Random, count: int) -> str:
    """Digits as they are read out or as recognisers write them."""
    numbers = [rng.randrange(10) for _ in range(count)]
    match rng.randrange(4):
        case 0:
            return "".join(map(str, numbers))
        case 1:
            return "-".join(map(str, numbers))
        case 2:
            return " ".join("oh" if number == 0 else NUMERALS[number] for number in numbers)
        case _:
            return ", ".join(" ".join(NUMERALS[number] for number in numbers[start : start + 3]) for start in range(0, count, 3))


def _spelled(word: str, rng: random.Random) -> str:
    """A word letter by letter, in some calls with a spelling alphabet."""
    letters = [letter.upper() for letter in word if letter.isalpha()]
    match rng.randrange(4):
        case 0:
            return "-".join(letters)
        case 1:
            return ", ".join(letters)
        case 2:
            return " ".join(letters)
        case _:
            by_letter = {name[0]: name for name in _book().slots["nato"]}
            return ", ".join(f"{letter} as in {by_letter[letter]}" for letter in letters[:5])


def _ordinal(rng: random.Random) -> str:
    day = rng.randint(1, 31)
    ending = "th" if 10 < day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


def _time(rng: random.Random) -> str:
    hour = rng.randint(1, 12)
    return rng.choice(
        (f"{hour}", f"{hour}:30", f"{hour} o'clock", f"half past {hour}", f"quarter to {hour}", f"{hour} {rng.choice(('am', 'pm'))}")
    )


def _amount(rng: random.Random) -> str:
    whole, cents = rng.randint(3, 480), rng.randrange(100)
    currency = rng.choice(("dollars", "pounds", "euros"))
    return rng.choice((f"${whole}.{cents:02d}", f"{whole} {currency}", f"{whole} {currency} and {cents} cents", f"{whole} {cents:02d}"))


def _email(rng: random.Random) -> str:
    first, last = _filler("first", rng).lower(), _filler("last", rng).lower()
    return rng.choice(
        (
            f"{first}.{last}@example.com",
            f"{first} dot {last} at example dot com",
            f"{first[0]} {last} {rng.randrange(10)} at example dot org",
        )
    )


_MADE: dict[str, Callable[[random.Random], str]] = {
    "digit": lambda rng: rng.choice((str, NUMERALS.__getitem__))(rng.randrange(10)),
    "digits": lambda rng: _digits(rng, rng.randint(4, 8)),
    "two": lambda rng: str(rng.randint(10, 99)),
    "three": lambda rng: str(rng.randint(100, 999)),
    "four": lambda rng: _digits(rng, 4),
    "zip": lambda rng: _digits(rng, 5),
    "minutes": lambda rng: rng.choice(("five", "10", "fifteen", "20", "thirty", "45")),
    "letter": lambda rng: rng.choice(string.ascii_uppercase),
    "code": lambda rng: f"{rng.choice(string.ascii_uppercase)}{rng.choice(string.ascii_uppercase)} {_digits(rng, 5)}",
    "spelled": lambda rng: _spelled(_filler("last", rng), rng),
    "spelled_first": lambda rng: _spelled(_filler("first", rng), rng),
    "ordinal": _ordinal,
    "time": _time,
    "date": lambda rng: f"{_filler('month', rng)} {_ordinal(rng)}",
    "amount": _amount,
    "email": _email,
}
