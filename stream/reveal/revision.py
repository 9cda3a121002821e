"""The card of a revised version."""

from __future__ import annotations

import msgspec

from stream.reveal.gates import Gate, Measured


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """The card of a revised version.

    Attributes:
        model: Name of the model.
        revised_from: The version before.
        artefact: Name of the mark.
        says: What the mark is.
        strengths: Least and greatest strength in training.
        seed: Seed of the training.
        recipe: Its settings.
        criterion: Its validation criterion, lower is better.
        before: The version before.
        after: The revision.
        gates: By name; all must have passed before a promotion.
    """

    model: str
    revised_from: str
    artefact: str
    says: str
    strengths: tuple[float, float]
    seed: int
    recipe: dict[str, object]
    criterion: float
    before: Measured
    after: Measured
    gates: dict[str, Gate]

    @property
    def passed(self) -> bool:
        """Whether all gates hold."""
        return all(gate.passed for gate in self.gates.values())
