"""The links between the documents: every file and every heading that a page points to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stream.config.settings import PROJECT_ROOT

PAGES = [PROJECT_ROOT / "README.md", *sorted((PROJECT_ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\((?!https?://)(?P<file>[^)#]*)(?:#(?P<heading>[^)]*))?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT_ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.finditer(page.read_text(encoding="utf-8")):
        target = (page.parent / link["file"]).resolve() if link["file"] else page
        assert target.exists(), f"{link[0]} of {page.name}"
        if link["heading"]:
            assert link["heading"] in headings(target), f"{link[0]} of {page.name}"


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    lines = [line.lstrip("#").strip().lower() for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", line).replace(" ", "-") for line in lines}
