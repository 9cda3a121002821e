"""Fills the tables of docs/ from benchmarks/results: ``python -m benchmarks.tables``.

``align.json``, ``pipeline.json`` and ``served.json`` hold the last line of ``python -m benchmarks.align``, ``… pipeline`` and
``… served --gpu``; each line of ``recovery.jsonl`` is the last line of a ``python -m benchmarks.recovery``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.markdown import fill_tables, markdown_table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
DOCUMENTS = ("docs/operations.md", "docs/performance.md", "docs/reliability.md")
COUNTS = ("runs", "faults", "expected", "lost", "duplicated", "different", "wrong", "late", "repeated", "worker_crashes", "unclean_stops")


def align_table() -> str:
    """Cost and size by number of sessions."""
    found = _last("align")
    sessions = [*found["us_per_chunk"]]
    rows = [[f"{int(count):,}", f"{found['us_per_chunk'][count]:.1f}", f"{found['bytes_per_session'][count]:,}"] for count in sessions]
    return markdown_table(["sessions", "µs of CPU time a chunk", "bytes a session"], rows) + "\n\n" + _machine(found)


def ratios_table() -> str:
    """The same job side by side."""
    found = _last("pipeline")
    ms = {name: median(values) for name, values in found["cpu_ms_per_window"].items()}
    titles = {
        "sentistream": ("sentistream: worker, Redis and Triton", 1.0),
        "plain_faust": ("plain Faust agent, torch for each window", found["ratio_to_plain_faust"]),
        "quixstreams": ("Quix Streams, torch for each window", found["ratio_to_quixstreams"]),
        "reading_alone": ("reading the records through Faust and nothing else", ms["reading_alone"] / ms["sentistream"]),
        "torch": (f"the model alone in torch, batches of {found['batch']:.1f}", found["ratio_to_ceiling"]),
        "onnxruntime": ("the model alone in ONNX Runtime, likewise", found["ratio_to_ceiling_in_onnxruntime"]),
    }
    rows = [[title, f"{ms[name]:.2f}", f"{ratio:.2f}"] for name, (title, ratio) in titles.items()]
    return markdown_table(["", "CPU ms a window", "times sentistream's"], rows) + "\n\n" + _machine(found)


def latency_table() -> str:
    """Sessions within a second, and their latency."""
    found = _last("pipeline")
    kinds = {"encoded by the producer": found, "raw: PCM, H.264, words": found["raw"]}
    rows = [
        [title, str(one["sessions_at_1s"]), *(f"{one['latency_ms'][name]:.0f}" for name in ("p50", "p95", "p99"))]
        for title, one in kinds.items()
        if one and one["latency_ms"]
    ]
    return markdown_table(["chunks", "live sessions", "p50 ms", "p95 ms", "p99 ms"], rows)


def milestones_table() -> str:
    """Where the time of a window goes at that load."""
    found = _last("pipeline")
    kinds = {"encoded": found["milestones_ms"], "raw": found["raw"] and found["raw"]["milestones_ms"]}
    rows = [
        [kind, step, *(f"{times[name]:.1f}" for name in ("p50", "p95", "p99"))]
        for kind, steps in kinds.items()
        if steps
        for step, times in steps.items()
    ]
    return markdown_table(["chunks", "step", "p50 ms", "p95 ms", "p99 ms"], rows)


def recovery_table() -> str:
    """All fault runs, by the model that the workers ran and by how many faults came at once."""
    by_kind: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for found in _fault_runs():
        by_kind[found["model"] + ("" if found["at_once"] == 1 else f", {found['at_once']} faults at once")].append(found)
    rows = []
    for kind, results in sorted(by_kind.items()):
        recoveries = [seconds for one in results for times in one["recovery_s"].values() for seconds in times]
        quantiles = (f"{np.quantile(recoveries, q):.2f}" for q in (0.5, 0.95, 1.0))
        rows.append([kind, *(f"{sum(one[name] for one in results):,}" for name in COUNTS), *quantiles])
    return markdown_table(["model", *(name.replace("_", " ") for name in COUNTS), "recovery p50 s", "p95 s", "worst s"], rows)


def faults_table() -> str:
    """Recovery by kind of fault, over all runs in which they came one at a time."""
    times: dict[str, list[float]] = defaultdict(list)
    for found in _fault_runs():
        if found["at_once"] == 1:
            for fault, seconds in found["recovery_s"].items():
                times[fault] += seconds
    rows = [[fault, str(len(found)), f"{median(found):.2f}", f"{max(found):.2f}"] for fault, found in sorted(times.items())]
    return markdown_table(["fault", "times", "median s", "worst s"], rows)


def _fault_runs() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (RESULTS / "recovery.jsonl").read_text().splitlines()]


def served_table() -> str:
    """The models on one core and on a GPU, and the largest difference between their answers."""
    found = _last("served")
    rate = {(row["model"], row["runtime"], row["batch"]): row["per_second"] for row in found["rows"]}
    batches = sorted({row["batch"] for row in found["rows"]})
    columns = [("cpu", batches[0]), *(("cuda", batch) for batch in batches)]
    rows = [
        [model, *(f"{rate[model, *column]:,.0f}" for column in columns), *(f"{away[name]:.0e}" for name in ("cuda", "cuda without TF32"))]
        for model, away in found["differences"].items()
    ]
    processors = [f"CPU core, batch {batches[0]}", *(f"GPU, batch {batch}" for batch in batches)]
    titles = ["items per second", *processors, "largest difference", "largest difference, TF32 off"]
    return markdown_table(titles, rows) + "\n\n" + f"{found['machine']['gpu']}; " + _machine(found)


TABLES: Mapping[str, Callable[[], str]] = {
    "align": align_table,
    "ratios": ratios_table,
    "latency": latency_table,
    "milestones": milestones_table,
    "recovery": recovery_table,
    "served": served_table,
    "faults": faults_table,
}


def _last(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text().splitlines()[-1])
    return found


def _machine(found: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items() if name != "sentistream")
    return f"{found['machine']['cores']} shared cores ({found['machine']['cpu']}), {versions}."


def main() -> None:
    """Fill, and say which documents changed."""
    for name in DOCUMENTS:
        document = ROOT / name
        before = document.read_text(encoding="utf-8")
        after = fill_tables(before, TABLES)
        if after != before:
            document.write_text(after, encoding="utf-8")
            print(name)


if __name__ == "__main__":
    main()
