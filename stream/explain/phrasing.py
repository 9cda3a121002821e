"""Words and figures of the written summary: the label of a score, names, times, round figures and quoted words."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from stream.domain.result import ScoreRecord
from stream.domain.warning_codes import WarningCode
from stream.explain.function_words import FUNCTION_WORDS, NEGATIONS
from stream.explain.redaction.words import PLACEHOLDERS, WORD_SIGNS

NEUTRAL, UNCLEAR = "neutral", "unclear"

SIGNS = {"negative": -1, "positive": 1}

POLAR_FROM = 0.6
"""Score points, with one decimal. From here on a score goes with its polar label, below it with *neutral*.

Of 221 windows of the sample, calls and clips that need no review, every label goes with its score. Without the rule, windows that need it
would have shown *negative* beside -0.1.
"""

QUOTED_CHARACTERS = 40
"""Most characters that are quoted at once: words come from outside and may be of any length."""


def verdict(score: ScoreRecord) -> str:
    """The label of a window with a score, if the model is sure enough of it and it goes with the score; else `UNCLEAR`."""
    if score.score is None or score.label is None or WarningCode.TO_REVIEW in score.warnings:
        return UNCLEAR
    return score.label if goes_with(score.label, score.score) else UNCLEAR


def goes_with(label: str, score: float) -> bool:
    """Whether a label may be named beside a score: the two come from different outputs of the model, and may contradict each other."""
    shown = round(score, 1)
    return abs(shown) < POLAR_FROM if label == NEUTRAL else shown * SIGNS[label] >= POLAR_FROM


def clock(ms: int) -> str:
    """Media time as ``m:ss``, with tenths where they are not zero."""
    tenths = ms // 100
    minutes, rest = divmod(tenths, 600)
    whole = f"{minutes}:{rest // 10:02d}"
    return f"{whole}.{rest % 10}" if rest % 10 else whole


def second(ms: int) -> str:
    """Media time as ``m:ss``, the full second before it."""
    return f"{ms // 60_000}:{ms // 1000 % 60:02d}"


def signed(score: float) -> str:
    """A score with its sign and two decimals; a score that rounds to zero is ``+0.00``."""
    return f"{round(score, 2) + 0.0:+.2f}"


def figure(points: float) -> str:
    """Score points with their sign and one decimal; ``0.0`` has no sign."""
    shown = round(points, 1)
    return f"{shown:+.1f}" if shown else "0.0"


def named(role: str) -> str:
    """``the customer``, but without an article what is a name: ``Anna``, ``speaker-2``."""
    text = role.replace("_", " ")
    return text if text[0].isupper() or any(c.isdigit() for c in text) else f"the {text}"


def possessive(name: str) -> str:
    """``the customer's``, ``James'``."""
    return name + ("'" if name.endswith("s") else "'s")


def at_start(text: str) -> str:
    """The text as the beginning of a sentence."""
    return text[0].upper() + text[1:]


def joined(items: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return f"{', '.join(items[:-1])} and {items[-1]}" if len(items) > 1 else items[0]


def says_something(text: str) -> bool:
    """Whether a phrase is worth quoting: not if little more than a placeholder is left of it."""
    words = set(text.lower().split())
    left = words - PLACEHOLDERS
    return left == words or bool(left - FUNCTION_WORDS or left & NEGATIONS)


def quote(text: str) -> str:
    """Spoken words in quotation marks, cut to `QUOTED_CHARACTERS`; empty if nothing of them may be quoted.

    Only letters, digits, a few signs and the placeholders of redaction are kept. Words come from outside and must not put markup, control
    characters or bidirectional overrides into the output.
    """
    words = [word for word in map(_kept, text.split()) if any(c.isalnum() for c in word)]
    if not words:
        return ""
    quoted = " ".join(words)
    return f"“{quoted if len(quoted) <= QUOTED_CHARACTERS else quoted[: QUOTED_CHARACTERS - 1].rstrip() + '…'}”"


def _kept(word: str) -> str:
    if word in PLACEHOLDERS:
        return word
    normal = unicodedata.normalize("NFC", word)
    return "".join(c for c in normal if unicodedata.category(c)[0] in "LMN" or c in WORD_SIGNS).strip("-")
