"""The warning codes: reasons to read a result with care. They are listed here and nowhere else."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum

from stream.domain.inference import Inference, WindowInputs
from stream.domain.modality import Modality
from stream.domain.window import SYNC_SUSPECT, Window

DISAGREEMENT = 0.25
"""Score points by which two modalities have to pull in opposite directions to count as disagreeing."""

SHORTCUT_EFFECT = 0.5
"""Difference (score points) between the scores with and without backdoor adjustment that leads to a warning."""


class WarningCode(StrEnum):
    """Peculiarities of a window. A record's ``warnings`` are in this order, followed by other codes of the window's input."""

    NOTHING_PRESENT = "nothing_present"
    """No word, no sound, no face: the score is the model's score without any modality."""
    TO_REVIEW = "to_review"
    """The model is unsure of the label: a person should check it. The threshold is fitted, see the model card."""
    MODALITIES_DISAGREE = "modalities_disagree"
    """Two modalities pull in opposite directions, each by `DISAGREEMENT` or more."""
    SHORTCUT_EFFECT = "shortcut_effect"
    """Without the backdoor adjustment the score would differ by `SHORTCUT_EFFECT` or more."""
    SEVERAL_FACES = "several_faces"
    """More than one face was in the picture; the largest was followed."""
    WORDS_DROPPED = "words_dropped"
    """The window has more words than the model's input holds; the earliest were left out."""
    SYNC_SUSPECT = SYNC_SUSPECT
    """The clocks of sound and picture are so far apart that their alignment should not be relied on."""


PLAIN: dict[WarningCode, str] = {
    WarningCode.TO_REVIEW: "the label is uncertain and should be reviewed",
    WarningCode.MODALITIES_DISAGREE: "the modalities disagree",
    WarningCode.SHORTCUT_EFFECT: "the score leans on a shortcut that was averaged out",
    WarningCode.SEVERAL_FACES: "several faces were seen (the largest was followed)",
    WarningCode.WORDS_DROPPED: "the earliest words were left out",
    WarningCode.SYNC_SUSPECT: "sound and picture may be out of step",
}
"""Each code as a clause of the sentence; `NOTHING_PRESENT` has a sentence of its own."""


def warning_codes(
    window: Window, present: Collection[Modality], inputs: WindowInputs, inference: Inference, contributions: dict[Modality, float]
) -> tuple[str, ...]:
    """All codes of a window: first in the order of `WarningCode`, then the other codes of its input in alphabetical order."""
    score = float(inference.scores[-1])
    applies = {
        WarningCode.NOTHING_PRESENT: not present,
        WarningCode.TO_REVIEW: inference.to_review,
        WarningCode.MODALITIES_DISAGREE: disagree(contributions.values()),
        WarningCode.SHORTCUT_EFFECT: abs(score - inference.score_unadjusted) >= SHORTCUT_EFFECT,
        WarningCode.SEVERAL_FACES: window.faces_max > 1,
        WarningCode.WORDS_DROPPED: inputs.words_dropped > 0,
        WarningCode.SYNC_SUSPECT: SYNC_SUSPECT in window.warnings,
    }
    listed = tuple(str(code) for code in WarningCode if applies[code])
    return listed + tuple(sorted(set(window.warnings) - set(listed)))


def disagree(contributions: Iterable[float]) -> bool:
    """True if one contribution raises the score by `DISAGREEMENT` or more and another lowers it by as much or more."""
    values = tuple(contributions)
    return max(values, default=0.0) >= DISAGREEMENT and min(values, default=0.0) <= -DISAGREEMENT
