"""Halves of a test set in which words do not predict the label, against the rest and against random halves.

The drop of a model is (accuracy on the rest) - (accuracy on the half). A part of it is selection: the half consists of utterances
on which word counts mislead. So a drop is compared with that of random halves, and with that of another model on the same halves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from research.benchmarks.ood_runs.bootstrap import Doubles, Draws, interval
from stream.domain.features import Floats
from stream.training.errors import TrainingError

RANDOM_HALVES = 100
KEY = "ood_test_ids"

Mask = npt.NDArray[np.bool_]
Numbers = dict[str, Any]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The n test windows of a split.

    Attributes:
        ids: (n,) ids of the windows.
        videos: (n,) videos of the windows.
        truth: (n,) annotated scores.
    """

    ids: tuple[str, ...]
    videos: tuple[str, ...]
    truth: Floats

    def conventions(self) -> dict[str, Mask]:
        """The windows that each convention of the binary accuracy counts."""
        return {"acc2_non0": self.truth != 0, "acc2_has0": np.ones(self.truth.size, dtype=bool)}


def right(scores: Floats, truth: Floats, convention: str) -> Floats:
    """(S, n) scores of S seeds to (S, n), 1 where the sign is right; the convention decides whether 0 is positive."""
    predicted, wanted = (scores > 0, truth > 0) if convention == "acc2_non0" else (scores >= 0, truth >= 0)
    return np.asarray(predicted == wanted, dtype=np.float32)


def read_half(file: Path, split: str, tests: Mapping[str, HeldOut]) -> Mask | None:
    """Read a half as an (n,) mask of a split's test windows; None if the file has no half of that split.

    A file contains ``{SPLIT: {"ood_test_ids": [...]}}``, ``{"ood_test_ids": [...]}``, or a list of ids; the latter two are for a
    split if all their ids are among its test windows.

    Raises:
        TrainingError: If the ids fit no split, or the file has another form.
    """
    stored = json.loads(file.read_text(encoding="utf-8"))
    if isinstance(stored, dict) and any(name in stored for name in tests):
        found = stored.get(split, {}).get(KEY)
    else:
        found = stored.get(KEY) if isinstance(stored, dict) else stored
        if not isinstance(found, list) or not any(set(found) <= set(test.ids) for test in tests.values()):
            raise TrainingError(f"{file}: expected a list of ids of test windows of one split, or {{SPLIT: {{{KEY!r}: [...]}}}}")
        found = found if set(found) <= set(tests[split].ids) else None
    if found is None:
        return None
    unknown = set(found) - set(tests[split].ids)
    if unknown:
        raise TrainingError(f"{file}: {len(unknown)} ids are not test windows of the {split} split; the first is {min(unknown)}")
    return np.isin(np.array(tests[split].ids), found)


def random_halves(size: int, inside: int, seed: int) -> list[Mask]:
    """`RANDOM_HALVES` masks of `size` windows with `inside` of them."""
    rng = np.random.default_rng(seed)
    return [np.isin(np.arange(size), rng.permutation(size)[:inside]) for _ in range(RANDOM_HALVES)]


class Drops:
    """Drops of one convention on some halves of a test set.

    Args:
        test: The test windows.
        halves: Masks by name of the file.
        convention: Convention of the binary accuracy.
        draws: Bootstrap samples of the test videos.
    """

    def __init__(self, test: HeldOut, halves: Mapping[str, Mask], convention: str, draws: Draws) -> None:
        self._test, self._halves, self._draws, self._convention = test, halves, draws, convention
        self._counted = test.conventions()[convention]

    def row(self, scores: Floats) -> Numbers:
        """Metrics of one model, from its (S, n) scores of S seeds."""
        hits = right(scores, self._test.truth, self._convention)
        seeds = np.array([[self._drop(own, half) for half in self._halves.values()] for own in hits]).mean(axis=1)
        mean = hits.mean(axis=0)
        by_file = {name: self._sides(mean, half) for name, half in self._halves.items()}
        drop = float(np.mean([own["drop"] for own in by_file.values()]))
        return {
            "all": round(float(mean[self._counted].mean()), 4),
            **{name: round(float(np.mean([own[name] for own in by_file.values()])), 4) for name in ("ood", "rest", "drop")},
            "sd": round(float(seeds.std(ddof=1)) if seeds.size > 1 else 0.0, 4),
            "interval": interval(self.drawn(scores)),
            "random": self._random(mean, drop),
            "by_file": {name: {key: round(value, 4) for key, value in own.items()} for name, own in by_file.items()},
        }

    def drawn(self, scores: Floats) -> Doubles:
        """(D,) drops in every draw of videos, mean over seeds and files."""
        mean = right(scores, self._test.truth, self._convention).mean(axis=0)
        found = [
            self._draws.means(mean, self._counted & ~half) - self._draws.means(mean, self._counted & half) for half in self._halves.values()
        ]
        return np.asarray(np.mean(found, axis=0), dtype=np.float64)

    def against(self, scores: Floats, reference: Floats) -> Numbers:
        """Compare the drop of a model with that of a reference, on the same windows and draws: difference and ratio."""
        own, other = self.drawn(scores), self.drawn(reference)
        drop, reference_drop = (
            float(np.mean([self._drop(hits, half) for half in self._halves.values()])) for hits in self._means(scores, reference)
        )
        return {
            "difference": round(drop - reference_drop, 4),
            "interval": interval(own - other),
            "ratio": round(drop / reference_drop, 3) if abs(reference_drop) > 1e-9 else None,
            "ratio_interval": interval(np.divide(own, other, out=np.full_like(own, np.nan), where=np.abs(other) > 1e-9)),
        }

    def _means(self, *scores: Floats) -> list[Floats]:
        return [right(own, self._test.truth, self._convention).mean(axis=0) for own in scores]

    def _drop(self, hits: Floats, half: Mask) -> float:
        return float(hits[self._counted & ~half].mean() - hits[self._counted & half].mean())

    def _sides(self, hits: Floats, half: Mask) -> dict[str, float]:
        inside, outside = float(hits[self._counted & half].mean()), float(hits[self._counted & ~half].mean())
        return {"ood": inside, "rest": outside, "drop": outside - inside}

    def _random(self, hits: Floats, drop: float) -> dict[str, float]:
        """Drops of random halves of the first file's size, and the share of them that is at least as large as `drop`."""
        inside = int(next(iter(self._halves.values())).sum())
        drops = np.array([self._drop(hits, half) for half in random_halves(hits.size, inside, seed=0)])
        return {"mean": round(float(drops.mean()), 4), "sd": round(float(drops.std(ddof=1)), 4), "as_large": float((drops >= drop).mean())}


def measure(test: HeldOut, halves: Mapping[str, Mask], rows: Mapping[str, Floats], references: Mapping[str, str]) -> dict[str, Numbers]:
    """Measure every row.

    Args:
        test: The split's test windows.
        halves: Masks by name of the file.
        rows: By name, the (S, n) scores of a row's seeds.
        references: By name, the row with which a row is compared.
    """
    draws = Draws(test.videos)
    found: dict[str, Numbers] = {name: {"seeds": int(scores.shape[0])} for name, scores in rows.items()}
    for convention in test.conventions():
        drops = Drops(test, halves, convention, draws)
        for name, scores in rows.items():
            found[name][convention] = drops.row(scores)
            reference = references.get(name, name)
            if reference in rows and reference != name:
                found[name][convention]["against"] = {"row": reference, **drops.against(scores, rows[reference])}
    return found
