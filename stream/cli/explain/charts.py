"""The drawings of the page: bars from a middle line, a timeline, and maps on a drawn face."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from stream.cli.html import add, drawing
from stream.domain.features import Floats
from stream.explain.phrasing import clock, signed

BAR_WIDTH, BAR_HEIGHT = 200, 12
LEAST_FULL = 0.1
"""Score points. Bars are never scaled so that less than this fills them: what rounds to nothing must not look like something."""

LANE_WIDTH, LANE_HEIGHT = 720, 44
FACE_SIDE, FACE_CELLS_SIDE = 132, 6

FOR, AGAINST = "for", "against"
"""Classes of what raises and what lowers the score; the signs say it, too, for those who do not see the colours."""


OUTLINE = {"class_": "outline", "fill": "none", "stroke": "currentColor"}
FILLS = {FOR: "#1b6ca8", AGAINST: "#b4530b"}
"""Colours for programs that show drawings without the style of their page."""


def side(value: float) -> str:
    """Class of a value."""
    return FOR if value >= 0 else AGAINST


def _filled(value: float) -> dict[str, str]:
    return {"class_": side(value), "fill": FILLS[side(value)]}


def bar(parent: Element, value: float, most: float, label: str = "") -> None:
    """A bar from the middle to the right or left; `most` is the value of a full half."""
    middle = BAR_WIDTH / 2
    length = middle * min(1.0, abs(value) / max(most, LEAST_FULL))
    chart = drawing(parent, BAR_WIDTH, BAR_HEIGHT, label or f"{signed(value)} points")
    add(chart, "line", x1=middle, x2=middle, y1=0, y2=BAR_HEIGHT, class_="axis", stroke="currentColor")
    add(chart, "rect", x=middle if value >= 0 else middle - length, y=2, width=length, height=BAR_HEIGHT - 4, **_filled(value))


def timeline(parent: Element, label: str, between_ms: tuple[int, int], bars: Sequence[tuple[int, int, float]]) -> None:
    """One lane of spans (start, end, relevance) between two times, as bars up and down from its middle."""
    start_ms, end_ms = between_ms
    most = max((abs(value) for _, _, value in bars), default=0.0) or 1.0
    strongest = max(bars, key=lambda span: abs(span[2]), default=None)
    said = f", strongest {signed(strongest[2])} at {clock(strongest[0])}" if strongest else ""
    lane = drawing(parent, LANE_WIDTH, LANE_HEIGHT + 14, f"{label} from {clock(start_ms)} to {clock(end_ms)}{said}")
    middle, length = LANE_HEIGHT / 2, max(1, end_ms - start_ms)
    add(lane, "line", x1=0, x2=LANE_WIDTH, y1=middle, y2=middle, class_="axis", stroke="currentColor")
    for start, end, value in bars:
        left, right = (LANE_WIDTH * (at - start_ms) / length for at in (max(start, start_ms), min(end, end_ms)))
        height = (middle - 2) * abs(value) / most
        rectangle = add(
            lane,
            "rect",
            x=left,
            y=middle - height if value >= 0 else middle,
            width=max(1.0, right - left - 1),
            height=height,
            class_=side(value),
        )
        add(rectangle, "title", f"{clock(start)} to {clock(end)}: {value:+.3f}")
    for at in range(-(-start_ms // 1000) * 1000, end_ms + 1, 1000):
        anchor = "start" if at == start_ms else "end" if at == end_ms else "middle"
        add(lane, "text", clock(at), x=LANE_WIDTH * (at - start_ms) / length, y=LANE_HEIGHT + 11, class_="tick", text_anchor=anchor)


def face(parent: Element, cells: Floats, label: str) -> None:
    """36 cells over the outline of a face. The outline is always the same: the page has no picture of anybody."""
    most = float(abs(cells).max()) or 1.0
    unit = FACE_SIDE / FACE_CELLS_SIDE
    chart = drawing(parent, FACE_SIDE, FACE_SIDE, label)
    for index, value in enumerate(cells.tolist()):
        left, top = unit * (index % FACE_CELLS_SIDE), unit * (index // FACE_CELLS_SIDE)
        strength = abs(value) / most
        cell = add(chart, "rect", x=left, y=top, width=unit, height=unit, **_filled(value), fill_opacity=0.85 * strength)
        add(cell, "title", f"row {index // FACE_CELLS_SIDE + 1}, column {index % FACE_CELLS_SIDE + 1}: {value:+.4f}")
        if strength > 0.5:
            add(
                chart, "text", "+" if value >= 0 else "\u2212", x=left + unit / 2, y=top + unit / 2 + 4, class_="sign", text_anchor="middle"
            )
    _outline(chart)


def _outline(chart: Element) -> None:
    middle = FACE_SIDE / 2
    add(chart, "ellipse", cx=middle, cy=middle, rx=0.36 * FACE_SIDE, ry=0.46 * FACE_SIDE, **OUTLINE)
    for eye in (-0.16, 0.16):
        add(chart, "ellipse", cx=middle + eye * FACE_SIDE, cy=0.4 * FACE_SIDE, rx=0.06 * FACE_SIDE, ry=0.03 * FACE_SIDE, **OUTLINE)
    add(chart, "path", d=f"M {middle:g} {0.44 * FACE_SIDE:g} l -6 {0.16 * FACE_SIDE:g} h 12", **OUTLINE)
    left, right, low = middle - 0.14 * FACE_SIDE, middle + 0.14 * FACE_SIDE, 0.74 * FACE_SIDE
    add(chart, "path", d=f"M {left:g} {low:g} Q {middle:g} {low + 6:g} {right:g} {low:g}", **OUTLINE)
