"""The warning codes of results: reasons to read a result with care. All codes are listed here."""

from __future__ import annotations

from enum import StrEnum


class WarningCode(StrEnum):
    """Peculiarities of a window. A record's ``warnings`` are in this order.

    The rule for each code, and its words in the sentence, are in `stream.explain.warnings`.
    """

    NOTHING_PRESENT = "nothing_present"
    """No word, no voice, no face: the window has no score."""
    TO_REVIEW = "to_review"
    """The model is unsure of the label: a person should check it. The threshold is fitted, see the model card."""
    MODALITIES_DISAGREE = "modalities_disagree"
    """Two modalities, each alone, are sure of opposite polarities, see `stream.explain.warnings.SURE`."""
    SINGLE_MODALITY = "single_modality"
    """One modality carries the whole movement of the score although others are present, see `stream.explain.warnings.SINGLE_SHARE`."""
    VISUAL_OVER_RELIANCE = "visual_over_reliance"
    """The face carries most of the movement, without words or against them, see `stream.explain.warnings.FACE_POINTS`."""
    EXPLAINERS_DISAGREE = "explainers_disagree"
    """The phrase with the largest measured effect holds none of the strongest words of the evidence. In final windows alone."""
    NUISANCE_SENSITIVE = "nuisance_sensitive"
    """A nuisance moves the score by more than its measured threshold. In records its name follows: ``nuisance_sensitive:hiss``. Only a
    share of the final windows is probed."""
    OUTSIDE_TRAINING_DOMAIN = "outside_training_domain"
    """The words seem to be in another language than English, see `stream.explain.language`."""
    SEVERAL_FACES = "several_faces"
    """More than one face was in the picture; the largest was followed."""
    WORDS_DROPPED = "words_dropped"
    """The window has more words than the model's input holds; the earliest were left out."""
    SYNC_SUSPECT = "sync_suspect"
    """The clocks of sound and picture are so far apart that their alignment should not be relied on."""
    OVERLOAD = "overload"
    """Sound or pictures of the window were not decoded, all or some, because the worker had fallen behind."""
    SHED = "shed"
    """The window was closed early because too many chunks were held."""


SEPARATOR = ":"
"""Between a code and the name of the nuisance that it is about."""


def sensitive_to(name: str) -> str:
    """The code of a window that a nuisance moves."""
    return f"{WarningCode.NUISANCE_SENSITIVE}{SEPARATOR}{name}"


def nuisance_of(code: str) -> str | None:
    """The nuisance that a code is about; None for any other code."""
    kind, separator, name = code.partition(SEPARATOR)
    return name if separator and kind == WarningCode.NUISANCE_SENSITIVE else None
