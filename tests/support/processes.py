"""Finds running processes in /proc."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RunningProcess:
    """A process that ran when it was looked up."""

    pid: int
    command: str

    def alive(self) -> bool:
        """True while this process runs; False if another process was given its id."""
        return exists(self.pid) and _command(self.pid) == self.command


def exists(pid: int) -> bool:
    """True while the process runs. A zombie does not run."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def processes_mentioning(text: str) -> list[int]:
    """Return the ids of other processes whose command line or environment contains a text, for example a run directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            content = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if text.encode() in content and int(process.name) != os.getpid():
            found.append(int(process.name))
    return found


def contribution(text: str, seconds: float = 10) -> list[int]:
    """Return the `processes_mentioning` a text that still run after a while: a killed process takes a moment to go."""
    until = time.monotonic() + seconds
    while (found := processes_mentioning(text)) and time.monotonic() < until:
        time.sleep(0.1)
    return found


def descendants(pid: int) -> list[RunningProcess]:
    """Return all descendants of a process; each is followed by its own."""
    found: list[RunningProcess] = []
    for child in _children(pid):
        found += [RunningProcess(child, _command(child)), *descendants(child)]
    return found


def _children(pid: int) -> list[int]:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    except OSError:
        return []


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
