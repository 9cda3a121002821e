"""Fills the tables of docs/ from benchmarks/results, and draws docs/explanations.svg: ``python -m benchmarks.tables``.

``NAME.json`` is the last line that ``python -m benchmarks.NAME`` prints (``… served --gpu``). Each line of ``recovery.jsonl`` is the last
line of one run of ``python -m benchmarks.recovery``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.explanation_runs import pages
from benchmarks.face_runs import pages as face_pages
from benchmarks.markdown import fill_tables, markdown_table
from benchmarks.pipeline_runs import pages as pipeline_pages
from benchmarks.pipeline_runs.parts import STUBS

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
DOCUMENTS = ("README.md", "docs/explanations.md", "docs/operations.md", "docs/performance.md", "docs/reliability.md", "docs/scale.md")
SECONDS_PER_WINDOW = 2.0
"""`windows.hop_ms`."""
PARTIALS_PER_SECOND = 1.0
"""`windows.partial_every_ms`."""
RAW_KINDS = ("320@5", "sample")
WORKER, RAW_PART = "worker and its partition, p95 within a second", "the same from raw media"
REDIS, REDIS_MEMORY = "Redis, a whole core", "Redis, 16 GB, results kept for an hour"
GATEWAY = "gateway, a whole core, 200 viewers"
SECONDS_PER_HOUR = 3600
KEPT_HOURS = 7 * 24
"""`redis.result_ttl_s`."""
LISTED = 2_000
"""`gateway.sessions`."""
MOST_PARTITIONS = 1_024
"""Largest `kafka.partitions`."""
PERCENTILES = ("p50", "p95", "p99")
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


def _pipeline(
    table: Callable[[Mapping[str, Any]], str], note: Callable[[Mapping[str, Any]], str] = lambda _result: ""
) -> Callable[[], str]:
    """A table of the pipeline's benchmark, with a note below it."""

    def filled() -> str:
        result = _last("pipeline")
        return "\n\n".join(filter(None, (table(result), note(result))))

    return filled


def recovery_table() -> str:
    """All fault runs, by the model of the workers and the number of faults at once."""
    by_kind: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for result in _fault_runs():
        at_once = "" if result["at_once"] == 1 else f", {result['at_once']} faults at once"
        by_kind[result["model"] + at_once + _with_promotions(result) + _with_alerts(result)].append(result)
    rows = []
    for kind, results in sorted(by_kind.items()):
        recoveries = [seconds for result in results for times in result["recovery_s"].values() for seconds in times]
        quantiles = (f"{np.quantile(recoveries, q):.2f}" for q in (0.5, 0.95, 1.0))
        rows.append([kind, *(f"{sum(result.get(name, 0) for result in results):,}" for name in COUNTS), *quantiles])
    return markdown_table(["model", *(name.replace("_", " ") for name in COUNTS), "recovery p50 s", "p95 s", "worst s"], rows)


def _with_promotions(result: Mapping[str, Any]) -> str:
    if not result.get("promote"):
        return ""
    return ", with promotions of a version with an audio encoder of its own" if result.get("own_encoder") else ", with promotions"


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


def gateway_table() -> str:
    """The live page with many sessions and viewers: a column for each run."""
    runs = _runs("gateway")
    measured: dict[str, Callable[[dict[str, Any]], str]] = {
        "from the writing of a window to its painting: p50, p95, p99 ms": lambda run: _percentiles(run["page"]["update_ms"]),
        "age of a batch when a viewer has it: p50, p95, p99 ms": lambda run: _percentiles(run["streams"]["batch_ms"]),
        "tasks that block the page for more than 200 ms": lambda run: str(run["long_tasks"]),
        "longest task, ms": lambda run: f"{run['page']['longest_task_ms']:.0f}",
        "frames a second while scrolling": lambda run: f"{run['page']['frames_per_second']:.0f}",
        "largest memory of the gateway, MB": lambda run: f"{run['rss_mb']:.0f}",
        "share of a core that the gateway takes, %": lambda run: f"{run['gateway_cpu_percent']:.0f}",
        "viewers that were cut off although they read; gaps": lambda run: f"{run['streams']['cut_off']}; {run['streams']['gaps']}",
    }
    rows = [[title, *map(show, runs)] for title, show in measured.items()]
    return markdown_table(["", *(f"run {number}" for number in range(1, len(runs) + 1))], rows) + "\n\n" + _machine(runs[-1])


def _percentiles(values: Mapping[str, float]) -> str:
    return ", ".join(f"{values[name]:.0f}" for name in PERCENTILES)


def hosts_table() -> str:
    """Workers and gateways on hosts of their own, with faults."""
    result = _last("hosts")
    windows, viewer = result["windows"], result["viewer"]
    rows = [
        ["workers, gateways", f"{result['workers']}, {result['gateways']}"],
        ["sessions, seconds", f"{result['sessions']}, {result['seconds']}"],
        ["windows expected", f"{windows['expected']:,}"],
        ["windows lost, doubled, wrong", f"{windows['lost']}, {windows['doubled']}, {windows['wrong']}"],
        ["windows that the viewer has missed, seen twice", f"{viewer['missed']}, {viewer['doubled']}"],
        ["times that the viewer went to another gateway", str(viewer["switches"])],
    ]
    return markdown_table(["", "measured"], rows) + "\n\n" + _machine(result)


def scale_table() -> str:
    """What one part carries, and how many of it 1,000, 10,000 and 100,000 live sessions need; from the other measurements."""
    rows = [
        [part, f"{count:,.0f}", *(f"{ceil(wanted / count):,}" for wanted in (1_000, 10_000, 100_000))] for part, count in _carried().items()
    ]
    state_kb = max(_last("align")["bytes_per_session"].values()) / 1000
    state = f"The aligner's state of a session is {state_kb:.0f} kB, and a window in Redis {_kb_per_window():.1f} kB."
    return markdown_table(["part", "sessions that one carries", "for 1,000", "for 10,000", "for 100,000"], rows) + "\n\n" + state


def breaks_table() -> str:
    """What breaks first as sessions become more, from the same figures, with two digits."""
    carried = _carried()
    session_hours, worker = _two_digits(carried[REDIS_MEMORY]), _two_digits(carried[WORKER])
    mb_per_hour = _kb_per_window() * SECONDS_PER_HOUR / SECONDS_PER_WINDOW / 1000
    raw = min((_two_digits(count) for part, count in carried.items() if part.startswith(RAW_PART)), default=None)
    breaks: list[tuple[float, str, str]] = [
        (
            carried[REDIS_MEMORY] / KEPT_HOURS,
            f"the memory of Redis, if they never end: a session writes {mb_per_hour:.0f} MB an hour, and `redis.result_ttl_s` keeps it for "
            f"7 days; 16 GB hold {session_hours:,} session-hours",
            "lower `redis.result_ttl_s` to what the page and its readers need, for example an hour: Kafka keeps the results, and `rebuild` "
            "brings them back",
        ),
        (
            worker,
            "one worker is late" + (f"; with raw media from about {raw:,} on" if raw else ""),
            "more workers, up to the number of partitions; lag and `sentistream_e2e_latency_seconds` show it",
        ),
        (
            carried[GATEWAY],
            "a gateway uses its core up: it reads every result of every session",
            "gateways for parts of the sessions: a deployment (`kafka.topic_prefix`, a Redis of its own) for each group of tenants",
        ),
        (
            LISTED,
            "the list of the page leaves sessions out",
            f"raise `gateway.sessions`; nobody reads a list of {LISTED:,}: filter by alert",
        ),
        (carried[REDIS], "one Redis uses its core up", "a Redis Cluster"),
        (
            MOST_PARTITIONS * worker,
            f"partitions run out: {MOST_PARTITIONS:,} of {worker:,} sessions",
            "several deployments, each with its own group and topics",
        ),
    ]
    rows = [[f"about {_two_digits(count):,}", what, remedy] for count, what, remedy in sorted(breaks, key=lambda row: row[0])]
    return markdown_table(["live sessions", "what breaks", "what to do"], rows)


def _carried() -> dict[str, float]:
    """How many live sessions one part carries."""
    pipeline, gateway = _last("pipeline"), _last("gateway")
    per_second, raw = SECONDS_PER_WINDOW**-1, pipeline["raw_sessions_at_1s"]
    parts_ms = pipeline["parts_ms"]
    served = {(row["model"], row["runtime"], row["batch"]): row["per_second"] for row in _last("served")["rows"]}
    return {
        WORKER: pipeline["encoded_sessions_at_1s"],
        **{f"{RAW_PART} ({kind})": raw[kind] for kind in RAW_KINDS if raw.get(kind)},
        "worker, a whole core": 1000 / (parts_ms["worker"] * per_second),
        "Triton, a whole core": 1000 / (sum(parts_ms.get(part, 0.0) for part in ("triton", *STUBS)) * per_second),
        "Triton on a GPU, requests of 32, partial results too": served["mmci", "cuda", 32] / (per_second + PARTIALS_PER_SECOND),
        REDIS: 1000 / (parts_ms["redis"] * per_second),
        REDIS_MEMORY: 16e6 / (_kb_per_window() * SECONDS_PER_HOUR * per_second),
        GATEWAY: gateway["sessions"] / (gateway["gateway_cpu_percent"] / 100),
    }


def _kb_per_window() -> float:
    """Memory of a window in Redis."""
    gateway = _last("gateway")
    return float(gateway["redis_kb_per_session"] / gateway["past_windows"])


def _two_digits(count: float) -> int:
    return int(float(f"{count:.1e}"))


def _last(name: str) -> dict[str, Any]:
    return _runs(name)[-1]


def _runs(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (RESULTS / f"{name}.json").read_text().splitlines()]


def _machine(result: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items() if name != "sentistream")
    return f"{_cores(result).rstrip('.')}, {versions}."


def _cores(result: Mapping[str, Any]) -> str:
    return f"{result['machine']['cores']} shared cores ({result['machine']['cpu']})."


TABLES: Mapping[str, Callable[[], str]] = {
    "align": align_table,
    "cost": cost_table,
    "capacity": _pipeline(pipeline_pages.capacity_table, _cores),
    "cost-by-sessions": _pipeline(pipeline_pages.cost_by_sessions_table, pipeline_pages.flat_note),
    "latency": _pipeline(pipeline_pages.latency_table, _machine),
    "milestones": _pipeline(pipeline_pages.milestones_table),
    "parts": _pipeline(pipeline_pages.parts_table),
    "ratios": _pipeline(pipeline_pages.ratios_table),
    "raw-ratios": _pipeline(pipeline_pages.raw_ratios_table),
    "overload": _pipeline(pipeline_pages.overload_table),
    "workers": _pipeline(pipeline_pages.workers_table),
    "recovery": recovery_table,
    "served": served_table,
    "faults": faults_table,
    "fault-alerts": fault_alerts_table,
    "claims": lambda: pages.claims_table(_last("word_claims")),
    "live-probes": lambda: pages.live_probes_table(_last("live_probes")),
    "explainers": lambda: pages.methods_table(_last("explanations")),
    "explainers-agreeing": lambda: pages.agreeing_table(_last("explanations")),
    "explainers-alike": lambda: pages.agreement_table(_last("explanations")),
    "measures": lambda: pages.measures_table(_last("explanations")),
    "face-maps": face_maps_table,
    "faces": lambda: "\n\n".join((face_pages.found_table(_last("faces")), face_pages.moved(_last("faces")), _machine(_last("faces")))),
    "gateway": gateway_table,
    "hosts": hosts_table,
    "scale": scale_table,
    "breaks": breaks_table,
}


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
