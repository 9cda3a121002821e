"""CPU time and memory of processes with all their children."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Reading:
    """What processes have used.

    Attributes:
        cpu_s: User and system time of each part, seconds.
        resident_mb: Memory of each part.
    """

    cpu_s: dict[str, float]
    resident_mb: dict[str, float]


def read(parts: Mapping[str, Iterable[int]]) -> Reading:
    """Add up the processes of each part, children included."""
    trees = {name: [tree for pid in pids for tree in _tree(pid)] for name, pids in parts.items()}
    return Reading(
        {name: sum(_cpu_s(process) for process in tree) for name, tree in trees.items()},
        {name: round(sum(process.memory_info().rss for process in tree) / 2**20) for name, tree in trees.items()},
    )


def _tree(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
