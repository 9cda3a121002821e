"""What the model says of a window with some of its players, by the rules of the published records."""

from __future__ import annotations

from typing import NamedTuple

from stream.domain.features import Floats
from stream.domain.inference import CONTEXT_BIT, EVERYTHING, LABELS, Coalitions, WindowInputs
from stream.domain.modality import MODALITIES
from stream.explain.rounding import rounded


class ScoreAndLabel(NamedTuple):
    """Rounded score, label, and the (3,) probabilities of `LABELS`."""

    score: float
    label: str
    probabilities: Floats


def score_and_label(inputs: WindowInputs, coalitions: Coalitions, index: int = EVERYTHING) -> ScoreAndLabel:
    """What the model says with the players of a coalition.

    A player of whom the window has nothing changes nothing: the coalition is read without it. Of equally probable labels the first counts.

    Args:
        inputs: The window.
        coalitions: The model's answer to it.
        index: The coalition, the sum of the bits of its players.
    """
    masks = (inputs.word_mask, inputs.audio_mask, inputs.video_mask)
    present = sum(modality.bit for modality, mask in zip(MODALITIES, masks, strict=True) if mask.any())
    effective = index & (present | (CONTEXT_BIT if inputs.past_mask.any() else 0))
    probabilities = coalitions.probabilities[effective]
    return ScoreAndLabel(rounded(coalitions.scores[effective]), LABELS[int(probabilities.argmax())], probabilities)
