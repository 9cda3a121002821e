"""Tables of the benchmark of spoken-digit images, from its result."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.markdown import markdown_table
from research.digits.rows import ROWS, Task
from research.digits.trial import TrialNumbers

BLIND = ("intensity", "centre", "random")
GOALS = (
    ("accuracy, shared speakers", "ours", ("shared", "accuracy"), 0.97),
    ("macro F1, shared speakers", "ours", ("shared", "macro_f1"), 0.97),
    ("accuracy, unheard speaker", "ours", ("unheard", "accuracy"), 0.96),
    ("macro F1, unheard speaker", "ours", ("unheard", "macro_f1"), 0.96),
    ("IoU, all masks, best cells", "ours", ("maps", "ours", "top"), 0.85),
    ("IoU, all masks, best span or box", "ours", ("maps", "ours", "span"), 0.85),
    ("IoU, 10 % of the masks, best cells", "ours, 10 % of the masks", ("maps", "ours", "top"), 0.80),
    ("IoU, 10 % of the masks, best span or box", "ours, 10 % of the masks", ("maps", "ours", "span"), 0.80),
)
"""Name, row, place of the number and wanted value; a missing number has no line."""

Rows = Mapping[str, Sequence[TrialNumbers]]
"""By row, the numbers of each seed."""


def over_seeds(seeds: Sequence[TrialNumbers]) -> dict[str, Any]:
    """Mean and standard deviation over the seeds of every number, in the shape of the numbers: {"mean": …, "sd": …} at each leaf.

    One seed has no deviation.
    """
    first = seeds[0]
    if isinstance(first, Mapping):
        return {name: over_seeds([each[name] for each in seeds if name in each]) for name in first}
    values = [float(each) for each in seeds]
    spread = {"sd": round(statistics.pstdev(values), 4)} if len(values) > 1 else {}
    return {"mean": round(statistics.fmean(values), 4), **spread}


def tables_of(result: Mapping[str, Any]) -> dict[str, Callable[[], str]]:
    """The tables of docs/research/digits.md by name, as functions."""
    rows, seeds = result["rows"], result["more"]["seeds"]
    return {
        "goals": lambda: _goals(rows),
        "answers": lambda: _answers(rows, seeds, Task.HARD),
        "maps": lambda: _maps(rows.get("ours", {})),
        "rows-maps": lambda: _row_maps(rows, Task.HARD),
        "plain": lambda: _answers(rows, seeds, Task.PLAIN),
        "plain-maps": lambda: _maps(rows.get("plain, after the loop", {})),
        "biased": lambda: _biased(rows, seeds),
    }


def _goals(rows: Mapping[str, Any]) -> str:
    lines = [[name, f"≥ {wanted:.2f}", _at(rows[row], place)] for name, row, place, wanted in GOALS if row in rows]
    after, clean = rows.get("biased, after the loop"), rows.get("no loop")
    if after and clean:
        below = 100 * (clean["shared"]["accuracy"]["mean"] - after["flipped"]["accuracy"]["mean"])
        own = 100 * (after["clean"]["accuracy"]["mean"] - after["flipped"]["accuracy"]["mean"])
        lines.append(["flipped after the loop, under the network that never saw a patch", "≤ 2 points", f"{below:+.1f} points"])
        lines.append(["flipped after the loop, under its own accuracy without patches", "≤ 2 points", f"{own:+.1f} points"])
        lines.append(["attention on the patch, images without a digit", "≤ 0.01", _at(after, ("patch", "attention"))])
    return markdown_table(["goal", "wanted", "measured"], lines)


def _answers(rows: Mapping[str, Any], seeds: Mapping[str, Sequence[int]], task: Task) -> str:
    header = ["row", "seeds", "accuracy", "macro F1", "unheard speaker: accuracy", "macro F1", "perturbed: accuracy", "macro F1"]
    lines = []
    for name in _of(rows, task):
        tests = ("shared", "unheard", "perturbed")
        lines.append(
            [
                _name(name),
                str(len(seeds[name])),
                *(_at(rows[name], (test, metric)) for test in tests for metric in ("accuracy", "macro_f1")),
            ]
        )
    return markdown_table(header, lines)


def _maps(row: Mapping[str, Any]) -> str:
    header = ["map", "text", "audio", "image", "mean of the best cells", "span: audio", "box: image", "mean of span and box", "deletion"]
    wanted = ("text", "audio", "video", "top", "audio_span", "video_span", "span", "deletion")
    return markdown_table(header, [[name, *(_at(numbers, (each,)) for each in wanted)] for name, numbers in row.get("maps", {}).items()])


def _row_maps(rows: Mapping[str, Any], task: Task) -> str:
    header = ["row", "text", "audio", "image", "best cells", "span or box", "deletion", "unheard: best cells", "perturbed: best cells"]
    lines = []
    for name in _of(rows, task):
        own = rows[name]["maps"]["ours"]
        cells = [_at(own, (each,)) for each in ("text", "audio", "video", "top", "span", "deletion")]
        others = [_at(rows[name][where]["ours"], ("top",)) for where in ("maps_unheard", "maps_perturbed")]
        lines.append([_name(name), *cells, *others])
    return markdown_table(header, lines)


def _biased(rows: Mapping[str, Any], seeds: Mapping[str, Sequence[int]]) -> str:
    header = ["row", "seeds", "without patches", "like training", "flipped", "attention on the patch"]
    places = (("clean", "accuracy"), ("like training", "accuracy"), ("flipped", "accuracy"), ("patch", "attention"))
    lines = [[name, str(len(seeds[name])), *(_at(rows[name], place) for place in places)] for name in _of(rows, Task.BIASED)]
    return markdown_table(header, lines)


def _of(rows: Mapping[str, Any], task: Task) -> list[str]:
    return [name for name, row in ROWS.items() if row.task is task and name in rows]


def _name(row: str) -> str:
    return f"**{row}**" if row == "ours" else row


def _at(numbers: Mapping[str, Any], place: Sequence[str]) -> str:
    """Mean ± deviation of the number at a place, or a dash."""
    for step in place:
        if step not in numbers:
            return "-"
        numbers = numbers[step]
    return f"{numbers['mean']:.3f}" + (f" ± {numbers['sd']:.3f}" if "sd" in numbers else "")
