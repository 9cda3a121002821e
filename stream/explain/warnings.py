"""Codes that say why a result should be read with care; the only place where they are listed."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from stream.domain.inference import Inference, WindowInputs
from stream.domain.modality import Modality
from stream.domain.window import SYNC_SUSPECT, Window

DISAGREEMENT = 0.25
"""Score points by which two modalities have to pull in opposite directions to be said to disagree."""

SHORTCUT_EFFECT = 0.5
"""Score points between the score with and without backdoor adjustment that are worth a warning."""


class WarningCode(StrEnum):
    """What may be odd about a window; a record's ``warnings`` are in this order, then those of the window's input."""

    NOTHING_PRESENT = "nothing_present"
    """No word, no sound, no face: the score is what the model says when it is shown nothing."""
    TO_REVIEW = "to_review"
    """The model is unsure of the label: a person should look. Its threshold is fitted, see the model card."""
    MODALITIES_DISAGREE = "modalities_disagree"
    """Two modalities pull in opposite directions, each by `DISAGREEMENT` or more."""
    SHORTCUT_EFFECT = "shortcut_effect"
    """Without the backdoor adjustment the score would differ by `SHORTCUT_EFFECT` or more."""
    SEVERAL_FACES = "several_faces"
    """More than one face was seen at once; the largest was followed."""
    WORDS_DROPPED = "words_dropped"
    """More words than the model's input holds; the earliest were left out."""
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


def warning_codes(window: Window, inputs: WindowInputs, inference: Inference, contributions: dict[Modality, float]) -> tuple[str, ...]:
    """All codes of a window, in the order of `WarningCode`, then the codes of its input in alphabetical order."""
    score = float(inference.scores[-1])
    holds = {
        WarningCode.NOTHING_PRESENT: not inputs.present,
        WarningCode.TO_REVIEW: inference.to_review,
        WarningCode.MODALITIES_DISAGREE: disagree(contributions.values()),
        WarningCode.SHORTCUT_EFFECT: abs(score - inference.score_unadjusted) >= SHORTCUT_EFFECT,
        WarningCode.SEVERAL_FACES: window.faces_max > 1,
        WarningCode.WORDS_DROPPED: inputs.words_dropped > 0,
        WarningCode.SYNC_SUSPECT: SYNC_SUSPECT in window.warnings,
    }
    ours = tuple(str(code) for code in WarningCode if holds[code])
    return ours + tuple(sorted(set(window.warnings) - set(ours)))


def disagree(contributions: Iterable[float]) -> bool:
    """True when one contribution is at least `DISAGREEMENT` up and another at least as much down."""
    values = tuple(contributions)
    return max(values, default=0.0) >= DISAGREEMENT and min(values, default=0.0) <= -DISAGREEMENT
