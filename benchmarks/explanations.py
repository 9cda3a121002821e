"""Measures the product's explanations beside other explainers, and the measures themselves.

    python -m benchmarks.explanations [--quick] [--data FOLDER] [--windows N]

Windows are composed of MOSI's test transcripts, held-out voices and faces, with real earlier utterances as their context. ``--quick`` takes
those of the packaged sample instead, and fewer of them: it needs no corpus and a few minutes.

Every method explains the same windows. Milliseconds are CPU time through the served graph, in ONNX Runtime on one thread. What the columns
mean stands in docs/explanations.md. Progress goes to stderr. The last line of stdout is one JSON object: ``methods``, ``metrics`` (which
measures passed their own check), ``agreement`` between methods, ``randomisation``, ``agreeing`` and ``missed``. The exit code is 1 if the
goal is missed: that of the product's explanation, ``ours``, in comprehensiveness, sufficiency and cost.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.explanation_runs import measures, steadiness
from benchmarks.explanation_runs.coalition_scores import CoalitionScores
from benchmarks.explanation_runs.explainers import (
    AVERAGED,
    NO_SINGLE_METHOD,
    ORACLES,
    Network,
    explain,
    explainers,
    learned,
    mean_of,
)
from benchmarks.explanation_runs.local_models import LocalClient
from benchmarks.explanation_runs.planted import Planter, answered_right, trained
from benchmarks.explanation_runs.removals import claims_of, phrases_of, removals, words_of
from benchmarks.explanation_runs.sample_windows import sample_cases
from benchmarks.explanation_runs.served_graph import ServedGraph
from benchmarks.explanation_runs.sizes import FULL, QUICK, Sizes
from benchmarks.explanation_runs.windows import Case, composed
from benchmarks.machine import machine, versions
from benchmarks.pipeline_runs.plain import infer
from stream.config.project import PROJECT_ROOT
from stream.domain.inference import WindowInputs
from stream.explain.methods.lime import Lime
from stream.explain.methods.shap import KernelShap
from stream.explain.methods.value import Explainer, Value, mean_nodes, node_mask, node_pool
from stream.explain.quality.erasure import Erasure, comprehensiveness, overshooting_sufficiency, sufficiency
from stream.explain.quality.randomisation import randomised
from stream.explain.quality.trust import rounded
from stream.model.served import WEIGHTS, ServedMMCI, load_weights

REPOSITORY = PROJECT_ROOT / "triton_models"
SEED = 0
LEAST_NODES = 4
COMPREHENSIVENESS, SUFFICIENCY, BEHIND, COST_SHARE = 0.84, 0.945, 0.005, 1 / 50

console = Console(stderr=True)
Counter = Callable[[str, int], Callable[[], None]]


def run(cases: list[Case], agreeing: list[Case], sizes: Sizes, client: LocalClient, progress: Progress) -> dict[str, Any]:
    """Explain and measure; the first windows are for the learned combination alone. `agreeing` are further windows for two measures."""

    def counter(name: str, total: int) -> Callable[[], None]:
        bar = progress.add_task(name, total=total)
        return lambda: progress.advance(bar)

    graph, module = ServedGraph(REPOSITORY), load_weights(REPOSITORY / "mmci" / "1" / WEIGHTS)
    value = CoalitionScores(module)
    network = Network(value, graph.answers, module)
    others, explained = [case.inputs for case in cases[: sizes.fitted]], [case.inputs for case in cases[sizes.fitted :]]
    pool = node_pool(others)
    baselines = mean_nodes(others)
    members = explainers(network, baselines)
    found = explain(members, explained, value, counter("explanations", len(members) * len(explained)))
    learned_one = {"combiner": learned(members, others, value)}
    found |= explain(learned_one, explained, value, counter("learned combination", len(explained)))
    found["mean"] = mean_of(found)
    erasures = _erasures(explained, value, counter("greedy orders", len(explained)))
    found["oracle"] = [e.relevance_of(e.deletion_order) for e in erasures]
    found["oracle_insertion"] = [e.relevance_of(e.insertion_order) for e in erasures]
    bench = measures.Bench(explained, found, value, {name: {} for name in found})
    measures.measure_erasure(bench, erasures, counter("erasure", len(found) + 5))
    in_graph = replace(bench, value=graph.value)
    measures.measure_exchange(in_graph, pool, [erasure.span for erasure in erasures], counter("exchange", len(found) + 5))
    texts = cases[sizes.fitted :]
    measures.measure_words(bench, removals(texts, words_of, graph, client, counter("words", len(texts))), "word")
    spoken = removals(texts, phrases_of, graph, client, counter("phrases", len(texts)))
    measures.measure_words(bench, spoken, "reencoded")
    measures.measure_claims(bench, claims_of(texts, spoken, graph, client))
    measures.measure_concentration(bench)
    steadiness.measure_stability(bench, members | learned_one, sizes.noised, counter("stability", len(members) + 6))
    again: dict[str, Explainer] = {"shap": KernelShap(seed=1), "lime": Lime(seed=1)}
    repeated = explain(again, explained[: sizes.noised], value, counter("other seeds", 2 * sizes.noised))
    taus = steadiness.measure_agreement(bench, repeated)
    networks = [(layer, _in_torch(changed)) for layer, changed in randomised(module, SEED)]
    course = steadiness.measure_randomisation(bench, networks, baselines, sizes.randomised, counter("random weights", len(members)))
    planted = _planted(bench, sizes, counter, progress)
    for name, ms in _milliseconds(members | learned_one, explained[: sizes.timed], graph, counter("served graph", sizes.timed)).items():
        bench.rows[name]["ms"] = ms
    return {
        "methods": {name: {key: round(number, 4) for key, number in row.items()} for name, row in bench.rows.items()},
        "metrics": rounded(bench.verdicts),
        "agreement": {one: {two: round(tau, 3) for two, tau in row.items()} for one, row in taus.items()},
        "randomisation": {layer: round(tau, 3) for layer, tau in course.items()},
        "agreeing": _agreeing([case.inputs for case in agreeing], members, value, counter),
        "windows": {"explained": len(explained), "fitted": len(others), "agreeing": len(agreeing), **planted},
        "nodes": round(float(np.mean([node_mask(inputs).sum() for inputs in explained])), 1),
    }


def _erasures(windows: Sequence[WindowInputs], value: Value, advance: Callable[[], None]) -> list[Erasure]:
    found = []
    for inputs in windows:
        found.append(Erasure(inputs, value))
        advance()
    return found


def _milliseconds(
    members: Mapping[str, Explainer], windows: Sequence[WindowInputs], graph: ServedGraph, advance: Callable[[], None]
) -> dict[str, float]:
    """CPU milliseconds of a window through the served graph: the median. The mean costs what its members cost together."""
    found: dict[str, list[float]] = {name: [] for name in members}
    for inputs in windows:
        for name, explainer in members.items():
            began = time.process_time()
            explainer(inputs, graph.value)
            found[name].append(1000 * (time.process_time() - began))
        advance()
    ms = {name: median(own) for name, own in found.items()}
    return ms | {"mean": sum(ms[name] for name in AVERAGED)}


def _agreeing(windows: list[WindowInputs], members: Mapping[str, Explainer], value: Value, counter: Counter) -> dict[str, dict[str, float]]:
    """Comprehensiveness and sufficiency of the single methods on windows whose parts have one polarity."""
    if not windows:
        return {}
    erasures = _erasures(windows, value, counter("greedy orders, agreeing windows", len(windows)))
    found = explain(members, windows, value, counter("agreeing windows", len(members) * len(windows)))
    rows = {name: [erasure.measure(own) for erasure, own in zip(erasures, relevance, strict=True)] for name, relevance in found.items()}
    named = {"comprehensiveness": comprehensiveness, "sufficiency": sufficiency, "sufficiency_overshooting": overshooting_sufficiency}
    return {name: {key: round(measure(erasures, erased), 4) for key, measure in named.items()} for name, erased in rows.items()}


def _planted(bench: measures.Bench, sizes: Sizes, counter: Counter, progress: Progress) -> dict[str, Any]:
    """Measure the methods on a network that reads planted marks; adds their rows and verdicts to the bench."""
    pool = node_pool(bench.windows)
    planter = Planter(bench.windows, pool, SEED)
    network = _in_torch(trained(planter, SEED, progress))
    planted, share = answered_right(planter, network.module, sizes.planted)
    members = explainers(network, mean_nodes(bench.windows))
    windows = [one.inputs for one in planted]
    found = explain(members, windows, network.value, counter("planted marks", len(members) * len(windows)))
    found["mean"] = mean_of(found)
    found |= {oracle: [one.mask.astype(np.float32) for one in planted] for oracle in ORACLES}
    measures.measure_planted(measures.Bench(windows, found, network.value, bench.rows, bench.verdicts), planted)
    return {"planted": len(planted), "planted_answered_right": round(share, 3)}


def _in_torch(module: ServedMMCI) -> Network:
    return Network(CoalitionScores(module), lambda windows: infer(module, windows), module)


def missed(methods: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What of the goal the product's explanation misses, in words."""
    ours = methods["ours"]
    failures = []
    for name, goal in (("comprehensiveness", COMPREHENSIVENESS), ("sufficiency", SUFFICIENCY)):
        if ours[name] < goal:
            failures.append(f"{name} {ours[name]:.3f} is below {goal}")
        rivals = {method: row[name] for method, row in methods.items() if method not in {*NO_SINGLE_METHOD, "ours"}}
        failures += [
            f"{name} is behind {method}: {ours[name]:.3f} < {own:.3f}" for method, own in rivals.items() if ours[name] < own - BEHIND
        ]
    failures += [f"costs more than 1/50 of {name}" for name in ("shap", "lime") if ours["ms"] > COST_SHARE * methods[name]["ms"]]
    return failures


def print_tables(result: Mapping[str, Any]) -> None:
    """Print the methods and the measures."""
    columns = list(dict.fromkeys(key for row in result["methods"].values() for key in row))
    table = Table("method", *columns, box=None, header_style="bold")
    for name, row in result["methods"].items():
        table.add_row(name, *(f"{row[key]:.3f}" if key in row else "" for key in columns))
    console.print(table)
    table = Table("measure", "trusted", "order", "random wins", box=None, header_style="bold")
    for name, one in result["metrics"].items():
        table.add_row(name, "yes" if one["trusted"] else "no", f"{one['order']:.2f}", f"{one['random_wins']:.2f}")
    console.print(table)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.explanations", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    given = os.environ.get("SENTISTREAM_DATA")
    parser.add_argument("--quick", action="store_true", help="windows of the packaged sample, and fewer of everything")
    parser.add_argument("--data", type=Path, default=given, help="folder of the corpora, by default SENTISTREAM_DATA")
    parser.add_argument("--windows", type=int, help=f"windows to explain, by default {FULL.explained}")
    options = parser.parse_args()
    if options.data is None and not options.quick:
        parser.error("name the folder of the corpora with --data or SENTISTREAM_DATA, or say --quick")
    torch.set_num_threads(1)
    sizes = QUICK if options.quick else FULL
    client = LocalClient(REPOSITORY)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console) as progress:
            count = sizes.fitted + (options.windows or sizes.explained)
            agreeing: list[Case] = []
            if options.quick:
                mixed = asyncio.run(sample_cases(client))
            else:
                mixed, agreeing = composed(options.data, REPOSITORY, client, count=count, seed=SEED, progress=progress)
            mixed = [case for case in mixed if node_mask(case.inputs).sum() >= LEAST_NODES]
            order = np.random.default_rng(SEED).permutation(len(mixed))[:count]
            result = run([mixed[index] for index in order], agreeing[: sizes.agreeing], sizes, client, progress)
    except (FileNotFoundError, ImportError) as error:
        sys.exit(f"explanations: {error}")
    print_tables(result)
    failures = missed(result["methods"])
    for failure in failures:
        console.print(f"goal missed: {failure}")
    result |= {"missed": failures, "machine": machine(), "versions": versions("onnxruntime", "torch", "shap", "captum", "numpy")}
    print(json.dumps({"benchmark": "explanations", "quick": options.quick, **result}))
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
