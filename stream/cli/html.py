"""Builds HTML and SVG as trees of elements: everything is escaped when a tree is written, whatever the texts hold.

The pages of all commands are made with it: one file each, with its style and drawings, without scripts and without anything from elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

import typer

from stream.cli.errors import CommandError
from stream.cli.page_style import STYLE

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""Content security policy of the page: no script runs, and nothing is fetched; pictures are in the page."""


def add(parent: Element, tag: str, text: str = "", **attributes: str | float) -> Element:
    """Add an element with some text. Attribute names end with ``_`` where Python reserves them, and have ``_`` for ``-``."""
    named = {name.rstrip("_").replace("_", "-"): _value(value) for name, value in attributes.items()}
    element = SubElement(parent, tag, named)
    element.text = text or None
    return element


def _value(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


def drawing(parent: Element, width: float, height: float, label: str) -> Element:
    """Add a drawing that a screen reader reads as its label."""
    return add(parent, "svg", width=width, height=height, viewBox=f"0 0 {width:g} {height:g}", role="img", aria_label=label)


def section(parent: Element, title: str, text: str) -> Element:
    """Add a section with a heading and, if there is any, a text."""
    found = add(parent, "section")
    add(found, "h2", title)
    if text:
        add(found, "p", text, class_="quiet")
    return found


def table(parent: Element, heads: tuple[str, ...], texts: Collection[str] = ()) -> Element:
    """Add an empty table; returns its body. The first column and those with a head in `texts` hold text, the others numbers."""
    found = add(parent, "table")
    line = add(add(found, "thead"), "tr")
    for place, head in enumerate(heads):
        add(line, "th", head, scope="col", class_="number" if place and head not in texts else "name")
    return add(found, "tbody")


def row(body: Element, name: str, *values: str, class_: str = "") -> Element:
    """Add a row: its name, then its values."""
    found = add(body, "tr", **({"class": class_} if class_ else {}))
    # Isolated: a word that is written from right to left must not turn the rest of the row round.
    add(add(found, "th", scope="row"), "bdi", name)
    for value in values:
        add(found, "td", value, class_="number")
    return found


def page(title: str) -> tuple[Element, Element]:
    """An empty page and its main element."""
    root = Element("html", {"lang": "en"})
    head = add(root, "head")
    add(head, "meta", charset="utf-8")
    add(head, "meta", http_equiv="Content-Security-Policy", content=POLICY)
    add(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    add(head, "meta", name="color-scheme", content="light dark")
    add(head, "title", title)
    add(head, "style", STYLE)
    return root, add(add(root, "body"), "main")


def written(root: Element) -> str:
    """The page as text."""
    return "<!doctype html>\n" + tostring(root, encoding="unicode", method="html") + "\n"


def write_page(file: Path, text: str) -> None:
    """Write a page, and say so on standard error. Only its owner may read a new file. Raises `CommandError`."""
    try:
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error.strerror}") from None
    typer.secho(f"Wrote {file}", fg="green", err=True)
