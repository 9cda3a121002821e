"""The progress bar of commands that know how much there is to do."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


def counted_progress(console: Console, *, transient: bool = False) -> Progress:
    """A bar for each task, with the number of things that are done, the number of all, and the time.

    Args:
        console: Where to draw.
        transient: Whether the bars vanish at the end.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=transient)
