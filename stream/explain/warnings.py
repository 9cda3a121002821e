"""Decides which warning codes a window gets, and how the sentence says them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from stream.domain.features import Floats
from stream.domain.inference import CONTEXT_BIT, LABELS, Inference, WindowInputs
from stream.domain.modality import MODALITIES, Modality
from stream.domain.result import ExplanationRecord, ScoreRecord
from stream.domain.warning_codes import WarningCode, nuisance_of, sensitive_to
from stream.domain.window import Window
from stream.explain.language import is_foreign

SURE = 0.6
"""Calibrated probability from which a modality alone counts as sure of a polarity."""

SINGLE_SHARE, SINGLE_MOVED = 0.9, 0.5
"""From this share of the movement on, and from this movement (score points) on, one modality counts as the only one that says anything.
4.5 % of the windows of a service call have the warning, none of the sample."""

FACE_POINTS, FACE_SHARE, WORDS_SAY_LITTLE = 0.6, 0.5, 0.1
"""Least contribution (score points) and share of the movement of a face that the score leans on, where the words contribute less than
`WORDS_SAY_LITTLE` in the same direction. One of 25 windows with words and a face has the warning, 11 of 12 of faces alone."""

CLAIMED = 0.5
"""Score points. Phrases with a smaller effect are no reason for a warning. In 582 windows of the sample, calls, clips and transcripts, 240
have a claim from here on, and 18 the warning."""

PLAIN: dict[WarningCode, str] = {
    WarningCode.VISUAL_OVER_RELIANCE: "The score rests on the face.",
    WarningCode.OUTSIDE_TRAINING_DOMAIN: "The words may not be English.",
    WarningCode.SEVERAL_FACES: "Several faces were seen.",
    WarningCode.WORDS_DROPPED: "The earliest words were left out.",
    WarningCode.SYNC_SUSPECT: "Sound and picture may be out of step.",
    WarningCode.OVERLOAD: "Some sound or pictures were left out.",
}
"""Codes as sentences of the summary. `NOTHING_PRESENT`, `MODALITIES_DISAGREE` and `SINGLE_MODALITY` have sentences of their own,
`TO_REVIEW` makes a window unclear, and the others are for experts."""


_PLACES: Mapping[str, int] = {code: place for place, code in enumerate(WarningCode)}


def warning_codes(
    window: Window, inputs: WindowInputs, inference: Inference, contributions: Mapping[Modality, float], moved: float
) -> tuple[str, ...]:
    """All codes of a window with a score.

    Args:
        window: The window.
        inputs: Its inputs.
        inference: The model's answer.
        contributions: Those of the modalities that are present, in score points.
        moved: Score minus base score.
    """
    applies = {
        WarningCode.TO_REVIEW: inference.to_review,
        WarningCode.MODALITIES_DISAGREE: disagree(inference.probabilities, contributions),
        WarningCode.SINGLE_MODALITY: rests_on_one(contributions, moved),
        WarningCode.VISUAL_OVER_RELIANCE: rests_on_the_face(contributions),
        WarningCode.OUTSIDE_TRAINING_DOMAIN: is_foreign([word.text for word in window.words()]),
        WarningCode.SEVERAL_FACES: window.faces_max > 1,
        WarningCode.WORDS_DROPPED: inputs.words_dropped > 0,
    }
    return _in_order((*(code for code, does_apply in applies.items() if does_apply), *window.warnings))


def warnings_of_nothing(window: Window) -> tuple[str, ...]:
    """All codes of a window without a score: that nothing is present, unless nothing may be used of it anyway, and those of its input."""
    nothing = () if len(window.withheld) == len(MODALITIES) else (WarningCode.NOTHING_PRESENT,)
    return _in_order((*nothing, *window.warnings))


def with_evidence(score: ScoreRecord, explanation: ExplanationRecord, sensitive: Iterable[str] = ()) -> tuple[str, ...]:
    """The codes of a final window, that its explainers disagree if they do, and the names of nuisances that it is sensitive to."""
    disagreeing = (WarningCode.EXPLAINERS_DISAGREE,) if explainers_disagree(explanation) else ()
    return _in_order((*score.warnings, *disagreeing, *map(sensitive_to, sensitive)))


def rests_on_one(contributions: Mapping[Modality, float], moved: float) -> bool:
    """Whether one of several modalities carries the whole movement of the score."""
    sizes = [abs(points) for points in contributions.values()]
    return len(sizes) > 1 and abs(moved) >= SINGLE_MOVED and max(sizes) >= SINGLE_SHARE * sum(sizes)


def rests_on_the_face(contributions: Mapping[Modality, float]) -> bool:
    """Whether the face carries most of the movement, and the words say little or the opposite."""
    face, words = contributions.get(Modality.VIDEO, 0.0), contributions.get(Modality.TEXT, 0.0)
    leans = abs(face) >= FACE_POINTS and abs(face) >= FACE_SHARE * sum(abs(points) for points in contributions.values())
    return leans and (words * face <= 0 or abs(words) < WORDS_SAY_LITTLE)


def explainers_disagree(explanation: ExplanationRecord) -> bool:
    """Whether the strongest claim holds none of the listed words of the same sign: two ways to explain the words give different answers."""
    claim = next(iter(explanation.claims), None)
    if claim is None or abs(claim.effect) < CLAIMED:
        return False
    agreeing = [word for word in explanation.words if word.relevance * claim.effect > 0]
    return not any(claim.start_ms <= word.start_ms and word.end_ms <= claim.end_ms for word in agreeing)


def _in_order(codes: Iterable[str]) -> tuple[str, ...]:
    """These codes: first in the order of `WarningCode`, then the others in alphabetical order; those of nuisances, too."""

    def place(code: str) -> tuple[int, str]:
        kind = WarningCode.NUISANCE_SENSITIVE if nuisance_of(code) is not None else code
        return _PLACES.get(kind, len(_PLACES)), code

    return tuple(sorted(set(map(str, codes)), key=place))


def disagree(probabilities: Floats, present: Collection[Modality]) -> bool:
    """True if one modality alone is sure that the window is negative, and another alone that it is positive.

    A modality that is at chance somewhere is not sure of anything there: its calibrated probabilities are flat, whatever it does to the
    score.

    Args:
        probabilities: (16, 3) calibrated probabilities of `LABELS` of every coalition, index = sum of bits. A modality alone still has
            the earlier windows.
        present: Modalities with content in the window.
    """
    of_coalitions = probabilities.tolist()
    alone = [of_coalitions[modality.bit | CONTEXT_BIT] for modality in present]
    return all(any(own[LABELS.index(polarity)] >= SURE for own in alone) for polarity in ("negative", "positive"))
