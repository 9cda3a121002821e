"""Accuracy where text and another modality, each asked alone, disagree about the sign."""

from __future__ import annotations

from collections.abc import Iterable

from research.benchmarks.ood_runs import conflict
from research.benchmarks.ood_runs.bootstrap import Draws
from research.benchmarks.ood_runs.halves import Numbers
from research.benchmarks.ood_runs.rows import ERM, Bench, alone, family
from research.experiments.config import ExperimentConfig
from stream.domain.modality import Modality

JUDGES = {
    "bclstm given": ERM["bclstm given"],
    "bclstm minilm": ERM["bclstm minilm"],
    "bclstm trained": ERM["bclstm minilm"],
    "std minilm": ERM["std minilm"],
    "std trained": ERM["std minilm"],
}
"""For every family the row whose modalities, each alone, say which windows are in conflict; fine-tuned rows borrow the frozen text's."""

QUICK = ("bclstm minilm",)


def measure(bench: Bench, finished: Iterable[ExperimentConfig], *, quick: bool) -> dict[str, Numbers]:
    """Numbers of every finished row of the families, by the pair that disagrees.

    Which windows are in conflict is so decided once for all rows of a family, and without looking at a label.
    """
    rows = list(finished)
    found: dict[str, Numbers] = {}
    for name in QUICK if quick else JUDGES:
        members = [config for config in rows if family(config) == name]
        plain = bench.rows[JUDGES[name]]
        others = [m for m in plain.data.modalities if m is not Modality.TEXT]
        single = {m: alone(plain, m) for m in (Modality.TEXT, *others)}
        if not members or not all(bench.has(config) for config in single.values()):
            continue
        test = bench.tests[plain.data.split]
        draws = Draws(test.videos)
        said = {m: bench.scores(config) for m, config in single.items()}
        for config in [*members, *(single.values() if family(plain) == name else ())]:
            scores = bench.scores(config)
            found[config.name] = {
                f"text against {m}": conflict.numbers(test, scores, conflict.disagreeing(said[Modality.TEXT], said[m]), draws)
                for m in others
            } | {"seeds": config.seeds}
    return found
