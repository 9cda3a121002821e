"""Fills tables in documents from measured numbers, so that the documents cannot drift apart from the measurements."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

_TABLE = re.compile(r"<!-- table: (?P<name>[a-z/-]+) -->\n.*?<!-- end -->", re.DOTALL)


def fill_tables(document: str, tables: Mapping[str, Callable[[], str]], *, of: str = "") -> str:
    """Fill every ``<!-- table: NAME -->`` … ``<!-- end -->`` of a document.

    Args:
        document: Markdown.
        tables: Functions that return the tables, by name.
        of: Fill only the tables named ``OF/NAME``, for a document that several programs fill. If empty, fill the tables without ``/``.

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
    """Format a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
