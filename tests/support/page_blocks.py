"""Blocks and inline pieces of code of the Markdown pages, and the shell commands in them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from docs.build_site import pages
from stream.config.project import PROJECT_ROOT

OPERATORS = {"&&", "||", "|", ";"}
REDIRECTIONS = {">", ">>", "<"}


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code.

    Attributes:
        page: The page's path in the repository.
        line: Where the block begins, counted from 1.
        language: What its fence says; empty if it says nothing, or if the block is indented.
        text: What it holds.
    """

    page: str
    line: int
    language: str
    text: str

    @property
    def key(self) -> tuple[str, str]:
        """Page and first line."""
        return self.page, self.text.lstrip().partition("\n")[0].strip()

    @property
    def name(self) -> str:
        """For the names of tests."""
        return f"{self.page}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """Return the blocks of all pages in these languages; without one, all blocks."""
    return [block for page in pages() for block in blocks_of(page) if not languages or block.language in languages]


def blocks_of(page: str) -> Iterator[Block]:
    """Return the blocks of a page."""
    for token in MarkdownIt().parse((PROJECT_ROOT / page).read_text(encoding="utf-8")):
        if token.type in {"fence", "code_block"}:
            assert token.map is not None
            yield Block(page, token.map[0] + 1, token.info, token.content)


def inline_code(page: str) -> list[str]:
    """Return the pieces of code in the sentences and tables of a page."""
    tokens = MarkdownIt().enable("table").parse((PROJECT_ROOT / page).read_text(encoding="utf-8"))
    return [child.content for token in tokens for child in token.children or () if child.type == "code_inline"]


def commands(text: str) -> list[list[str]]:
    """Return the simple commands of a shell script, as lists of words; settings of the environment and redirections are left out."""
    found: list[list[str]] = []
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.shlex(line, posix=True, punctuation_chars=True)
        words.commenters, words.whitespace_split = "#", True
        command: list[str] = []
        skip = False
        for word in words:
            if word in OPERATORS:
                found.append(command)
                command = []
            elif word in REDIRECTIONS or skip:
                skip = word in REDIRECTIONS
            elif command or "=" not in word:
                command.append(word)
        found.append(command)
    return [command for command in found if command]


def exists(path: str, folder: Path = PROJECT_ROOT) -> bool:
    """Whether a file or folder of the repository is there."""
    return (folder / path).exists()
