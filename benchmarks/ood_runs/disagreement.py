"""Accuracy where text and another modality, each asked alone, disagree about the sign."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.ood_runs import conflict
from benchmarks.ood_runs.bootstrap import Draws
from benchmarks.ood_runs.rows import ERM, Bench, Numbers, alone, family
from stream.domain.modality import Modality
from stream.training.experiments.config import ExperimentConfig

FAMILIES = ("bclstm given", "bclstm minilm", "std minilm")
"""Those whose text can be asked alone in seconds."""

QUICK = ("bclstm minilm",)


def measure(bench: Bench, finished: Iterable[ExperimentConfig], *, quick: bool) -> dict[str, Numbers]:
    """Numbers of every finished row of the families, by the pair that disagrees.

    The unimodal models are the family's plainly trained row with one modality; which windows are in conflict is so decided
    once for all rows, and without looking at a label.
    """
    rows = list(finished)
    found: dict[str, Numbers] = {}
    for name in QUICK if quick else FAMILIES:
        members = [config for config in rows if family(config) == name]
        plain = bench.rows[ERM[name]]
        others = [m for m in plain.data.modalities if m is not Modality.TEXT]
        single = {m: alone(plain, m) for m in (Modality.TEXT, *others)}
        if not members or not all(bench.has(config) for config in single.values()):
            continue
        test = bench.tests[plain.data.split]
        draws = Draws(test.videos)
        said = {m: bench.scores(config) for m, config in single.items()}
        for config in [*members, *single.values()]:
            scores = bench.scores(config)
            found[config.name] = {
                f"text against {m}": conflict.numbers(test, scores, conflict.disagreeing(said[Modality.TEXT], said[m]), draws)
                for m in others
            } | {"seeds": config.seeds}
    return found
