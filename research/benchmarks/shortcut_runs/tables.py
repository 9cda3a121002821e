"""The tables of planted shortcuts in docs/research/model.md, from the result of the benchmark."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.markdown import markdown_table
from research.benchmarks.shortcut_runs.rows import ABLATIONS, ROWS

Result = dict[str, Any]
SMALL_GAP = 0.05
"""Gap between ERM and unplanted on flipped below which the share closed is meaningless; the points lost are reported instead."""

ORDER = ("id", "neutral", "flipped", "worst_group")


def tables_of(result: Result) -> dict[str, Callable[[], str]]:
    """By name, a function that makes each table."""
    makers = {"standard": standard, "probes": probes, "ablations": ablations, "places": places, "spreads": spreads, "goals": goals}
    return {name: partial(maker, result) for name, maker in makers.items()}


def standard(result: Result) -> str:
    """Every row at every p."""
    rows = [name for name in ROWS if name in result]
    agreements = list(result[rows[0]])
    lines = [[_name(name), *(_cell(result[name][p], result["more"]["sd"][name][p]) for p in agreements)] for name in rows]
    return markdown_table(["row", *(f"p = {p.removeprefix('0')}" for p in agreements)], lines)


def probes(result: Result) -> str:
    """Accuracy of probes for the mark on the causal read-out, on the shortcut read-out, and on the eraser's strata."""
    found = result["more"]["probes"]
    columns = [(kind, p) for p in ("0.9", "0.99") for kind in ("causal", "shortcut", "strata")]
    lines = [[_name(row), *(_number(found[row][p].get(kind)) for kind, p in columns)] for row in ROWS if row in found]
    return markdown_table(["row", *(f"{kind}, p = {p.removeprefix('0')}" for kind, p in columns)], lines)


def ablations(result: Result) -> str:
    """Ours without one part."""
    found, deviations = result["more"]["ablations"]["mean"], result["more"]["ablations"]["sd"]
    agreements = list(next(iter(found.values())))
    lines = [["`ours`", *(_cell(result["ours"][p], result["more"]["sd"]["ours"][p]) for p in agreements)]]
    lines += [[name, *(_cell(found[name][p], deviations[name][p]) for p in agreements)] for name in ABLATIONS if name in found]
    return markdown_table(["row", *(f"p = {p.removeprefix('0')}" for p in agreements)], lines)


def places(result: Result) -> str:
    """Other marks."""
    lines = []
    for name, condition in result["more"]["conditions"].items():
        mean, deviation = condition["mean"], condition["sd"]
        for p in () if "ours_fusion" in mean else mean["ours"]:
            erm, ours, text = (_pair(mean[row][p]) for row in ("erm", "ours", "text_only"))
            unplanted, spread = _number(mean["unplanted"][p]["flipped"]), _number(deviation["ours"][p]["flipped"])
            lines.append([name, p.removeprefix("0"), erm, f"{ours} ± {spread}", unplanted, text, closed(mean, p)])
    return markdown_table(["mark", "p", "ERM", "ours", "unplanted", "text only", "closed"], lines)


def spreads(result: Result) -> str:
    """Marks in the spread of a block: each network without and with the eraser."""
    lines = []
    for name, condition in result["more"]["conditions"].items():
        mean, deviation = condition["mean"], condition["sd"]
        for p in mean["ours"] if "ours_fusion" in mean else ():
            line = [name, p.removeprefix("0")]
            for plain, erased, limit in (("erm", "ours_fusion", "unplanted_fusion"), ("mmci", "ours", "unplanted")):
                spread = _number(deviation[erased][p]["flipped"])
                line += [_pair(mean[plain][p]), f"{_pair(mean[erased][p])} ± {spread}", _number(mean[limit][p]["flipped"])]
                line.append(closed(mean, p, (plain, erased, limit)))
            lines.append([*line, str(condition["seeds"])])
    columns = ["ERM", "`ours_fusion`", "unplanted", "closed", "`mmci`", "`ours`", "unplanted", "closed", "seeds"]
    return markdown_table(["mark", "p", *columns], lines)


def closed(mean: Result, p: str, rows: tuple[str, str, str] = ("erm", "ours", "unplanted")) -> str:
    """Share of the gap on flipped between the first and the last of three rows that the second closes."""
    erm, ours, unplanted = (mean[row][p]["flipped"] for row in rows)
    if unplanted - erm < SMALL_GAP:
        return f"gap < 5 points; {100 * (ours - erm):+.1f} points"
    return f"{100 * (ours - erm) / (unplanted - erm):.0f} %"


def goals(result: Result) -> str:
    """Goals and results."""
    ours, text, unplanted, erm = (result[row] for row in ("ours", "text_only", "unplanted", "erm"))
    conditions = result["more"]["conditions"]
    shares: list[float] = []
    lost: list[float] = []
    for condition in conditions.values():
        mean = condition["mean"]
        for p in mean["ours"]:
            gap = mean["unplanted"][p]["flipped"] - mean["erm"][p]["flipped"]
            gain = mean["ours"][p]["flipped"] - mean["erm"][p]["flipped"]
            (shares if gap >= SMALL_GAP else lost).append(gain / gap if gap >= SMALL_GAP else -100 * gain)
    wanted = max(0.81, text["0.9"]["flipped"] + 0.025)
    lines = [
        ["p = .9, flipped", f"≥ {_number(wanted)} (.81, and text only + 2.5 points)", _number(ours["0.9"]["flipped"])],
        ["p = .9, neutral, below unplanted", "≤ 1 point", f"{100 * (unplanted['0.9']['neutral'] - ours['0.9']['neutral']):+.1f} points"],
        ["p = .99, flipped", "≥ .79", _number(ours["0.99"]["flipped"])],
        ["p = .5, below ERM", "≤ 1 point", f"{100 * (erm['0.5']['flipped'] - ours['0.5']['flipped']):+.1f} points"],
    ]
    if shares:
        lines.append(["other marks, least share of the gap closed", "≥ 60 %", f"{100 * min(shares):.0f} %"])
    if lost:
        lines.append(["other marks, gap < 5 points: most lost against ERM", "≤ 1 point", f"{max(lost):+.1f} points"])
    return markdown_table(["goal", "wanted", "measured"], lines)


def _name(row: str) -> str:
    return f"**`{row}`**" if row == "ours" else f"`{row}`"


def _cell(mean: dict[str, float], deviation: dict[str, float]) -> str:
    parts = [_number(mean[name]) + (f" ± {_number(deviation[name])}" if name == "flipped" else "") for name in ORDER]
    return " / ".join(parts)


def _pair(mean: dict[str, float]) -> str:
    return f"{_number(mean['neutral'])} / {_number(mean['flipped'])}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}".removeprefix("0")
