"""Tables in documents, filled from measured numbers so that text and numbers cannot drift apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

_TABLE = re.compile(r"<!-- table: (?P<name>[a-z/-]+) -->\n.*?<!-- end -->", re.DOTALL)


def fill_tables(document: str, tables: Mapping[str, Callable[[], str]], *, of: str = "") -> str:
    """Fill every ``<!-- table: NAME -->`` … ``<!-- end -->`` of a document.

    Args:
        document: Markdown.
        tables: By name, a function that returns the table.
        of: Fill only the tables named ``OF/NAME``, for a document that several programs fill; empty: those without ``/``.

    Returns:
        The document with its tables filled.

    Raises:
        KeyError: If the document asks for a table that does not exist.
    """

    def filled(match: re.Match[str]) -> str:
        owner, _, name = match["name"].rpartition("/")
        return f"<!-- table: {match['name']} -->\n{tables[name]()}\n<!-- end -->" if owner == of else match[0]

    return _TABLE.sub(filled, document)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
