"""The Mermaid diagrams of the pages, and their pictures in ``docs/diagrams``: two of each diagram, for light and for dark pages.

A picture is named after the text of its diagram, so that a test sees when it is out of date. `docs.draw_diagrams` draws them.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "diagrams"
DIAGRAM = re.compile(r"^```mermaid\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
SCHEMES = ("light", "dark")


def pictures(text: str) -> list[Path]:
    """Return the pictures of a diagram, for light and for dark pages."""
    name = hashlib.sha256(text.encode()).hexdigest()[:12]
    return [FOLDER / f"{name}-{scheme}.svg" for scheme in SCHEMES]


def diagrams() -> list[str]:
    """Return the diagrams of all pages."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [found["text"] for page in pages for found in DIAGRAM.finditer(page.read_text(encoding="utf-8"))]
