"""How steady the explanations are: under noise, between runs and methods, and with random weights; and the checks of these measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.explanation_runs.explainers import Network, explainers
from benchmarks.explanation_runs.measures import Advance, Bench
from stream.domain.features import Floats
from stream.domain.inference import WindowInputs
from stream.domain.modality import Modality
from stream.explain.methods.perturbation import RandomRelevance
from stream.explain.methods.value import Explainer, node_mask
from stream.explain.quality.stability import agreement, max_sensitivity, shared_top
from stream.explain.quality.trust import NOISE_LEVELS, judge, noisy


def measure_stability(bench: Bench, members: Mapping[str, Explainer], count: int, advance: Advance) -> None:
    """Sensitivity to small noise on the first windows, and its check. Of no use as a measure of truth."""
    windows = bench.windows[:count]

    def sensitivities(explainer: Explainer) -> list[float]:
        found = [max_sensitivity(explainer, inputs, bench.value, seed) for seed, inputs in enumerate(windows)]
        advance()
        return found

    by_method = {name: sensitivities(explainer) for name, explainer in members.items()}
    for name, found in by_method.items():
        bench.rows[name]["max_sensitivity"] = float(np.mean(found))
    rng = np.random.default_rng(0)

    def with_noise(level: float) -> Explainer:
        return lambda inputs, value: noisy(members["ours"](inputs, value), inputs, level, rng)

    bench.verdicts["max_sensitivity"] = judge(
        [float(np.mean(sensitivities(with_noise(level)))) for level in NOISE_LEVELS],
        by_method["ours"],
        by_method["random"],
        0.0,  # what a constant has
        higher_is_better=False,
    )


def measure_agreement(bench: Bench, repeated: Mapping[str, Sequence[Floats]]) -> dict[str, dict[str, float]]:
    """Agreement of two runs with other seeds, its check, and Kendall's tau between methods, which is returned."""
    for name, again in repeated.items():
        pairs = list(zip(bench.found[name], again, bench.windows, strict=False))
        bench.rows[name]["repeated_tau"] = float(np.mean([agreement(*pair) for pair in pairs]))
        bench.rows[name]["repeated_top5"] = float(np.mean([shared_top(*pair) for pair in pairs]))
    rng = np.random.default_rng(0)
    shap = list(zip(bench.found["shap"], bench.windows, strict=True))
    taus = [[agreement(noisy(r, w, level, rng), noisy(r, w, level, rng), w) for r, w in shap] for level in NOISE_LEVELS]
    other = RandomRelevance(seed=1)
    random = [agreement(r, other(w, bench.value), w) for r, w in zip(bench.found["random"], bench.windows, strict=True)]
    bench.verdicts["agreement"] = judge([float(np.mean(level)) for level in taus], taus[0], random, 1.0)
    named = [name for name in bench.found if name != "random"]
    return {one: {two: _mean_tau(bench, one, two) for two in named} for one in named}


def _mean_tau(bench: Bench, one: str, two: str) -> float:
    triples = zip(bench.found[one], bench.found[two], bench.windows, strict=True)
    return float(np.mean([agreement(*triple) for triple in triples]))


def measure_randomisation(
    bench: Bench, networks: Sequence[tuple[str, Network]], baselines: Mapping[Modality, Floats], count: int, advance: Advance
) -> dict[str, float]:
    """How alike explanations stay when the weights become random, its check, and the course of ours from layer to layer, which is returned.

    Args:
        bench: The bench.
        networks: Networks with ever more random weights, with the name of the newest layer.
        baselines: For integrated gradients.
        count: The first so many windows are explained.
        advance: Called after each method.
    """
    windows = bench.windows[:count]
    _, everything = networks[-1]
    taus: dict[str, list[float]] = {}
    for name, explainer in explainers(everything, baselines).items():
        pairs = zip(bench.found[name], windows, strict=False)
        taus[name] = [agreement(before, explainer(inputs, everything.value), inputs) for before, inputs in pairs]
        if name != "random":  # it knows no model, and so has no business in this row
            bench.rows[name]["randomised"] = float(np.mean(taus[name]))
        advance()
    windows_before = list(zip(bench.found["ours"], windows, strict=False))
    course = {
        layer: float(np.mean([agreement(before, network.answers([w])[0].relevance, w) for before, w in windows_before]))
        for layer, network in networks
    }
    blended = []
    for level in NOISE_LEVELS:  # here the noise is the same for both networks: an explanation that looks at the input alone
        own = [
            agreement(
                _unit(bench.found["ours"][index]) + level * _unit(_blind(inputs)),
                _unit(everything.answers([inputs])[0].relevance) + level * _unit(_blind(inputs)),
                inputs,
            )
            for index, inputs in enumerate(windows)
        ]
        blended.append(float(np.mean(own)))
    blind = [agreement(_blind(inputs), _blind(inputs), inputs) for inputs in windows]
    bench.verdicts["randomised"] = judge(blended, taus["ours"], blind, 0.0, higher_is_better=False, tolerance=1.0)
    return course


def _blind(inputs: WindowInputs) -> Floats:
    """(N,) the length of each node: a relevance that asks no model."""
    lengths = np.concatenate([np.linalg.norm(values, axis=1) for values in (inputs.words, inputs.audio, inputs.video)])
    return (lengths * node_mask(inputs)).astype(np.float32)


def _unit(relevance: Floats) -> Floats:
    return relevance / max(float(np.linalg.norm(relevance)), 1e-9)
