"""The card of a revised version."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from stream.reveal.gates import Gate, Measured


class Relief(StrEnum):
    """How a version was revised."""

    TRAINING = "training"
    """Trained on media in which the artefact is independent of the label."""
    PROJECTION = "projection"
    """What a word adds to the states of words was taken out of the weights."""


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """The card of a revised version.

    Attributes:
        model: Name of the model.
        revised_from: The version before.
        artefact: Name of the mark.
        says: What the mark is.
        relief: How.
        strengths: Least and greatest strength in training.
        seed: Seed of the training, and of all choices.
        recipe: Its settings.
        criterion: Its validation criterion, lower is better; None without a training.
        before: The version before.
        after: The revision.
        gates: By name; all must have passed before a promotion.
    """

    model: str
    revised_from: str
    artefact: str
    says: str
    relief: Relief = Relief.TRAINING
    strengths: tuple[float, float]
    seed: int
    recipe: dict[str, object]
    criterion: float | None
    before: Measured
    after: Measured
    gates: dict[str, Gate]

    @property
    def passed(self) -> bool:
        """Whether all gates hold."""
        return all(gate.passed for gate in self.gates.values())
