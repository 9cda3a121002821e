"""The ways to show results as they come: a live table on a terminal, lines of text elsewhere, or JSON lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from stream.cli.json_lines import write_record
from stream.cli.live_view import LiveView, alert_line, score_bar
from stream.domain.alert import AlertRecord
from stream.domain.result import ExplanationRecord, PartialRecord, Record, ScoreRecord, SessionRecord
from stream.domain.wording import quantity
from stream.explain.phrasing import UNCLEAR, clock, signed, verdict

FRAMES_PER_SECOND = 8
"""Smooth enough for results that come about once a second, and little work for the terminal."""


class Display(Protocol):
    """Shows records one by one."""

    def show(self, record: Record) -> None:
        """Show a record."""


class JsonDisplay:
    """Writes every record as a line of JSON to standard output."""

    def show(self, record: Record) -> None:
        """Write the record. Raises `OutputClosedError`."""
        write_record(record)


class LiveDisplay:
    """Shows records in the live table."""

    def __init__(self) -> None:
        self.view = LiveView()

    def show(self, record: Record) -> None:
        """Put the record into the table."""
        self.view.add(record)


class LineDisplay:
    """Prints a line for each final window, explanation, alert and ended session, for logs and pipes. Partial results are left out."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def show(self, record: Record) -> None:
        """Print the record."""
        match record:
            case PartialRecord():
                return
            case ScoreRecord():
                line = Text(f"{record.session}/{record.track} {clock(record.end_ms)} ") + _result(record)
            case ExplanationRecord():
                line = Text(f"  {record.sentence}")
            case AlertRecord():
                line = alert_line(record)
            case SessionRecord():
                mean = "" if record.mean is None else f", mean {signed(record.mean)}"
                line = Text(f"{record.session} ended: {quantity(record.windows, 'window')}{mean}")
        self._console.print(line, soft_wrap=True)


def _result(record: ScoreRecord) -> Text:
    if record.score is None:
        return Text("nothing was said")
    label = verdict(record)
    return score_bar(record.score) + Text(f" {signed(record.score)} {label}" + ("" if label == UNCLEAR else f" {record.confidence:.0%}"))


@contextmanager
def open_display(console: Console, *, json: bool) -> Iterator[Display]:
    """Open the display that fits: JSON lines if asked for, the live table on a terminal, else lines of text."""
    if json:
        yield JsonDisplay()
    elif console.is_terminal:
        display = LiveDisplay()
        with Live(display.view, console=console, refresh_per_second=FRAMES_PER_SECOND):
            yield display
    else:
        yield LineDisplay(console)
