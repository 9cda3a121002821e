"""Which processes run, from /proc."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Running:
    """A process and what it was started as."""

    pid: int
    command: str

    def alive(self) -> bool:
        """True while this very process runs, not another with its number."""
        return exists(self.pid) and _command(self.pid) == self.command


def exists(pid: int) -> bool:
    """True while the process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def mentioning(text: str) -> list[int]:
    """Process ids whose command line or environment mentions a text, for example a run directory; ours left out."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            said = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if text.encode() in said and int(process.name) != os.getpid():
            found.append(int(process.name))
    return found


def contribution(text: str, seconds: float = 10) -> list[int]:
    """Those of `mentioning` that are still there after a while: what was killed takes a moment to go."""
    until = time.monotonic() + seconds
    while (found := mentioning(text)) and time.monotonic() < until:
        time.sleep(0.1)
    return found


def descendants(pid: int) -> list[Running]:
    """All processes below ``pid``, children first."""
    found: list[Running] = []
    for child in _children(pid):
        found += [Running(child, _command(child)), *descendants(child)]
    return found


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
