"""How many cores this process may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def usable_cores(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> int:
    """Whole cores, 1 at least: those that the scheduler gives this process, and the limit of CPU time of its container or service.

    Args:
        cgroups: Where Linux shows control groups, of version 1 or 2.
        membership: The file that names the groups of this process.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *(int(quota) for quota in _quotas(cgroups, membership))]))


def _quotas(cgroups: Path, membership: Path) -> Iterator[float]:
    """The limits, in cores, of the groups of this process and of those that they are part of."""
    for line in _text(membership).splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = cgroups / "cpu" if controllers else cgroups
        group = root / path.lstrip("/")
        # A container may see its own group at the root, under whatever name its host gave it.
        for folder in {root, *(parent for parent in (group, *group.parents) if parent.is_relative_to(root))}:
            quota, period = _quota(folder)
            if quota > 0 < period:
                yield quota / period


def _quota(group: Path) -> tuple[int, int]:
    """Microseconds of CPU time in a period, and the period; negative or 0 where there is no limit."""
    fields = _text(group / "cpu.max").split() or [_text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us")]
    try:
        return int(fields[0]), int(fields[1])
    except (ValueError, IndexError):
        return 0, 0


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
