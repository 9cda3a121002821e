"""Runs `sentistream demo --json` as a user does."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.processes import RunningProcess, descendants

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DemoOutput:
    """The output of a run.

    Attributes:
        code: Exit code.
        lines: Standard output, one JSON object a line.
        errors: Standard error.
    """

    code: int
    lines: list[Line]
    errors: str

    def events(self, name: str) -> list[Line]:
        """Return the lines of one kind."""
        return [line for line in self.lines if line["event"] == name]

    def sessions(self) -> list[list[Line]]:
        """Return the final windows of each session, in the order of the media."""
        by_session: dict[str, list[Line]] = defaultdict(list)
        for line in self.events("score"):
            by_session[line["session"]].append(line)
        return [by_session[name] for name in sorted(by_session, key=lambda name: int(name.rpartition("-")[2]))]


class Demo:
    """A running demo. End it with `finish`, or with a signal."""

    def __init__(self, *arguments: str | Path) -> None:
        command = [sys.executable, "-m", "stream.cli", "demo", "--json", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def descendants(self) -> list[RunningProcess]:
        """Return the processes that it has started and that still run."""
        return descendants(self.process.pid)

    def wait_for(self, command: str, seconds: float = 40) -> RunningProcess:
        """Wait until one of its descendants has this text in its command line."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for process in self.descendants():
                if command in process.command:
                    return process
            time.sleep(0.1)
        raise TimeoutError(command)

    def read_until(self, event: str) -> list[Line]:
        """Read lines up to the first of one kind."""
        assert self.process.stdout is not None
        lines: list[Line] = []
        for text in self.process.stdout:
            lines.append(json.loads(text))
            if lines[-1]["event"] == event:
                break
        return lines

    def finish(self, seconds: float = 120) -> DemoOutput:
        """Wait for its end and return the rest of its output."""
        out, errors = self.process.communicate(timeout=seconds)
        return DemoOutput(self.process.returncode, [json.loads(line) for line in out.splitlines()], errors)


def run_demo(*arguments: str | Path) -> DemoOutput:
    """Run a demo to its end."""
    return Demo(*arguments).finish()


def survivors(processes: list[RunningProcess], seconds: float = 10) -> list[RunningProcess]:
    """Return the processes that still run after a while."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and any(p.alive() for p in processes):
        time.sleep(0.1)
    return [p for p in processes if p.alive()]
