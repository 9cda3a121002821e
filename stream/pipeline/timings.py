"""How long each step of the way takes, for whoever asks the worker."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import StrEnum

import numpy as np

KEPT = 4096
"""Newest durations of each step that the percentiles are of."""

PERCENTILES = (50, 95, 99)


class Step(StrEnum):
    """Steps of a chunk, then those of a window."""

    BROKER = "broker"
    """From a chunk's capture until it was read."""
    QUEUE = "queue"
    """From there until it was its turn; nothing for a chunk that needs no encoder."""
    ENCODE = "encode"
    """Decoding and encoding a chunk, with Triton's part."""
    ALIGN = "align"
    """From the capture of a window's last millisecond until it was handed on: lateness, and the wait for slower modalities and tracks."""
    INFER = "infer"
    """The models' answers, with Triton's part."""
    EXPLAIN = "explain"
    PUBLISH = "publish"
    """Kafka and Redis."""
    TOTAL = "total"
    """From the capture of a window's last millisecond until it is in Redis."""


class Timings:
    """The newest durations of every step, milliseconds; bounded."""

    def __init__(self) -> None:
        self._kept: dict[Step, deque[float]] = {step: deque(maxlen=KEPT) for step in Step}

    def add(self, step: Step, ms: float) -> None:
        """A step took so long."""
        self._kept[step].append(ms)

    def summary(self) -> Mapping[str, Mapping[str, float]]:
        """Count and percentiles of each step that has been taken."""
        return {
            step: {"count": len(kept), **{f"p{p}": round(float(np.percentile(kept, p)), 1) for p in PERCENTILES}}
            for step, kept in self._kept.items()
            if kept
        }
