"""What the benchmarks of encoders in 8 bits share: the distance from float32, the time of a row, and the judgement by guards."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import onnxruntime
from rich.console import Console

from benchmarks.machine import machine, versions
from stream.domain.features import Floats

FORMS = ("float32", "int8")
RUNS = 50


def changes(scores: Mapping[str, Floats], labels: Mapping[str, npt.NDArray[Any]]) -> dict[str, float]:
    """How far the scores of one form are from those of the other, in points, and the share of labels that differ, by name of a guard."""
    exact, rounded = FORMS
    change = np.abs(scores[rounded] - scores[exact])
    return {
        "mean change": float(change.mean()),
        "p95 of changes": float(np.quantile(change, 0.95)),
        "flips": float((labels[rounded] != labels[exact]).mean()),
    }


def cpu_ms(encoder: onnxruntime.InferenceSession, outputs: Sequence[str], inputs: Mapping[str, npt.NDArray[Any]]) -> float:
    """CPU time of one row of a batch: the least of many runs, since machines are shared."""
    least, rows = float("inf"), len(next(iter(inputs.values())))
    for _ in range(RUNS):
        began = time.process_time()
        encoder.run(outputs, inputs)
        least = min(least, time.process_time() - began)
    return least * 1000 / rows


def judge(guarded: Mapping[str, float], guards: Mapping[str, float], measured: Mapping[str, Any]) -> NoReturn:
    """Print what was measured, and exit with 1 if a guard does not hold.

    Args:
        guarded: What the guards are about.
        guards: The largest values that are good enough.
        measured: The other numbers.
    """
    console = Console(stderr=True)
    for name, largest in guards.items():
        console.print(f"{name}: {guarded[name]:.4f}, at most {largest}")
    console.print("; ".join(f"{name}: {value}" for name, value in measured.items()))
    report = {name: round(guarded[name], 4) for name in guards}
    print(json.dumps({"change": report, **measured, "machine": machine(), "versions": versions("onnxruntime", "numpy")}))
    sys.exit(any(guarded[name] > largest for name, largest in guards.items()))
