"""The rows of the benchmark of spoken-digit images: which network learns what, and what the loop adds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from research.digits.training import Recipe
from stream.domain.modality import MODALITIES, Modality


class Task(StrEnum):
    """What the samples are."""

    HARD = "hard"
    PLAIN = "plain"
    BIASED = "biased"


BASE = Recipe(epochs=8, peak_rate=4e-3, alone_weight=0.5)
"""Training without explanations."""

LOOP = replace(BASE, epochs=3, peak_rate=2e-3, masked=1.0, gate_weight=1.0, cam_weight=0.1)
"""Revision with the masks of all samples."""

ONE_IN_TEN = replace(LOOP, masked=0.1)
WITHOUT_MASKS = replace(LOOP, masked=0.0)


@dataclass(frozen=True, slots=True)
class Row:
    """A network and its training.

    Attributes:
        loop: What comes after the base training; None for nothing.
        task: What its samples are.
        modalities: What it reads.
        attention: Whether it has attention; otherwise all cells of a modality count alike.
    """

    loop: Recipe | None
    task: Task = Task.HARD
    modalities: tuple[Modality, ...] = MODALITIES
    attention: bool = True


ROWS = {
    "ours": Row(LOOP),
    "ours, 10 % of the masks": Row(ONE_IN_TEN),
    "no loop": Row(None),
    "longer without masks": Row(WITHOUT_MASKS),
    "longer, weighted by consistency": Row(replace(WITHOUT_MASKS, by_consistency=True)),
    "no Grad-CAM++": Row(replace(LOOP, cam_weight=0.0)),
    "no attention": Row(LOOP, attention=False),
    "no attention, no loop": Row(None, attention=False),
    "text alone": Row(None, modalities=(Modality.TEXT,)),
    "audio alone": Row(None, modalities=(Modality.AUDIO,)),
    "image alone": Row(None, modalities=(Modality.VIDEO,)),
    "biased": Row(None, Task.BIASED),
    "biased, longer without masks": Row(WITHOUT_MASKS, Task.BIASED),
    "biased, 10 % positive masks": Row(replace(WITHOUT_MASKS, masked=0.1, positive_weight=1.0), Task.BIASED),
    "biased, 10 % positive and negative masks": Row(replace(ONE_IN_TEN, patch_weight=1.0), Task.BIASED),
    "biased, after the loop": Row(replace(ONE_IN_TEN, patch_weight=1.0, patch_shuffled=True), Task.BIASED),
    "plain": Row(None, Task.PLAIN),
    "plain, after the loop": Row(LOOP, Task.PLAIN),
}
"""``no loop`` is the same fusion without explanation training; ``no attention, no loop`` is the fusion without attention."""
