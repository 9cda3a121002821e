"""What the alert rules cost: CPU time of a window, with every rule of a file, and the size of the state that Redis holds for a track.

``python -m benchmarks.alerts``; the last line of stdout is one JSON object. The windows are those of a call in which the customer becomes
angry, with every variable set; one in ten raises or clears an alert.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

from msgspec import structs

from benchmarks.machine import machine
from stream.domain.evidence import WordClaim
from stream.domain.result import ExplanationRecord, ScoreRecord
from stream.rules.evaluate import RuleSet, TrackRules, encode_track_rules
from stream.rules.read import read_rules
from stream.rules.rehearsal import typical_windows
from stream.rules.shipped import CALL_CENTER, shipped_rules

WINDOWS = 2000
HOP_MS = 2000


def call(windows: int) -> list[tuple[ScoreRecord, ExplanationRecord]]:
    """The windows of a customer whose score falls and rises."""
    seen = dict(typical_windows())["a window with everything"]
    finals = []
    for number in range(windows):
        end_ms = 4000 + number * HOP_MS
        points = round(1.5 - 3.5 * (number % 20) / 20, 4)
        score = structs.replace(
            seen.score, score=points, start_ms=end_ms - 4000, end_ms=end_ms, window_id=f"default/call/customer/0-{end_ms}"
        )
        claims = tuple(WordClaim(f"a phrase {index}", end_ms - 2000, end_ms - 1500, -0.4, "neutral") for index in range(3))
        finals.append((score, structs.replace(seen.explanation, window_id=score.window_id, end_ms=end_ms, claims=claims)))
    return finals


def measure(file: Path) -> dict[str, float]:
    """CPU time of a window (µs), of rules and of writing their state, and the size of the state (bytes)."""
    rules, times_us, alerts = RuleSet(read_rules(file)), list[float](), 0
    state: TrackRules | None = None
    for final in call(WINDOWS):
        began = time.process_time_ns()
        found = rules.evaluate(state, *final)
        encoded = encode_track_rules(found.state)
        times_us.append((time.process_time_ns() - began) / 1000)
        state = found.state
        alerts += len(found.alerts)
    return {
        "rules": len(rules.book.rules),
        "windows": WINDOWS,
        "alerts": alerts,
        "mean_us": round(statistics.fmean(times_us), 1),
        "p95_us": round(statistics.quantiles(times_us, n=20)[-1], 1),
        "state_bytes": len(encoded),
    }


def main() -> None:
    """Measure a file of rules."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alerts", description=__doc__)
    parser.add_argument("--rules", type=Path, default=shipped_rules(CALL_CENTER), help="file of rules")
    options = parser.parse_args()
    print(json.dumps({"benchmark": "alerts", "file": options.rules.name, **measure(options.rules), "machine": machine()}))


if __name__ == "__main__":
    main()
