"""How long a request may wait in Triton, and for Triton: the server gives up before the client does.

A client that gives up first leaves its request in the queue, to be computed for nobody, while it already asks again: under load that
feeds itself (triton-inference-server/server#7368).
"""

from __future__ import annotations

QUEUE_TIMEOUT_S = 5.0
"""Longest wait in a model's queue; in every ``config.pbtxt``."""

QUEUE_SIZE = 512
"""Most requests that wait for a model; in every ``config.pbtxt``."""

QUEUE_SHARE = 0.5
"""Part of the client's deadline that a request may wait in the queue; the rest is for running the model and for the network."""


def queue_timeout_us(client_timeout_s: float) -> int:
    """What to ask of the queue, microseconds; the server takes it where it is shorter than its own timeout."""
    return max(1, round(min(QUEUE_TIMEOUT_S, QUEUE_SHARE * client_timeout_s) * 1e6))
