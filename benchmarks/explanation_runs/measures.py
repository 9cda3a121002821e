"""The measures of all explainers, and the checks of the measures, on the same windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.explanation_runs.planted import Planted
from benchmarks.explanation_runs.removals import Removals
from stream.domain.features import Floats
from stream.domain.inference import WindowInputs
from stream.domain.modality import Modality
from stream.explain.methods.value import Value, node_mask
from stream.explain.quality.erasure import (
    Erased,
    Erasure,
    comprehensiveness,
    deletion_auc,
    insertion_auc,
    overshooting_sufficiency,
    sufficiency,
)
from stream.explain.quality.exchange import exchanged_drop
from stream.explain.quality.trust import NOISE_LEVELS, Verdict, gini, judge, noisy
from stream.explain.quality.truth import hits, iou, relevance_mass, right_sign, right_word, says_something

GREEDY_SLACK = 0.02
"""By how much a method may exceed a greedy oracle: greedy search is not perfect."""

ROUNDING = 0.0006
"""Published effects are rounded to thousandths: phrases whose effects differ by less share the first place."""

Row = dict[str, float]
Advance = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Bench:
    """Explained windows.

    Attributes:
        windows: The windows.
        found: Their explanations by method.
        value: The model.
        rows: The measures of each method so far.
        verdicts: The checks of each measure so far.
    """

    windows: Sequence[WindowInputs]
    found: Mapping[str, Sequence[Floats]]
    value: Value
    rows: dict[str, Row]
    verdicts: dict[str, Verdict] = field(default_factory=dict)

    def noised(self, level: float) -> list[Floats]:
        """The explanations of SHAP with noise of one level."""
        rng = np.random.default_rng([0, NOISE_LEVELS.index(level)])
        return [noisy(r, inputs, level, rng) for r, inputs in zip(self.found["shap"], self.windows, strict=True)]


def measure_erasure(bench: Bench, erasures: Sequence[Erasure], advance: Advance) -> None:
    """Comprehensiveness, sufficiency and the curves of every method, and their checks."""
    named: dict[str, tuple[Callable[[Sequence[Erasure], Sequence[Erased]], float], Callable[[Erased], float], bool]] = {
        "comprehensiveness": (comprehensiveness, lambda one: one.comprehensiveness, True),
        "sufficiency": (sufficiency, lambda one: one.sufficiency, True),
        "sufficiency_overshooting": (overshooting_sufficiency, lambda one: one.overshooting, True),
        "deletion_auc": (deletion_auc, lambda one: one.deletion, False),
        "insertion_auc": (insertion_auc, lambda one: one.insertion, True),
    }

    def erased(relevances: Sequence[Floats]) -> list[Erased]:
        found = [erasure.measure(relevance) for erasure, relevance in zip(erasures, relevances, strict=True)]
        advance()
        return found

    by_method = {name: erased(explained) for name, explained in bench.found.items()}
    by_noise = [erased(bench.noised(level)) for level in NOISE_LEVELS]
    for name, (measure, of_window, higher) in named.items():
        for method, found in by_method.items():
            bench.rows[method][name] = measure(erasures, found)
        oracle = "oracle_insertion" if name in {"sufficiency", "sufficiency_overshooting", "insertion_auc"} else "oracle"
        bench.verdicts[name] = judge(
            [measure(erasures, found) for found in by_noise],
            [of_window(one) for one in by_method["shap"]],
            [of_window(one) for one in by_method["random"]],
            bench.rows[oracle][name],
            higher_is_better=higher,
            tolerance=GREEDY_SLACK,
        )


def measure_exchange(bench: Bench, donors: Mapping[Modality, Floats], spans: Sequence[float], advance: Advance) -> None:
    """Exchange for nodes of other windows, as a share of what the nodes move, and its check."""

    def drops(relevances: Sequence[Floats]) -> list[float]:
        pairs = enumerate(zip(bench.windows, relevances, strict=True))
        found = [exchanged_drop(inputs, relevance, bench.value, donors, seed) for seed, (inputs, relevance) in pairs]
        advance()
        return found

    by_method = {name: drops(explained) for name, explained in bench.found.items()}
    for name, found in by_method.items():
        bench.rows[name]["exchange"] = sum(found) / sum(spans)
    bench.verdicts["exchange"] = judge(
        [sum(drops(bench.noised(level))) / sum(spans) for level in NOISE_LEVELS],
        by_method["shap"],
        by_method["random"],
        bench.rows["oracle"]["exchange"],
    )


def measure_words(bench: Bench, texts: Sequence[Removals], name: str) -> None:
    """Whether the unit of the text that a method ranks first is right, when the text is really encoded without it; and the checks.

    The relevance of a unit is the sum of that of its words. Where no unit has an effect, nothing is measured.

    Args:
        bench: The bench.
        texts: What each window would be without each of its words, or phrases.
        name: Prefix of the two measures.
    """
    chosen = [index for index, own in enumerate(texts) if says_something(own.effects)]
    if not chosen:
        return

    def right(relevances: Sequence[Floats]) -> dict[str, list[float]]:
        pairs = [(texts[index].of_units(relevances[index]), texts[index].effects) for index in chosen]
        return {
            f"{name}_sign": [float(right_sign(relevance, own)) for relevance, own in pairs],
            f"{name}_top1": [float(right_word(relevance, own)) for relevance, own in pairs],
        }

    by_method = {method: right(explained) for method, explained in bench.found.items()}
    by_noise = [right(bench.noised(level)) for level in NOISE_LEVELS]
    for measure in by_method["shap"]:
        for method, found in by_method.items():
            bench.rows[method][measure] = float(np.mean(found[measure]))
        bench.verdicts[measure] = judge(
            [float(np.mean(found[measure])) for found in by_noise],
            by_method["shap"][measure],
            by_method["random"][measure],
            1.0,  # the effects themselves
        )


def measure_claims(bench: Bench, texts: Sequence[Removals]) -> None:
    """The product says nothing of phrases but what it has measured: its claims take the place of its relevance."""
    claimed = [own for own in texts if says_something(own.effects)]
    first = [(own.claims[0], own) for own in claimed if own.claims]
    if not first:
        return
    bench.rows["ours"]["reencoded_sign"] = float(np.mean([claim.effect * own.effect_of(claim.phrase) > 0 for claim, own in first]))
    right = sum(abs(own.effect_of(claim.phrase)) >= float(np.abs(own.effects).max()) - ROUNDING for claim, own in first)
    bench.rows["ours"]["reencoded_top1"] = right / len(claimed)


def measure_planted(bench: Bench, planted: Sequence[Planted]) -> None:
    """Whether the methods find planted marks, and the checks. The windows of the bench are the planted ones."""
    named: dict[str, Callable[[Floats, np.ndarray], float]] = {"pointing": hits, "relevance_mass": relevance_mass, "iou": iou}

    def of(measure: Callable[[Floats, np.ndarray], float], relevances: Sequence[Floats]) -> list[float]:
        return [float(measure(relevance, one.mask)) for relevance, one in zip(relevances, planted, strict=True)]

    for name, measure in named.items():
        for method, explained in bench.found.items():
            bench.rows.setdefault(method, {})[name] = float(np.mean(of(measure, explained)))
        bench.verdicts[name] = judge(
            [float(np.mean(of(measure, bench.noised(level)))) for level in NOISE_LEVELS],
            of(measure, bench.found["shap"]),
            of(measure, bench.found["random"]),
            float(np.mean(of(measure, [one.mask.astype(np.float32) for one in planted]))),
        )


def measure_concentration(bench: Bench) -> None:
    """Gini of the relevance: a measure that has to fail its check."""

    def concentrations(relevances: Sequence[Floats]) -> list[float]:
        return [gini(r[node_mask(inputs) > 0]) for r, inputs in zip(relevances, bench.windows, strict=True)]

    by_method = {name: concentrations(explained) for name, explained in bench.found.items()}
    bench.verdicts["gini"] = judge(
        [float(np.mean(concentrations(bench.noised(level)))) for level in NOISE_LEVELS],
        by_method["shap"],
        by_method["random"],
        float(np.mean(by_method["oracle"])),
    )
