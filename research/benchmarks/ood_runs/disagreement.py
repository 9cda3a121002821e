"""Accuracy where text and another modality, each alone, disagree about the sign."""

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
"""For each family, the row whose single modalities determine the windows in conflict; fine-tuned rows use that of the frozen text."""

QUICK = ("bclstm minilm",)


def measure(bench: Bench, finished: Iterable[ExperimentConfig], *, quick: bool) -> dict[str, Numbers]:
    """Measure every finished row of the families, by the pair of modalities that disagrees.

    So the windows in conflict are the same for all rows of a family, and do not depend on labels.
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
        unimodal = {m: bench.scores(config) for m, config in single.items()}
        for config in [*members, *(single.values() if family(plain) == name else ())]:
            scores = bench.scores(config)
            found[config.name] = {
                f"text against {m}": conflict.numbers(test, scores, conflict.disagreeing(unimodal[Modality.TEXT], unimodal[m]), draws)
                for m in others
            } | {"seeds": config.seeds}
    return found
