"""CPU time and memory of processes, including all their children."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Reading:
    """Resources that the processes of each part have used.

    Attributes:
        cpu_s: User and system time of each part (seconds).
        resident_mb: Resident memory of each part (MiB).
    """

    cpu_s: dict[str, float]
    resident_mb: dict[str, float]


def read(parts: Mapping[str, Iterable[int]]) -> Reading:
    """Measure the processes of each part, including their children.

    Args:
        parts: Process ids, by name of the part.
    """
    trees = {name: [process for pid in pids for process in _tree(pid)] for name, pids in parts.items()}
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
