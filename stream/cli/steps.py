"""Shows the steps of a longer command: a spinner while a step runs, and a line when it is done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from stream.domain.service_problem import ServiceProblem
from stream.local.events import ServiceState, StackEvent

_SHOWN = {
    ServiceState.FETCHING: ("↓", "yellow", "fetching"),
    ServiceState.FETCHED: ("✓", "green", "fetched"),
    ServiceState.READY: ("✓", "green", "ready"),
    ServiceState.RESTARTING: ("!", "yellow", "restarting"),
    ServiceState.RESTARTED: ("✓", "green", "restarted"),
    ServiceState.FAILED: ("✗", "red", "failed"),
}


class StepReporter:
    """Prints the steps and the events of services on a console."""

    def __init__(self, console: Console) -> None:
        self.console = console

    @contextmanager
    def step(self, doing: str, done: str) -> Iterator[None]:
        """Show `doing` while the block runs and `done`, with the time it took, afterwards. After an error the error is the last line.

        On a terminal `doing` is a spinner, elsewhere a line.
        """
        began = time.monotonic()
        with self.console.status(Text(f"{doing}…")):
            if not self.console.is_terminal:
                self.print_line(f"… {doing}")
            yield
        self.print_line(f"✓ {done} ({time.monotonic() - began:.1f} s)", "green")

    def print_line(self, text: str, style: str = "") -> None:
        """Print a line. Nothing in it is read as markup: it may hold file names and messages of other programs."""
        self.console.print(Text(text, style=style), soft_wrap=True)

    def on_event(self, event: StackEvent) -> None:
        """Print a line if a service is ready, restarts or fails. Starts and stops have a step of their own."""
        if event.state not in _SHOWN:
            return
        sign, colour, verb = _SHOWN[event.state]
        line = f"  {sign} {event.service} {verb}"
        line += f": {event.detail}" if event.detail else ""
        line += f" ({event.seconds:.1f} s)" if event.seconds else ""
        self.print_line(line, colour)

    def on_problem(self, _service: str, problem: ServiceProblem, lasted_s: float) -> None:
        """Print why a service that is not embedded cannot be used. Called when that begins, and every minute while it lasts."""
        since = f" (for {lasted_s:.0f} s)" if lasted_s >= 1 else ""
        self.print_line(f"  ✗ {problem.text}{since}", "red")

    def on_recovery(self, service: str, lasted_s: float) -> None:
        """Print that a service can be used again."""
        self.print_line(f"  ✓ {service} can be used again (after {lasted_s:.0f} s)", "green")
