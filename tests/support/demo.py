"""`sentistream demo --json` as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.processes import Running, descendants

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """What a run printed.

    Attributes:
        code: Exit code.
        lines: Standard output, one JSON object a line.
        errors: Standard error.
    """

    code: int
    lines: list[Line]
    errors: str

    def events(self, name: str) -> list[Line]:
        """Lines of one kind."""
        return [line for line in self.lines if line["event"] == name]

    def sessions(self) -> list[list[Line]]:
        """Final windows by session, in the order of the media."""
        by_session: dict[str, list[Line]] = defaultdict(list)
        for line in self.events("score"):
            by_session[line["session"]].append(line)
        return [by_session[name] for name in sorted(by_session, key=lambda name: int(name.rpartition("-")[2]))]


class Demo:
    """A demo that runs; leave it with `finish` or stop it with a signal."""

    def __init__(self, *arguments: str | Path) -> None:
        command = [sys.executable, "-m", "stream.cli", "demo", "--json", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def below(self) -> list[Running]:
        """Everything it has started that still runs."""
        return descendants(self.process.pid)

    def wait_for(self, what: str, seconds: float = 40) -> Running:
        """Wait until a process whose command holds ``what`` runs below it."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for running in self.below():
                if what in running.command:
                    return running
            time.sleep(0.1)
        raise TimeoutError(what)

    def read_until(self, event: str) -> list[Line]:
        """Lines up to the first of that kind."""
        assert self.process.stdout is not None
        lines: list[Line] = []
        for text in self.process.stdout:
            lines.append(json.loads(text))
            if lines[-1]["event"] == event:
                break
        return lines

    def finish(self, seconds: float = 120) -> Result:
        """Wait for its end."""
        out, errors = self.process.communicate(timeout=seconds)
        return Result(self.process.returncode, [json.loads(line) for line in out.splitlines()], errors)


def run_demo(*arguments: str | Path) -> Result:
    """Run to the end."""
    return Demo(*arguments).finish()


def survivors(processes: list[Running], seconds: float = 10) -> list[Running]:
    """Which of the processes still run after a while; none, if all is well."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and any(p.alive() for p in processes):
        time.sleep(0.1)
    return [p for p in processes if p.alive()]
