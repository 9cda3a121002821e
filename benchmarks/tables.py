"""Fills the tables of docs/ from benchmarks/results, and draws docs/explanations.svg: ``python -m benchmarks.tables``.

``align.json``, ``cost.json``, ``explanations.json``, ``face_maps.json``, ``pipeline.json`` and ``served.json`` contain the last line that
``python -m benchmarks.align``, ``… cost``, ``… explanations``, ``… face_maps``, ``… pipeline`` and ``… served --gpu`` print. Each line of
``recovery.jsonl`` is the last line of one run of ``python -m benchmarks.recovery``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.explanation_runs import pages
from benchmarks.markdown import fill_tables, markdown_table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
DOCUMENTS = ("docs/explanations.md", "docs/operations.md", "docs/performance.md", "docs/reliability.md")
COUNTS = (
    *("runs", "faults", "expected", "lost", "duplicated", "different", "wrong", "mixed", "late", "repeated"),
    *("worker_crashes", "unclean_stops"),
)


def align_table() -> str:
    """Cost and size of a session in the aligner, by number of sessions."""
    result = _last("align")
    sessions = [*result["us_per_chunk"]]
    rows = [[f"{int(count):,}", f"{result['us_per_chunk'][count]:.1f}", f"{result['bytes_per_session'][count]:,}"] for count in sessions]
    return markdown_table(["sessions", "µs of CPU time per chunk", "bytes per session"], rows) + "\n\n" + _machine(result)


def ratios_table() -> str:
    """CPU time per window of all systems that do the same job."""
    result = _last("pipeline")
    ms = {name: median(values) for name, values in result["cpu_ms_per_window"].items()}
    titles = {
        "sentistream": ("sentistream: worker, Redis and Triton", 1.0),
        "plain_faust": ("plain Faust agent, torch for each window", result["ratio_to_plain_faust"]),
        "quixstreams": ("Quix Streams, torch for each window", result["ratio_to_quixstreams"]),
        "reading_alone": ("reading the records through Faust and nothing else", ms["reading_alone"] / ms["sentistream"]),
        "torch": (f"the model alone in torch, batches of {result['batch']:.1f}", result["ratio_to_ceiling"]),
        "onnxruntime": (f"the model alone in ONNX Runtime, batches of {result['batch']:.1f}", result["ratio_to_ceiling_in_onnxruntime"]),
    }
    rows = [[title, f"{ms[name]:.2f}", f"{ratio:.2f}"] for name, (title, ratio) in titles.items()]
    return markdown_table(["", "CPU ms per window", "times sentistream's"], rows) + "\n\n" + _machine(result)


def latency_table() -> str:
    """The largest number of sessions with a p95 within one second, and their latency."""
    result = _last("pipeline")
    kinds = {"encoded by the producer": result, "raw: PCM, H.264, words": result["raw"]}
    rows = [
        [title, str(of_kind["sessions_at_1s"]), *(f"{of_kind['latency_ms'][name]:.0f}" for name in ("p50", "p95", "p99"))]
        for title, of_kind in kinds.items()
        if of_kind and of_kind["latency_ms"]
    ]
    return markdown_table(["chunks", "live sessions", "p50 ms", "p95 ms", "p99 ms"], rows)


def milestones_table() -> str:
    """Duration of each step of a window, with the largest number of sessions."""
    result = _last("pipeline")
    kinds = {"encoded": result["milestones_ms"], "raw": result["raw"] and result["raw"]["milestones_ms"]}
    rows = [
        [kind, step, *(f"{times[name]:.1f}" for name in ("p50", "p95", "p99"))]
        for kind, steps in kinds.items()
        if steps
        for step, times in steps.items()
    ]
    return markdown_table(["chunks", "step", "p50 ms", "p95 ms", "p99 ms"], rows)


def recovery_table() -> str:
    """All fault runs, by the model of the workers and the number of faults at once."""
    by_kind: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for result in _fault_runs():
        at_once = "" if result["at_once"] == 1 else f", {result['at_once']} faults at once"
        by_kind[result["model"] + at_once + (", with promotions" if result.get("promote") else "") + _with_alerts(result)].append(result)
    rows = []
    for kind, results in sorted(by_kind.items()):
        recoveries = [seconds for result in results for times in result["recovery_s"].values() for seconds in times]
        quantiles = (f"{np.quantile(recoveries, q):.2f}" for q in (0.5, 0.95, 1.0))
        rows.append([kind, *(f"{sum(result.get(name, 0) for result in results):,}" for name in COUNTS), *quantiles])
    return markdown_table(["model", *(name.replace("_", " ") for name in COUNTS), "recovery p50 s", "p95 s", "worst s"], rows)


def _with_alerts(result: Mapping[str, Any]) -> str:
    # Earlier runs had no rules.
    return ", with alerts" if result.get("alerts_expected") else ""


def fault_alerts_table() -> str:
    """The alerts of the fault runs that had rules."""
    rows = [
        [
            result["model"],
            str(result["seed"]),
            f"{result['faults']}",
            f"{result['expected']:,}",
            *(f"{result[name]:,}" for name in ("alerts_expected", "alerts_lost", "alerts_duplicated", "alerts_different")),
        ]
        for result in _fault_runs()
        if result.get("alerts_expected")
    ]
    return markdown_table(["model", "seed", "faults", "windows", "alerts expected", "lost", "duplicated", "different"], rows)


def faults_table() -> str:
    """Recovery by kind of fault, over all runs with one fault at a time, without promotions and alerts."""
    times_s: dict[str, list[float]] = defaultdict(list)
    for result in _fault_runs():
        if result["at_once"] == 1 and not result.get("promote") and not _with_alerts(result):
            for fault, seconds in result["recovery_s"].items():
                times_s[fault] += seconds
    rows = [[fault, str(len(times)), f"{median(times):.2f}", f"{max(times):.2f}"] for fault, times in sorted(times_s.items())]
    return markdown_table(["fault", "times", "median s", "worst s"], rows)


def _fault_runs() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (RESULTS / "recovery.jsonl").read_text().splitlines()]


def served_table() -> str:
    """The models on one core and on a GPU, and the largest difference between their answers."""
    result = _last("served")
    rate = {(row["model"], row["runtime"], row["batch"]): row["per_second"] for row in result["rows"]}
    batches = sorted({row["batch"] for row in result["rows"]})
    columns = [("cpu", batches[0]), *(("cuda", batch) for batch in batches)]
    rows = [
        [
            model,
            *(f"{rate[model, *column]:,.0f}" for column in columns),
            *(f"{differences[name]:.0e}" for name in ("cuda", "cuda without TF32")),
        ]
        for model, differences in result["differences"].items()
    ]
    processors = [f"CPU core, batch {batches[0]}", *(f"GPU, batch {batch}" for batch in batches)]
    titles = ["items per second", *processors, "largest difference", "largest difference, TF32 off"]
    return markdown_table(titles, rows) + "\n\n" + f"{result['machine']['gpu']}; " + _machine(result)


def cost_table() -> str:
    """CPU time of a row of each model, and of a session-second."""
    result = _last("cost")
    titles = {"alone": "rows alone", "together": "16 rows together"}
    rows = []
    for where, name in (("onnxruntime", "ONNX Runtime"), ("triton", "Triton, with its client")):
        for kind, title in titles.items():
            row_ms, second_ms = result["row_ms"][where][kind], result["session_second_ms"][where][kind]
            models = ("audio_encoder", "face_encoder", "text_encoder", "mmci")
            rows.append([f"{name}, {title}", *(f"{row_ms[model]:.2f}" for model in models), *(f"{ms:.1f}" for ms in second_ms.values())])
    header = ["CPU ms", "a second of sound", "a face", "a text of 16 tokens", "a window", "a session-second", "with partial results"]
    return markdown_table(header, rows) + "\n\n" + _machine(result)


def face_maps_table() -> str:
    """What the score loses with the cells of faces that maps name, and without the others."""
    result = _last("face_maps")
    figures = ("comprehensiveness", "sufficiency", "sign")
    rows = [[name, *(f"{found[figure]:.2f}" for figure in figures)] for name, found in result["maps"].items()]
    titles = ["map", "lost without its cells (high is good)", "lost with its cells alone (low is good)", "right sign"]
    return markdown_table(titles, rows) + f"\n\n{result['images']} images; they move the score by {result['moved']:.2f} points on average."


TABLES: Mapping[str, Callable[[], str]] = {
    "align": align_table,
    "cost": cost_table,
    "ratios": ratios_table,
    "latency": latency_table,
    "milestones": milestones_table,
    "recovery": recovery_table,
    "served": served_table,
    "faults": faults_table,
    "fault-alerts": fault_alerts_table,
    "explainers": lambda: pages.methods_table(_last("explanations")),
    "explainers-agreeing": lambda: pages.agreeing_table(_last("explanations")),
    "explainers-alike": lambda: pages.agreement_table(_last("explanations")),
    "measures": lambda: pages.measures_table(_last("explanations")),
    "face-maps": face_maps_table,
}


def _last(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text().splitlines()[-1])
    return result


def _machine(result: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items() if name != "sentistream")
    return f"{result['machine']['cores']} shared cores ({result['machine']['cpu']}), {versions}."


def texts() -> dict[Path, str]:
    """Every document with its tables filled, and the picture, by file."""
    found = {ROOT / name: fill_tables((ROOT / name).read_text(encoding="utf-8"), TABLES) for name in DOCUMENTS}
    return found | {ROOT / "docs" / "explanations.svg": pages.picture(_last("explanations"))}


def main() -> None:
    """Fill the tables, draw the picture and print the names of the files that changed."""
    for file, after in texts().items():
        if not file.is_file() or file.read_text(encoding="utf-8") != after:
            file.write_text(after, encoding="utf-8")
            print(file.relative_to(ROOT))


if __name__ == "__main__":
    main()
