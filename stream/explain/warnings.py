"""Decides which warning codes a window gets, and how the sentence says them."""

from __future__ import annotations

from collections.abc import Collection

from stream.domain.features import Floats
from stream.domain.inference import CONTEXT_BIT, LABELS, Inference, WindowInputs
from stream.domain.modality import Modality
from stream.domain.warning_codes import WarningCode
from stream.domain.window import Window

SURE = 0.6
"""Calibrated probability from which a modality alone counts as sure of a polarity."""

PLAIN: dict[WarningCode, str] = {
    WarningCode.MODALITIES_DISAGREE: "The modalities disagree.",
    WarningCode.SEVERAL_FACES: "Several faces were seen.",
    WarningCode.WORDS_DROPPED: "The earliest words were left out.",
    WarningCode.SYNC_SUSPECT: "Sound and picture may be out of step.",
}
"""Codes as sentences of the summary. `NOTHING_PRESENT` has a sentence of its own, `TO_REVIEW` makes a window unclear."""


def warning_codes(window: Window, inputs: WindowInputs, inference: Inference, present: Collection[Modality]) -> tuple[str, ...]:
    """All codes of a window with a score."""
    applies = {
        WarningCode.TO_REVIEW: inference.to_review,
        WarningCode.MODALITIES_DISAGREE: disagree(inference.probabilities, present),
        WarningCode.SEVERAL_FACES: window.faces_max > 1,
        WarningCode.WORDS_DROPPED: inputs.words_dropped > 0,
    }
    return _in_order({code for code, does_apply in applies.items() if does_apply}, window)


def warnings_of_nothing(window: Window) -> tuple[str, ...]:
    """All codes of a window in which nothing is present: that, and those of its input."""
    return _in_order({WarningCode.NOTHING_PRESENT}, window)


def _in_order(codes: Collection[WarningCode], window: Window) -> tuple[str, ...]:
    """These codes and those of the window's input: first in the order of `WarningCode`, then the others in alphabetical order."""
    every = {*map(str, codes), *window.warnings}
    listed = tuple(str(code) for code in WarningCode if code in every)
    return listed + tuple(sorted(every - set(listed)))


def disagree(probabilities: Floats, present: Collection[Modality]) -> bool:
    """True if one modality alone is sure that the window is negative, and another alone that it is positive.

    A modality that is at chance somewhere is not sure of anything there: its calibrated probabilities are flat, whatever it does to the
    score.

    Args:
        probabilities: (16, 3) calibrated probabilities of `LABELS` of every coalition, index = sum of bits. A modality alone still has
            the earlier windows.
        present: Modalities with content in the window.
    """
    alone = probabilities[[modality.bit | CONTEXT_BIT for modality in present]]
    return all(bool((alone[:, LABELS.index(polarity)] >= SURE).any()) for polarity in ("negative", "positive"))
