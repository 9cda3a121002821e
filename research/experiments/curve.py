"""Training curves as a small SVG picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, MARGIN = 640, 300, 46
COLOURS = ("#3366cc", "#cc6633", "#339966", "#993399", "#886600")


def curves(title: str, panels: Mapping[str, Sequence[Sequence[float]]]) -> str:
    """Draw one panel for each quantity with one line for each seed; returns the SVG document.

    Args:
        title: Title above the panels.
        panels: By quantity, the values after every epoch, for every seed. Quantities without values are left out.
    """
    shown = {name: lines for name, lines in panels.items() if any(len(line) for line in lines)}
    width = WIDTH * max(1, len(shown))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{MARGIN}" y="18" font-size="14">{escape(title)}</text>',
    ]
    for index, (name, lines) in enumerate(shown.items()):
        parts += _panel(name, lines, index * WIDTH)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(name: str, lines: Sequence[Sequence[float]], left: int) -> list[str]:
    values = [value for line in lines for value in line]
    low, high = min(values), max(values)
    low, high = (low, high) if high - low > 1e-9 else (low - 0.5, high + 0.5)
    epochs = max(len(line) for line in lines)
    right, top, bottom = left + WIDTH - 12, MARGIN, HEIGHT - MARGIN

    def point(epoch: int, value: float) -> str:
        x = left + MARGIN + (right - left - MARGIN) * (epoch / max(1, epochs - 1))
        return f"{x:.1f},{bottom - (bottom - top) * (value - low) / (high - low):.1f}"

    drawn = [f'<path d="M{left + MARGIN} {top}V{bottom}H{right}" fill="none" stroke="#888"/>']
    for seed, line in enumerate(lines):
        points = " ".join(point(epoch, value) for epoch, value in enumerate(line))
        drawn.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[seed % len(COLOURS)]}" stroke-width="1.5"/>')
    return [
        *drawn,
        f'<text x="{left + MARGIN}" y="36">{escape(name)}</text>',
        f'<text x="{left + 4}" y="{bottom}">{low:.3g}</text>',
        f'<text x="{left + 4}" y="{top + 8}">{high:.3g}</text>',
        f'<text x="{right}" y="{bottom + 18}" text-anchor="end">epoch {epochs}</text>',
    ]
