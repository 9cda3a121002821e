"""The live table of `watch` and `demo`: a panel for each session, with score, label, confidence, shares and sentence of each track.

Text of a record is put into `Text` objects only, never into a markup string: a speaker could otherwise colour the terminal or plant links.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from stream.domain.alert import AlertMode, AlertRecord, AlertState, Severity
from stream.domain.inference import SCORE_LIMIT
from stream.domain.modality import MODALITIES, Modality
from stream.domain.result import ExplanationRecord, PartialRecord, Record, ScoreRecord, SessionRecord
from stream.domain.wording import quantity
from stream.explain.phrasing import UNCLEAR, clock, signed, verdict

BAR_WIDTH = 19
SHARE_WIDTH = 4
HISTORY = 12
"""Final scores of a track in its sparkline."""
NEUTRAL_BELOW = 0.5
"""Bars of smaller scores are yellow: neither negative nor positive."""

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_LEVELS = "▁▂▃▄▅▆▇█"
_LABEL_COLOURS = {"negative": "red", "neutral": "yellow", "positive": "green"}
_LETTERS = {Modality.TEXT: "T", Modality.AUDIO: "A", Modality.VIDEO: "V"}
_SHARE_COLOURS = {Modality.TEXT: "cyan", Modality.AUDIO: "magenta", Modality.VIDEO: "blue"}
_SEVERITY_COLOURS = {Severity.LOW: "yellow", Severity.MEDIUM: "yellow", Severity.HIGH: "red", Severity.CRITICAL: "bold red"}
_FOOTER_LINES = 2


@dataclass(slots=True)
class TrackView:
    """One track: its newest score (final or partial), its newest sentence, its latest final scores, and its alerts."""

    role: str
    newest: ScoreRecord | None = None
    sentence: str = ""
    history: deque[float] = field(default_factory=lambda: deque(maxlen=HISTORY))
    alerts: dict[str, AlertRecord] = field(default_factory=dict)
    """The alerts that are raised, by rule."""


@dataclass(slots=True)
class SessionView:
    """The tracks of one session and, once it has ended, its summary."""

    tracks: dict[str, TrackView] = field(default_factory=dict)
    summary: SessionRecord | None = None


class LiveView:
    """A rich renderable of all records so far. Rich draws it at its own pace, independent of when records come."""

    def __init__(self) -> None:
        self.sessions: dict[str, SessionView] = {}
        self.finals = 0
        self.partials = 0
        self.ended = 0
        self.alerts = 0

    def add(self, record: Record) -> None:
        """Add a record."""
        key = f"{record.tenant}/{record.session}"
        view = self.sessions.setdefault(key, SessionView())
        match record:
            case SessionRecord():
                self.ended += view.summary is None
                view.summary = record
            case ExplanationRecord():
                view.tracks.setdefault(record.track, TrackView(record.role)).sentence = record.sentence
            case AlertRecord():
                self._add_alert(view, record)
            case ScoreRecord():
                self._add_score(view, record)

    def _add_alert(self, view: SessionView, record: AlertRecord) -> None:
        track = view.tracks.setdefault(record.track, TrackView(record.role))
        if record.state is AlertState.RAISED:
            self.alerts += record.mode is AlertMode.LIVE
            track.alerts[record.rule] = record
        else:
            track.alerts.pop(record.rule, None)

    def _add_score(self, view: SessionView, record: ScoreRecord) -> None:
        track = view.tracks.setdefault(record.track, TrackView(record.role))
        track.newest = record
        if isinstance(record, PartialRecord):
            self.partials += 1
            return
        self.finals += 1
        if record.score is not None:
            track.history.append(record.score)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw as many sessions as fit, then the counters. If there is not enough room, the sessions that began last are drawn."""
        room = (options.height or console.height) - _FOOTER_LINES if console.is_terminal else None
        hidden = 0
        panels: list[RenderableType] = []
        for name, view in reversed(self.sessions.items()):
            panel = _panel(name, view)
            lines = len(console.render_lines(panel, options.update(height=None)))
            if room is not None and panels and lines > room:
                hidden += 1
                continue
            panels.append(panel)
            room = None if room is None else room - lines
        if not panels:
            yield Text("waiting for the first window…", style="dim")
        yield from reversed(panels)
        yield self._footer(hidden)

    def _footer(self, hidden: int) -> Text:
        parts = [quantity(len(self.sessions), "session"), quantity(self.finals, "final window"), quantity(self.partials, "partial result")]
        parts += [quantity(self.alerts, "alert")] if self.alerts else []
        parts += [f"{self.ended} ended"] if self.ended else []
        parts += [f"{hidden} not shown"] if hidden else []
        return Text("  ·  ".join(parts), style="dim")


def score_bar(score: float, width: int = BAR_WIDTH) -> Text:
    """Draw a score as a bar from -3 to 3 that grows from the middle: to the left in red if negative, to the right in green if positive."""
    half = width // 2
    filled = min(half, round(abs(score) / SCORE_LIMIT * half))
    colour = "yellow" if abs(score) < NEUTRAL_BELOW else ("red" if score < 0 else "green")
    left, right = (filled, 0) if score < 0 else (0, filled)
    bar = Text("·" * (half - left), style="bright_black")
    bar.append("█" * left, style=colour)
    bar.append("│", style="white")
    bar.append("█" * right, style=colour)
    bar.append("·" * (half - right), style="bright_black")
    return bar


def share_bars(record: ScoreRecord) -> Text:
    """Draw a small bar for each modality: its share of the evidence for the score. A modality without a share is a dash."""
    text = Text()
    for modality in MODALITIES:
        text.append(f"{_LETTERS[modality]} ", style="bold" if modality in record.shares else "dim")
        if modality in record.shares:
            text.append(_small_bar(record.shares[modality]), style=_SHARE_COLOURS[modality])
        else:
            text.append("-".ljust(SHARE_WIDTH), style="dim")
        text.append(" ")
    return text


def sparkline(scores: Iterator[float] | deque[float]) -> str:
    """Draw scores as a row of small columns, from -3 at the bottom to 3 at the top."""
    top = len(_LEVELS) - 1
    return "".join(_LEVELS[min(top, max(0, round((s + SCORE_LIMIT) / (2 * SCORE_LIMIT) * top)))] for s in scores)


def _small_bar(share: float) -> str:
    eighths = round(min(1.0, max(0.0, share)) * SHARE_WIDTH * 8)
    full, rest = divmod(eighths, 8)
    return (_EIGHTHS[8] * full + (_EIGHTHS[rest] if rest else "")).ljust(SHARE_WIDTH)


def _panel(name: str, view: SessionView) -> Panel:
    lines: list[RenderableType] = []
    titles = {track_name: _title(track_name, track) for track_name, track in sorted(view.tracks.items())}
    width = max((len(title) for title in titles.values()), default=0)
    for track_name, title in titles.items():
        track = view.tracks[track_name]
        title.pad_right(width - len(title))
        lines.append(_track_line(title, track))
        lines.append(Padding(Text(track.sentence or "…", style="italic", overflow="ellipsis"), (0, 0, 0, 2)))
        lines += [Padding(_open_alert(alert), (0, 0, 0, 2)) for alert in track.alerts.values() if alert.mode is AlertMode.LIVE]
    if view.summary:
        lines.append(_summary_line(view.summary))
    title = Text(name, style="bold")
    return Panel(Group(*lines), title=title, title_align="left", border_style="green" if view.summary else "bright_black", padding=(0, 1))


def alert_line(alert: AlertRecord) -> Text:
    """A line about an alert: what happened, where, and how far the window is from the threshold."""
    text = Text(f"{alert.session}/{alert.track} {clock(alert.end_ms)} ")
    text.append(f"alert {alert.state}: ", style="bold")
    text.append(alert.title, style=_SEVERITY_COLOURS[alert.severity])
    figures = f" ({alert.severity}, rule {alert.rule}"
    if alert.value is not None and alert.threshold is not None:
        figures += f", value {alert.value:g}, threshold {alert.threshold:g}"
    return text.append(f"{figures}{', on trial' if alert.mode is AlertMode.SHADOW else ''})", style="dim")


def _open_alert(alert: AlertRecord) -> Text:
    text = Text("! ", style="bold")
    text.append(alert.title, style=_SEVERITY_COLOURS[alert.severity])
    return text.append(f"  since {clock(alert.since_ms)}" + (f"  {alert.respond}" if alert.respond else ""), style="dim")


def _title(name: str, track: TrackView) -> Text:
    return Text.assemble((name, "bold"), (f" {track.role}" if track.role != name else "", "dim"))


def _track_line(title: Text, track: TrackView) -> Table:
    grid = Table.grid(padding=(0, 1))
    for _ in range(8):
        grid.add_column(no_wrap=True)
    score = track.newest
    if score is None:
        grid.add_row(title)
        return grid
    partial = isinstance(score, PartialRecord)
    row = [title, Text(f"{clock(score.end_ms):>5}", style="dim"), *_result(score)]
    row += [share_bars(score), Text(sparkline(track.history), style="bright_black")]
    grid.add_row(*row, style="dim" if partial else None)
    return grid


def _result(record: ScoreRecord) -> list[Text]:
    """Bar, score, label and confidence; dashes where nothing was said, no confidence where it is unclear."""
    if record.score is None or record.confidence is None:
        return [Text("·" * BAR_WIDTH, style="bright_black"), *(Text(f"{'-':<{width}}", style="dim") for width in (5, 8, 4))]
    label = verdict(record)
    sure = Text("    " if label == UNCLEAR else f"{record.confidence:>4.0%}")
    return [
        score_bar(record.score),
        Text(signed(record.score), style="bold"),
        Text(f"{label:<8}", style=_LABEL_COLOURS.get(label, "dim")),
        sure,
    ]


def _summary_line(summary: SessionRecord) -> Text:
    text = Text("ended", style="bold green")
    text.append(f"  {quantity(summary.windows, 'window')}", style="default not bold")
    if summary.windows_empty:
        text.append(f"  {summary.windows_empty} in which nothing was said", style="default not bold")
    if summary.windows_shed:
        text.append(f"  {summary.windows_shed} closed early, over a limit", style="yellow not bold")
    for name, value in (("mean", summary.mean), ("trend", summary.trend)):
        if value is not None:
            text.append(f"  {name} {signed(value)}", style="default not bold")
    if summary.mean_arousal is not None:
        text.append(f"  arousal {summary.mean_arousal:.2f}", style="default not bold")
    for name, moment in (("best", summary.best), ("worst", summary.worst)):
        if moment is not None:
            text.append(f"  {name} {signed(moment.score)} at {clock(moment.end_ms)} ({moment.track})", style="default not bold")
    return text
