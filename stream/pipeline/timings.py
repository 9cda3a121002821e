"""Measures how long each step of the pipeline takes, for the worker's ``/timings`` endpoint."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from enum import StrEnum

import numpy as np

KEPT = 4096
"""Newest durations of each step from which the percentiles are computed; it bounds the memory."""

PERCENTILES = (50, 95, 99)


class Step(StrEnum):
    """Steps of a chunk, then steps of a window."""

    BROKER = "broker"
    """From the capture of a chunk until it is read."""
    QUEUE = "queue"
    """From reading a chunk until its encoder is free. Chunks that need no encoder do not count."""
    ENCODE = "encode"
    """Decoding and encoding a chunk, including the time in Triton."""
    ALIGN = "align"
    """From the capture of a window's last millisecond until the window closes: lateness, and the wait for slower modalities and tracks."""
    INFER = "infer"
    """Running the models, including the time in Triton."""
    EXPLAIN = "explain"
    """Computing the explanation and the records."""
    PUBLISH = "publish"
    """Writing to Kafka and Redis."""
    TOTAL = "total"
    """From the capture of a window's last millisecond until the window is final in Redis."""


class Timings:
    """The newest durations of every step, in milliseconds.

    Args:
        observe: Also receives each duration, in seconds.
    """

    def __init__(self, observe: Callable[[Step, float], None] | None = None) -> None:
        self._observe = observe
        self._kept: dict[Step, deque[tuple[float, float]]] = {step: deque(maxlen=KEPT) for step in Step}
        """When each was added (monotonic, s), and the duration."""

    def add(self, step: Step, ms: float) -> None:
        """Add the duration of a step."""
        self._kept[step].append((time.monotonic(), ms))
        if self._observe is not None:
            self._observe(step, ms / 1000)

    def summary(self, newest_s: float = float("inf")) -> Mapping[str, Mapping[str, float]]:
        """Number and percentiles of the kept durations, by step; steps without a duration are left out.

        Args:
            newest_s: Only durations that were added within so many seconds count.
        """
        since = time.monotonic() - newest_s
        counted = {step: [ms for at, ms in kept if at >= since] for step, kept in self._kept.items()}
        return {
            step: {"count": len(kept), **{f"p{p}": round(float(np.percentile(kept, p)), 1) for p in PERCENTILES}}
            for step, kept in counted.items()
            if kept
        }
