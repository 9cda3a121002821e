"""Drawings of what reveal found: values beside what honest models show, scores without and with a nuisance, and pictures of probes."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import NamedTuple
from xml.etree.ElementTree import Element

import cv2
import numpy as np

from stream.cli.html import add, drawing
from stream.domain.inference import SCORE_LIMIT
from stream.domain.modality import Modality
from stream.reveal.findings import Example, Finding
from stream.reveal.pictures import Grey, Picture

BAR_WIDTH, BAR_HEIGHT = 320, 20
ROW_HEIGHT, NAME_WIDTH, CHART_WIDTH = 26, 150, 720
LEAST_POINTS = 0.5
"""Score points at the ends of a chart, at least: what is small must not look large."""


class Value(NamedTuple):
    """A value with what is honest: score points, all of them.

    Attributes:
        name: What has it.
        value: The value.
        error: Its standard error.
        honest: The honest mean.
        limit: The distance from the honest mean that is suspicious.
    """

    name: str
    value: float
    error: float
    honest: float
    limit: float

    @classmethod
    def of(cls, name: str, finding: Finding, honest: float, limit: float) -> Value:
        """Of a finding."""
        return cls(name, finding.value, finding.error, honest, limit)

    @property
    def suspicious(self) -> bool:
        """Whether it is outside of what is honest."""
        return abs(self.value - self.honest) >= self.limit

    @property
    def label(self) -> str:
        """For a screen reader."""
        low, high = self.honest - self.limit, self.honest + self.limit
        return f"{self.value:+.2f} points, honest between {low:+.2f} and {high:+.2f}"


def scale_of(values: Iterable[Value]) -> float:
    """Score points at the ends of charts of these values."""
    return max([LEAST_POINTS, *(max(abs(own.value) + own.error, abs(own.honest) + own.limit) for own in values)]) * 1.05


def bar(parent: Element, own: Value, most: float) -> None:
    """One value: a bar from 0 with its standard error, over the honest range."""
    chart = drawing(parent, BAR_WIDTH, BAR_HEIGHT, own.label)
    _value(chart, own, most, (0.0, float(BAR_WIDTH)), 0.0, BAR_HEIGHT)


def overview(parent: Element, values: Iterable[Value]) -> None:
    """Several values below each other, with their names."""
    shown = list(values)
    most, height = scale_of(shown), ROW_HEIGHT * len(shown)
    chart = drawing(parent, CHART_WIDTH, height + 22, "; ".join(f"{own.name}: {own.label}" for own in shown))
    between = (float(NAME_WIDTH), float(CHART_WIDTH - 60))
    for place, own in enumerate(shown):
        top = place * ROW_HEIGHT
        middle = top + ROW_HEIGHT / 2 + 4
        add(chart, "text", own.name, x=NAME_WIDTH - 10, y=middle, class_="label", text_anchor="end")
        _value(chart, own, most, between, top, ROW_HEIGHT)
        add(chart, "text", f"{own.value:+.2f}", x=CHART_WIDTH - 50, y=middle, class_="label alarm" if own.suspicious else "label")
    for points in (-most, 0.0, most):
        at = _at(points, most, between)
        add(chart, "text", f"{points:+.1f}" if points else "0", x=at, y=height + 14, class_="tick", text_anchor="middle")


def _value(  # noqa: PLR0917 - where and how large
    chart: Element, own: Value, most: float, between: tuple[float, float], top: float, height: float
) -> None:
    def at(points: float) -> float:
        return _at(points, most, between)

    low, high = at(own.honest - own.limit), at(own.honest + own.limit)
    add(chart, "rect", x=low, y=top + 2, width=max(high - low, 1.0), height=height - 4, rx=3, class_="range")
    left, right = sorted((at(0.0), at(own.value)))
    kind = "value out" if own.suspicious else "value"
    add(chart, "rect", x=left, y=top + height / 2 - 4, width=max(right - left, 1.5), height=8, rx=2, class_=kind)
    middle = top + height / 2
    add(chart, "line", x1=at(own.value - own.error), x2=at(own.value + own.error), y1=middle, y2=middle, class_="error")
    add(chart, "line", x1=at(own.honest), x2=at(own.honest), y1=top + 3, y2=top + height - 3, class_="honest")
    add(chart, "line", x1=at(0.0), x2=at(0.0), y1=top, y2=top + height, class_="axis")


def _at(points: float, most: float, between: tuple[float, float]) -> float:
    left, right = between
    return left + (right - left) / 2 * (1 + max(-1.0, min(1.0, points / most)))


def movement(parent: Element, example: Example) -> None:
    """The score without a nuisance and with it, on the scale of scores: a ring, a line, a dot."""
    left, right = (10.0, BAR_WIDTH - 10.0)
    chart = drawing(parent, BAR_WIDTH, BAR_HEIGHT, f"from {example.before:+.2f} to {example.after:+.2f}")
    before, after = (_at(score, SCORE_LIMIT, (left, right)) for score in (example.before, example.after))
    middle = BAR_HEIGHT / 2
    add(chart, "line", x1=left, x2=right, y1=middle, y2=middle, class_="track")
    add(chart, "line", x1=BAR_WIDTH / 2, x2=BAR_WIDTH / 2, y1=3, y2=BAR_HEIGHT - 3, class_="axis")
    add(chart, "line", x1=before, x2=after, y1=middle, y2=middle, class_="moved")
    add(chart, "circle", cx=before, cy=middle, r=4, class_="ring")
    add(chart, "circle", cx=after, cy=middle, r=5, class_="dot")


def picture(parent: Element, own: Picture, name: str) -> None:
    """A probe window without a mark and with it, side by side."""
    sound = own.modality is Modality.AUDIO
    what = "sound, 0 to 4 kHz from below," if sound else "face"
    figures = add(parent, "div", class_="pictures")
    for grey, caption in ((own.plain, "as it is"), (own.marked, f"with {name}")):
        figure = add(figures, "figure")
        width, height = (380, 120) if sound else (144, 144)
        text = f"{what} of {own.window}, {caption}"
        add(figure, "img", src=_data_uri(grey, coloured=sound), alt=text, width=width, height=height, class_="pixels")
        add(figure, "figcaption", caption)


def _data_uri(grey: Grey, *, coloured: bool) -> str:
    shown = cv2.applyColorMap(grey, cv2.COLORMAP_MAGMA) if coloured else np.ascontiguousarray(grey)
    _, png = cv2.imencode(".png", shown)
    return f"data:image/png;base64,{base64.b64encode(png.tobytes()).decode('ascii')}"
