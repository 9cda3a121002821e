"""What `sentistream explain` prints: tables for people, or one JSON object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stream.cli.explain.examination import Examination
from stream.cli.explain.shown import EARLIER, NOUNS, shown_phrase, shown_row
from stream.domain.modality import Modality
from stream.explain.phrasing import signed

MOST_PHRASES = 5
"""Phrases that are printed; the page and the JSON object have all."""


def print_tables(found: Examination, console: Console) -> None:
    """Print what was found. No text of the window is read as markup."""
    score = found.stored.score
    console.print(Text(f"{score.window_id}: {found.label}, {signed(found.now.score)}", style="bold"))
    if not found.same_model:
        console.print(Text(other_model(found), style="yellow"), soft_wrap=True)
    console.print(Text(found.stored.explanation.sentence), soft_wrap=True)
    for table in (_contributions(found), _methods(found), _otherwise(found)):
        console.print()
        console.print(table)
    for method in found.methods:
        if method.problem:
            console.print(Text(f"{method.name}: {method.problem}", style="yellow"), soft_wrap=True)
    console.print()
    for line in _lines(found):
        console.print(Text(line), soft_wrap=True)


def other_model(found: Examination) -> str:
    """That the version that scored the window does not answer any more."""
    score = found.stored.score
    published = f"It was published as {score.label} ({signed(score.score or 0.0)}) by version {score.model.version} ({score.model.digest})"
    return f"{published}, which is not served now: all of this is of version {found.model.version} ({found.model.digest})."


def _table(*heads: str) -> Table:
    table = Table(*heads, box=None, header_style="bold", pad_edge=False)
    table.columns[0].no_wrap = True
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _contributions(found: Examination) -> Table:
    table = _table("part", "points")
    table.add_row("start", signed(found.base))
    table.add_row(EARLIER, signed(found.contributions.earlier_windows))
    for modality in found.stored.score.modalities_present:
        table.add_row(NOUNS[modality], signed(found.contributions.modalities[modality]))
    table.add_row("score", signed(found.now.score), style="bold")
    return table


def _methods(found: Examination) -> Table:
    """A row for each part of the window, and a column for each method: the share (%) of the row in all that the method lists."""
    usable = [(method.name, method.relevance, method.ms) for method in found.methods if method.relevance is not None]
    table = _table("share, %", *(name for name, _, _ in usable))
    for row in found.rows:
        shares = [row.share(relevance) for _, relevance, _ in usable]
        cells = [Text(f"{100 * share:+.0f}", style="cyan" if share > 0.02 else "red" if share < -0.02 else "dim") for share in shares]
        table.add_row(Text(shown_row(row, found.words)), *cells)
    table.add_row("milliseconds", *(f"{ms:.0f}" for _, _, ms in usable), style="dim")
    return table


def _otherwise(found: Examination) -> Table:
    table = _table("without", "score", "label")
    for name, verdict in found.without.items():
        style = "" if verdict.label == found.now.label else "bold"
        table.add_row(name if name == EARLIER else NOUNS[Modality(name)], signed(verdict.score), verdict.label, style=style)
    return table


def _lines(found: Examination) -> list[str]:
    lines = []
    for phrase, verdict in list(found.phrases.items())[:MOST_PHRASES]:
        effect = signed(found.now.score - verdict.score)
        lines.append(f"{shown_phrase(found.words, phrase)}: {effect}; without it {verdict.label}, {signed(verdict.score)}")
    if found.change is not None:
        left_out, verdict = found.change
        lines.append(f"Without {', '.join(shown_phrase(found.words, phrase) for phrase in left_out)} the label would be {verdict.label}.")
    return lines + [f"voice, {band.low_hz:.0f} to {band.high_hz:.0f} Hz: {signed(band.effect)}" for band in found.bands]


def as_json(found: Examination) -> Mapping[str, Any]:
    """What was found, as one JSON object."""
    score = found.stored.score
    relevant = [(method.name, method.relevance) for method in found.methods if method.relevance is not None]
    return {
        "event": "examination",
        "window_id": score.window_id,
        "model": found.model,
        "published": {"score": score.score, "label": score.label, "model": score.model},
        "same_model": found.same_model,
        "score": found.now.score,
        "label": found.now.label,
        "base_score": found.base,
        "contributions": found.contributions.modalities,
        "earlier_windows": found.contributions.earlier_windows,
        "rows": [
            {
                "modality": row.modality,
                "text": shown_row(row, found.words) if row.modality is Modality.TEXT else None,
                "start_ms": row.start_ms,
                "end_ms": row.end_ms,
                "relevance": {name: round(row.value(relevance), 6) for name, relevance in relevant},
            }
            for row in found.rows
        ],
        "methods": [{"name": method.name, "ms": round(method.ms, 1), "problem": method.problem or None} for method in found.methods],
        "without": {name: {"score": verdict.score, "label": verdict.label} for name, verdict in found.without.items()},
        "phrases": [
            {"text": shown_phrase(found.words, phrase), "effect": found.now.score - verdict.score, "label_without": verdict.label}
            for phrase, verdict in found.phrases.items()
        ],
        "label_change": found.change
        and {"phrases": [shown_phrase(found.words, phrase) for phrase in found.change[0]], "label": found.change[1].label},
        "faces": [
            {"start_ms": maps.start_ms, "relevance": maps.relevance, "ours": maps.ours.tolist(), "grad_cam": maps.grad_cam.tolist()}
            for maps in found.faces
        ],
        "voice_bands": [{"low_hz": band.low_hz, "high_hz": band.high_hz, "effect": band.effect} for band in found.bands],
    }
