"""Steps of a longer command, each with a spinner while it runs and a line when it is done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from stream.local.events import Change, StackEvent

_SAID = {
    Change.FETCHING: ("↓", "yellow", "fetching"),
    Change.FETCHED: ("✓", "green", "fetched"),
    Change.READY: ("✓", "green", "ready"),
    Change.RESTARTING: ("!", "yellow", "restarting"),
    Change.RESTARTED: ("✓", "green", "restarted"),
    Change.FAILED: ("✗", "red", "failed"),
}


class Progress:
    """Prints steps on a console."""

    def __init__(self, console: Console) -> None:
        self.console = console

    @contextmanager
    def step(self, doing: str, done: str) -> Iterator[None]:
        """A spinner with `doing` on a terminal, then a line with `done` and the time it took; nothing after an error."""
        began = time.monotonic()
        with self.console.status(Text(f"{doing}…")):
            if not self.console.is_terminal:
                self.say(f"… {doing}")
            yield
        self.say(f"✓ {done} ({time.monotonic() - began:.1f} s)", "green")

    def say(self, text: str, style: str = "") -> None:
        """A line; nothing in it is markup."""
        self.console.print(Text(text, style=style), soft_wrap=True)

    def tell(self, event: StackEvent) -> None:
        """A line for a part that is ready, restarts or fails; starts and stops are covered by their step."""
        if event.change not in _SAID:
            return
        sign, colour, verb = _SAID[event.change]
        words = f"  {sign} {event.part} {verb}"
        words += f": {event.detail}" if event.detail else ""
        words += f" ({event.seconds:.1f} s)" if event.seconds else ""
        self.say(words, colour)
