"""The files of the page: only those of its folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stream.gateway.page_files import PageFiles


@pytest.fixture
def files(tmp_path: Path) -> PageFiles:
    pages = tmp_path / "pages"
    (pages / "vendor").mkdir(parents=True)
    (pages / "app.js").write_text("1")
    (pages / "vendor" / "preact.js").write_text("2")
    (pages / ".hidden.js").write_text("3")
    (pages / "notes.md").write_text("4")
    (tmp_path / "secret.js").write_text("5")
    (pages / "link.js").symlink_to(tmp_path / "secret.js")
    return PageFiles(pages)


def test_a_file_has_its_type_and_its_tag(files: PageFiles) -> None:
    found = files.find("app.js")
    assert found is not None
    assert (found.content, found.media_type) == (b"1", "text/javascript")
    assert files.find("vendor/preact.js") is not None


def test_a_changed_file_has_another_tag(files: PageFiles, tmp_path: Path) -> None:
    before = files.find("app.js")
    path = tmp_path / "pages" / "app.js"
    path.write_text("changed")
    os.utime(path, ns=(1, 1))
    after = files.find("app.js")
    assert before is not None
    assert after is not None
    assert (after.content, after.etag == before.etag) == (b"changed", False)


WRONG = (
    *(
        "",
        "/",
        ".",
        "..",
        "../secret.js",
        "vendor/../../secret.js",
        "/etc/passwd",
        ".hidden.js",
        "notes.md",
        "link.js",
        "vendor",
        "none.js",
    ),
    *("a\x00.js", "x" * 5000 + ".js", "vendor/preact.js/more.js", "C:\\secret.js"),
)


@pytest.mark.parametrize("name", WRONG, ids=lambda name: name[:20])
def test_nothing_else_is_found(files: PageFiles, name: str) -> None:
    assert files.find(name) is None
