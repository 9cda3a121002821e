"""What a worker says of itself while it runs."""

from __future__ import annotations

import msgspec


class WorkerBeat(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's state, written every few seconds. A worker that stops in order removes it; that of one that crashed grows old.

    Attributes:
        worker: A random name, new at each start.
        at_ms: When it was written (wall clock of Redis, Unix ms).
        since_ms: When the worker started (its own wall clock, Unix ms).
        partitions: Input partitions that it has; None while it waits for the group.
        windows: Windows that it has scored since its start.
        claims_checked: Windows in which all its claims on words were checked.
        claims_right: Of those, the ones that named the phrase with the largest effect.
        overload: Why its results come late or lack media; empty while it keeps up.
        reasons: Why it cannot work now, by part; empty if it can.
    """

    worker: str
    at_ms: int
    since_ms: int
    partitions: int | None
    windows: int
    claims_checked: int = 0
    claims_right: int = 0
    overload: str = ""
    reasons: dict[str, str] = {}
