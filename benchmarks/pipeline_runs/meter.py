"""CPU time and memory of processes, including all their children."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import psutil

PartOfChild = Callable[[str, Sequence[str]], str]
"""From the part of a process and the command line of its child to the part of the child."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Resources that the processes of each part have used.

    Attributes:
        cpu_s: User and system time of each part (seconds).
        resident_mb: Resident memory of each part (MiB).
    """

    cpu_s: dict[str, float]
    resident_mb: dict[str, float]


def with_parent(parent: str, _command: Sequence[str]) -> str:
    """Children belong to the part of their parent."""
    return parent


def read(parts: Mapping[str, Iterable[int]], part_of_child: PartOfChild = with_parent) -> Reading:
    """Measure the processes of each part, including their children. A child that has ended counts no more.

    Args:
        parts: Process ids, by name of the part.
        part_of_child: Says which part a child belongs to.
    """
    cpu_s: defaultdict[str, float] = defaultdict(float)
    resident_mb: defaultdict[str, float] = defaultdict(float)
    for name, pids in parts.items():
        for pid in pids:
            process = psutil.Process(pid)
            for part, member in [(name, process), *_children(name, process, part_of_child)]:
                with contextlib.suppress(psutil.NoSuchProcess), member.oneshot():
                    times = member.cpu_times()
                    cpu_s[part] += times.user + times.system
                    resident_mb[part] += member.memory_info().rss / 2**20
    return Reading(dict(cpu_s), {part: round(mb) for part, mb in resident_mb.items()})


def _children(part: str, process: psutil.Process, part_of_child: PartOfChild) -> Iterator[tuple[str, psutil.Process]]:
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            yield part_of_child(part, child.cmdline()), child
