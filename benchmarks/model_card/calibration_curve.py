"""The calibration curve as a small SVG picture: accuracy by confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

SIDE, MARGIN = 260, 40
HEIGHT = SIDE + 2 * MARGIN
AXIS_START = 0.3
"""Start of both axes. The label is the most probable of three classes, so its probability is at least 1/3."""
LARGEST_DOT = 9.0
"""Radius, in pixels, of the dot of the largest bin."""

Bin = Sequence[float]


def calibration_curve(panels: Mapping[str, Sequence[Bin]]) -> str:
    """Draw one panel for each set of modalities. On the diagonal the accuracy equals the confidence.

    Args:
        panels: The bins of `stream.training.metrics.reliability`, by name of the panel: mean confidence, accuracy, number of windows.
            The area of a dot is proportional to the number of windows.

    Returns:
        The SVG document.
    """
    width = len(panels) * (SIDE + MARGIN) + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{HEIGHT}" fill="white"/>',
    ]
    for index, (name, bins) in enumerate(panels.items()):
        parts += _panel(name, bins, MARGIN + index * (SIDE + MARGIN))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(name: str, bins: Sequence[Bin], left: int) -> list[str]:
    top, bottom, right = MARGIN, MARGIN + SIDE, left + SIDE
    largest = max((count for _, _, count in bins), default=1)

    def position(confidence: float, accuracy: float) -> tuple[float, float]:
        x, y = ((value - AXIS_START) / (1.0 - AXIS_START) * SIDE for value in (confidence, max(accuracy, AXIS_START)))
        return left + x, bottom - y

    points = [(*position(confidence, accuracy), LARGEST_DOT * (count / largest) ** 0.5) for confidence, accuracy, count in bins]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
    return [
        f'<path d="M{left} {top}V{bottom}H{right}" fill="none" stroke="#888"/>',
        f'<path d="M{left} {bottom}L{right} {top}" stroke="#bbb" stroke-dasharray="4 4"/>',
        f'<polyline points="{line}" fill="none" stroke="#3366cc"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="#3366cc" fill-opacity="0.6"/>' for x, y, radius in points),
        f'<text x="{left}" y="{top - 8}" font-size="14">{escape(name)}</text>',
        f'<text x="{left}" y="{bottom + 16}">{AXIS_START:g}</text>',
        f'<text x="{right}" y="{bottom + 16}" text-anchor="end">confidence 1</text>',
        f'<text x="{left + 4}" y="{top + 10}">accuracy 1</text>',
    ]
