"""The Markdown tables of several fault runs: ``python -m benchmarks.fault_runs.summary FILE``, one JSON object of a run a line."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

COUNTS = (
    "runs",
    "faults",
    "expected",
    "lost",
    "duplicated",
    "different",
    "wrong",
    "late",
    "summaries_missing",
    "repeated",
    "worker_crashes",
    "unclean_stops",
)


def quantile(numbers: list[float], q: float) -> float | None:
    """The nearest-rank quantile; None of nothing."""
    ordered = sorted(numbers)
    return round(ordered[min(len(ordered) - 1, int(q * len(ordered)))], 2) if ordered else None


def markdown(reports: list[dict[str, Any]]) -> str:
    """One table of sums for each model, one of recovery by fault."""
    lines = [
        "| model | " + " | ".join(COUNTS).replace("_", " ") + " | recovery p50 s | p95 s | worst s |",
        "|---" * (len(COUNTS) + 4) + "|",
    ]
    by_fault: dict[str, list[float]] = defaultdict(list)
    for model in sorted({report["model"] for report in reports}, reverse=True):
        chosen = [report for report in reports if report["model"] == model]
        seconds = [s for report in chosen for found in report["recovery_s"].values() for s in found]
        sums = [sum(report[name] for report in chosen) for name in COUNTS]
        lines.append(f"| {model} | {' | '.join(map(str, sums))} | {quantile(seconds, 0.5)} | {quantile(seconds, 0.95)} | {max(seconds)} |")
        for report in chosen:
            for fault, found in report["recovery_s"].items():
                by_fault[fault] += found
    lines += ["", "| fault | times | median s | worst s |", "|---|---|---|---|"]
    lines += [f"| {fault} | {len(found)} | {quantile(found, 0.5)} | {max(found)} |" for fault, found in sorted(by_fault.items())]
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown([json.loads(line) for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()]))
