"""Tables of docs/performance.md from a stored result of `benchmarks.faces`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.markdown import markdown_table


def found_table(result: Mapping[str, Any]) -> str:
    """Faces found and false boxes on both paths."""
    pairs = {"films of one person": result["films"], **result["composites"]}
    rows = []
    for name, pair in pairs.items():
        before, after = pair["every_frame"], pair["searched"]
        found = [f"{row['found']} of {row['faces']}" if row["faces"] else "" for row in (after, before)]
        rows.append([name, found[0], str(after["false"]), found[1], str(before["false"]), f"{after['ms']:.1f}", f"{before['ms']:.1f}"])
    titles = ["", "found", "false boxes", "every picture: found", "every picture: false", "CPU ms a chunk", "every picture: CPU ms a chunk"]
    return markdown_table(titles, rows)


def moved(result: Mapping[str, Any]) -> str:
    """How far scores move, and what the parts of a search cost, in a sentence each."""
    scores, parts = result["scores"], result["cost"]["parts"]
    listed = ", ".join(f"{name} {ms:.1f}" for name, ms in parts.items())
    return (
        f"Against a search of every picture, the scores of {scores['windows']} windows of the films move by {scores['mean']:.3f} points on "
        f"average, {scores['p95']:.3f} at p95 and {scores['max']:.3f} at most; {scores['flips']} get another label.\n\n"
        f"CPU ms of the parts: {listed}."
    )
