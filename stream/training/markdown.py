"""Tables in documents, filled from measured numbers so that text and numbers cannot drift apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

_TABLE = re.compile(r"<!-- table: (?P<name>[a-z-]+) -->\n.*?<!-- end -->", re.DOTALL)


def fill_tables(document: str, tables: Mapping[str, Callable[[], str]]) -> str:
    """Replace every ``<!-- table: NAME -->`` … ``<!-- end -->`` of a document by what makes the table of that name.

    Raises:
        KeyError: If the document asks for a table that does not exist.
    """

    def filled(match: re.Match[str]) -> str:
        name = match["name"]
        return f"<!-- table: {name} -->\n{tables[name]()}\n<!-- end -->"

    return _TABLE.sub(filled, document)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
