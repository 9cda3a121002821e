"""The intervention battery: a mark is put on windows that do not have it, and the scores are compared (no labels are needed).

    (1)  d_i = v(x_i with the mark) - v(x_i),   shift = mean d_i,   error = s(d) / sqrt(n)

v is the contribution of the mark's modality (its Shapley value), which moves where the other modalities outweigh it in the score, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from zlib import crc32

import numpy as np

from stream.domain.features import Floats
from stream.domain.inference import EVERYTHING
from stream.domain.modality import MODALITIES, Modality
from stream.explain.shapley import restricted, shapley_values
from stream.nuisances.marks import AnyMark
from stream.reveal.findings import Detector, Example, Finding
from stream.reveal.windows import Answers, Features, RawWindow, ServedModels


@dataclass(frozen=True, slots=True)
class Baseline:
    """Probe windows as they are, with their features and the answers to them."""

    windows: tuple[RawWindow, ...]
    features: Features
    answers: Answers

    @classmethod
    def of(cls, windows: Sequence[RawWindow], models: ServedModels) -> Baseline:
        """Ask the models once."""
        features = Features.of(windows, models)
        return cls(tuple(windows), features, models.answers(features.inputs(windows)))


def contributions(windows: Sequence[RawWindow], answers: Answers, modality: Modality) -> Floats:
    """(n,) Shapley value of a modality in each window, in score points."""
    values = []
    for raw, scores in zip(windows, answers.scores, strict=True):
        present = [m for m in MODALITIES if raw.has(m)]
        values.append(shapley_values(restricted(scores, present, has_context=False)).modalities[modality])
    return np.array(values, np.float32)


def battery(marks: Iterable[AnyMark], baseline: Baseline, models: ServedModels) -> list[Finding]:
    """`probe` for each mark whose modality the windows have."""
    return [found for mark in marks if (found := probe(mark, baseline, models)) is not None]


class Shifts(NamedTuple):
    """(n,) shifts in the windows that have the mark's modality.

    Attributes:
        contributions: Of the contribution of the modality.
        scores: Of the score.
        alone: Of the score of the modality alone.
        windows: Their places among all.
        before: The scores without the mark.
    """

    contributions: Floats
    scores: Floats
    alone: Floats
    windows: list[int]
    before: Floats


def shifts(mark: AnyMark, baseline: Baseline, models: ServedModels) -> Shifts | None:
    """The differences d of equation (1) for one mark at its usual strength; None if fewer than two windows have its modality."""
    chosen = [index for index, raw in enumerate(baseline.windows) if raw.has(mark.modality)]
    if len(chosen) < 2:
        return None
    plain = [baseline.windows[index] for index in chosen]
    before = baseline.answers.of(chosen)
    marked = [raw.with_mark(mark, mark.usual, np.random.default_rng([index, crc32(mark.name.encode())])) for index, raw in enumerate(plain)]
    features = baseline.features.rows(chosen).with_new(mark.modality, marked, models)
    after = models.answers(features.inputs(marked))
    moved = contributions(marked, after, mark.modality) - contributions(plain, before, mark.modality)
    changed = after.scores - before.scores
    return Shifts(moved, changed[:, EVERYTHING], changed[:, mark.modality.bit], chosen, before.scores[:, EVERYTHING])


def probe(mark: AnyMark, baseline: Baseline, models: ServedModels, examples: int = 0) -> Finding | None:
    """Equation (1) for one mark at its usual strength; None if fewer than two windows have its modality.

    With so many `examples`. `Finding.value` is the shift of the contribution, `Finding.score_shift` that of the score.
    """
    found = shifts(mark, baseline, models)
    if found is None:
        return None
    return Finding(
        detector=Detector.BATTERY,
        name=mark.name,
        modality=mark.modality,
        value=float(found.contributions.mean()),
        error=float(found.contributions.std(ddof=1) / np.sqrt(len(found.contributions))),
        windows=len(found.contributions),
        score_shift=float(found.scores.mean()),
        examples=_examples(found, baseline, examples),
    )


def _examples(found: Shifts, baseline: Baseline, most: int) -> tuple[Example, ...]:
    """The windows whose score moved furthest, the furthest first."""
    places = np.argsort(-np.abs(found.scores), kind="stable")[:most]
    return tuple(
        Example(
            window=baseline.windows[found.windows[place]].name,
            before=float(found.before[place]),
            after=float(found.before[place] + found.scores[place]),
            moved=float(found.contributions[place]),
        )
        for place in places
    )
