"""Who runs below a process, from /proc."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Running:
    """A process and what it was started as."""

    pid: int
    command: str

    def alive(self) -> bool:
        """True while this very process runs (not another with its number, not a zombie)."""
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state != "Z" and _command(self.pid) == self.command


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
