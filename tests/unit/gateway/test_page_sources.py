"""The files of the pages: whole, free of what their security policy forbids, and with the licences of what they use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.page_libraries import LIBRARIES
from stream.config.project import PROJECT_ROOT
from stream.domain.modality import Modality
from stream.domain.warning_codes import WarningCode
from stream.domain.withheld import Reason
from stream.gateway.page_files import MEDIA_TYPES, PAGES

VENDOR = PAGES / "vendor"
OWN = [path for path in sorted(PAGES.rglob("*")) if path.is_file() and path.parent != VENDOR]
SCRIPTS = sorted(PAGES.rglob("*.js"))
IMPORT = re.compile(r"""(?:^|[;}\s])(?:import|export)\b[^"'`;]*?\bfrom\s*["']([^"']+)["']|\bimport\s*["']([^"']+)["']""")
LONGEST = 400


def name(path: Path) -> str:
    return str(path.relative_to(PAGES))


@pytest.mark.parametrize("script", SCRIPTS, ids=name)
def test_imports_are_paths_to_files(script: Path) -> None:
    for match in IMPORT.finditer(script.read_text(encoding="utf-8")):
        module = match[1] or match[2]
        assert module.startswith("."), f"a browser does not find {module} without an import map"
        assert (script.parent / module).is_file(), module


@pytest.mark.parametrize("path", OWN, ids=name)
def test_nothing_is_inline_and_nothing_comes_from_elsewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert path.suffix in MEDIA_TYPES
    assert len(text.splitlines()) <= LONGEST
    elsewhere = set(re.findall(r"https?://[^\s\"')]+", text)) - {"http://www.w3.org/2000/svg"}
    assert not elsewhere
    assert not re.search(r"innerHTML|dangerouslySetInnerHTML|document\.write|\beval\(|new Function", text)
    if path.suffix == ".html":
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)


@pytest.mark.parametrize("code", [*WarningCode, *Reason, *Modality])
def test_every_code_has_words(code: str) -> None:
    assert f" {code}: " in (PAGES / "format.js").read_text(encoding="utf-8")


def test_the_document_names_files_that_exist() -> None:
    text = (PAGES / "index.html").read_text(encoding="utf-8")
    named = re.findall(r'(?:href|src)="/assets/([^"]+)"', text)
    assert len(named) > 5
    assert [each for each in named if not (PAGES / each).is_file()] == []


def test_every_library_has_its_licence_and_is_in_the_notice() -> None:
    notice = (PROJECT_ROOT / "NOTICE").read_text(encoding="utf-8").lower()
    for library in LIBRARIES:
        assert f"{library.name} {library.version}" in notice
        assert all((VENDOR / target).is_file() for target in library.files.values())
    assert {path.name for path in VENDOR.iterdir()} == {target for library in LIBRARIES for target in library.files.values()}
