"""How long each step of the pipeline takes, for the worker's ``/timings`` endpoint."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import StrEnum

import numpy as np

KEPT = 4096
"""Newest durations of each step that percentiles are computed from."""

PERCENTILES = (50, 95, 99)


class Step(StrEnum):
    """Steps of a chunk, then those of a window."""

    BROKER = "broker"
    """From a chunk's capture until it was read."""
    QUEUE = "queue"
    """From then until its encoder was free; a chunk that needs no encoder does not count."""
    ENCODE = "encode"
    """Decoding and encoding a chunk, including Triton's part."""
    ALIGN = "align"
    """From the capture of a window's last millisecond until it was closed: lateness, and the wait for slower modalities and tracks."""
    INFER = "infer"
    """Running the models, including Triton's part."""
    EXPLAIN = "explain"
    PUBLISH = "publish"
    """Writing to Kafka and Redis."""
    TOTAL = "total"
    """From the capture of a window's last millisecond until it is in Redis."""


class Timings:
    """The newest durations of every step, milliseconds; bounded."""

    def __init__(self) -> None:
        self._kept: dict[Step, deque[float]] = {step: deque(maxlen=KEPT) for step in Step}

    def add(self, step: Step, ms: float) -> None:
        """Add the duration of a step."""
        self._kept[step].append(ms)

    def summary(self) -> Mapping[str, Mapping[str, float]]:
        """Count and percentiles of each step that has happened."""
        return {
            step: {"count": len(kept), **{f"p{p}": round(float(np.percentile(kept, p)), 1) for p in PERCENTILES}}
            for step, kept in self._kept.items()
            if kept
        }
