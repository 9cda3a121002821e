"""Measured effects of phrases: claims, their truth, and the words that a label hangs on. Pure: scores and labels are passed in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import NamedTuple, TypeVar

from stream.domain.inference import LABELS
from stream.explain.rounding import rounded
from stream.explain.score_and_label import ScoreAndLabel

LEAST_EFFECT = 0.05
"""Score points. The model moves by less than this when nothing of substance changes: it is no claim."""

COMBINED = 4
"""Phrases that are combined in the search for a change of the label: those that support the label most."""

Phrases = tuple[range, ...]
Removed = TypeVar("Removed", range, Phrases)


class PhraseEffect(NamedTuple):
    """A phrase whose effect was measured.

    Attributes:
        phrase: Indices of its words in `WindowInputs.word_nodes`.
        effect: Score of the window minus its score without the phrase.
        label_without: Label of the window without the phrase.
    """

    phrase: range
    effect: float
    label_without: str


class Truth(NamedTuple):
    """How many claims hold, counted over windows in which every phrase was removed in turn.

    Attributes:
        windows: Windows with a phrase whose effect is at least `LEAST_EFFECT`.
        top_right: Those among them whose first claim is the phrase with the largest effect of all.
        claims: Claims.
        signs_right: Those among them that move the score in the direction they say.
    """

    windows: int = 0
    top_right: int = 0
    claims: int = 0
    signs_right: int = 0

    def plus(self, other: Truth) -> Truth:
        """The counts of both."""
        return Truth(*(own + others for own, others in zip(self, other, strict=True)))

    def rates(self) -> dict[str, float | None]:
        """``top`` and ``sign``: the shares that are right, None without any."""
        return {
            "top": self.top_right / self.windows if self.windows else None,
            "sign": self.signs_right / self.claims if self.claims else None,
        }


def effects(whole: ScoreAndLabel, without: Mapping[range, ScoreAndLabel]) -> dict[range, float]:
    """Score with each phrase minus score without it, the largest of either sign first; of equal ones the earlier phrase."""
    found = {phrase: rounded(whole.score - other.score) for phrase, other in without.items()}
    return {phrase: found[phrase] for phrase in sorted(found, key=lambda phrase: (-abs(found[phrase]), phrase.start))}


def claims(whole: ScoreAndLabel, without: Mapping[range, ScoreAndLabel]) -> tuple[PhraseEffect, ...]:
    """The claims that follow from the removal of phrases, strongest first; effects below `LEAST_EFFECT` are none.

    Args:
        whole: Score and label of the window.
        without: Score and label without each phrase that was tried.
    """
    return tuple(
        PhraseEffect(phrase, effect, without[phrase].label)
        for phrase, effect in effects(whole, without).items()
        if abs(effect) >= LEAST_EFFECT
    )


def truth(claimed: Mapping[range, float], every: Mapping[range, float]) -> Truth:
    """Check the claims of one window against the effects of all its phrases.

    Args:
        claimed: Effects of the phrases that were tried, strongest first.
        every: Effects of all phrases, measured once more, strongest first.
    """
    large = {phrase: effect for phrase, effect in claimed.items() if abs(effect) >= LEAST_EFFECT}
    strongest = next((phrase for phrase, effect in every.items() if abs(effect) >= LEAST_EFFECT), None)
    return Truth(
        windows=int(strongest is not None),
        top_right=int(strongest is not None and next(iter(large), None) == strongest),
        claims=len(large),
        signs_right=sum(every[phrase] * effect > 0 for phrase, effect in large.items()),
    )


def sets_to_try(whole: ScoreAndLabel, without: Mapping[range, ScoreAndLabel]) -> Iterator[list[Phrases]]:
    """Sets of phrases whose removal may change the label, in stages of one size: pairs, triples and so on; eleven sets at most.

    They are made of the `COMBINED` phrases that support the label most; single phrases are in `without` already.
    """
    support = _support(whole, without)
    # Where the label is certain, no phrase alone makes it less so: then those that move the score most are combined.
    strongest = sorted(support, key=lambda phrase: (-support[phrase], -abs(whole.score - without[phrase].score), phrase.start))[:COMBINED]
    for size in range(2, len(strongest) + 1):
        yield sorted(combinations(strongest, size), key=lambda chosen: -rounded(sum(support[phrase] for phrase in chosen)))


def changing(whole: ScoreAndLabel, tried: Mapping[Phrases, ScoreAndLabel]) -> Phrases | None:
    """The set without which the window has another label and its own label is least probable; None if the label stays.

    Of equal sets the first counts.
    """
    drops = {chosen: drop for chosen, drop in _support(whole, tried).items() if tried[chosen].label != whole.label}
    return max(drops, key=lambda chosen: drops[chosen], default=None)


def _support(whole: ScoreAndLabel, without: Mapping[Removed, ScoreAndLabel]) -> dict[Removed, float]:
    """How much less probable the window's label is without the words."""
    label = LABELS.index(whole.label)
    return {words: rounded(whole.probabilities[label] - other.probabilities[label]) for words, other in without.items()}
