"""Pages of the commands: nothing that is written into them becomes a part of them, and only their owner may read them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from stream.cli.errors import CommandError
from stream.cli.html import add, page, row, table, write_page, written
from tests.support.page_tags import Tags

pytestmark = pytest.mark.unit

HOSTILE = '"><script>alert(1)</script>'


def test_texts_and_attributes_are_escaped() -> None:
    def made(text: str) -> str:
        root, main = page(text)
        add(main, "p", text, title=text)
        row(table(main, ("name", text)), text, text)
        return written(root)

    hostile, harmless = Tags(made(HOSTILE)), Tags(made("harmless"))
    assert (hostile.tags, hostile.attributes) == (harmless.tags, harmless.attributes)
    assert hostile.texts.count(HOSTILE) == harmless.texts.count("harmless") == 5
    assert "default-src 'none'" in made(HOSTILE)


def test_columns_of_text_are_not_aligned_as_numbers() -> None:
    root, main = page("page")
    table(main, ("name", "what", "value"), ("what",))
    assert '<th scope="col" class="name">what</th><th scope="col" class="number">value</th>' in written(root)


def test_only_the_owner_may_read_a_new_page(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    write_page(file, "<p>é</p>")
    assert file.read_text(encoding="utf-8") == "<p>é</p>"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_page_that_cannot_be_written_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be written"):
        write_page(tmp_path / "missing" / "page.html", "")
