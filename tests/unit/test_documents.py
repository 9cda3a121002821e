"""What the Markdown pages name exists: links, headings, files, tests, modules and commands. Their tables hold the stored numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer.main

from benchmarks.markdown import fill_tables
from benchmarks.tables import DOCUMENTS, TABLES
from stream.cli.main import app
from stream.config.project import PROJECT_ROOT
from stream.domain.features import WIDTHS
from stream.domain.modality import Modality
from stream.media.errors import REASONS
from stream.media.media_info import Problem, StreamInfo, StreamReport

PAGES = [*sorted(PROJECT_ROOT.glob("*.md")), *sorted((PROJECT_ROOT / "docs").rglob("*.md")), PROJECT_ROOT / "examples" / "README.md"]
LINK = re.compile(r"\]\((?!https?://)(?P<file>[^)#]*)(?:#(?P<heading>[^)]*))?\)")
FILE = re.compile(r"(?<![\w./(])(?:stream|tests|benchmarks|research|configs|docs)/[\w./-]+\.\w+\b")
TEST = re.compile(r"(?P<file>tests/[\w/]+\.py)?(?:::|`)(?P<test>test_\w+)\b(?!\.py)")
MODULE = re.compile(r"python -m (?P<module>(?:stream|benchmarks|research)[\w.]*\w)")
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"\bsentistream (?P<command>[a-z]+(?:-[a-z]+)*)\b")
LONGEST_LINE = 120

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT_ROOT)))


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.finditer(page.read_text(encoding="utf-8")):
        target = (page.parent / link["file"]).resolve() if link["file"] else page
        assert target.exists(), f"{link[0]} of {page.name}"
        if link["heading"]:
            assert link["heading"] in headings(target), f"{link[0]} of {page.name}"


@every_page
def test_named_files_exist(page: Path) -> None:
    named = set(FILE.findall(page.read_text(encoding="utf-8")))
    assert sorted(name for name in named if not (PROJECT_ROOT / name).exists()) == []


@every_page
def test_named_tests_exist(page: Path) -> None:
    missing = []
    for named in TEST.finditer(page.read_text(encoding="utf-8")):
        files = [PROJECT_ROOT / named["file"]] if named["file"] else files_with_tests()
        if not any(re.search(rf"def {named['test']}\b", file.read_text(encoding="utf-8")) for file in files if file.exists()):
            missing.append(named[0])
    assert missing == []


@every_page
def test_named_modules_exist(page: Path) -> None:
    named = {match["module"] for match in MODULE.finditer(page.read_text(encoding="utf-8"))}
    assert sorted(module for module in named if find_spec(module) is None) == []


@every_page
def test_named_commands_exist(page: Path) -> None:
    code = CODE.findall(page.read_text(encoding="utf-8"))
    named = {match["command"] for piece in code for match in COMMAND.finditer(piece)}
    assert sorted(named - typer.main.get_group(app).commands.keys()) == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name != "research"], ids=lambda page: page.name)
def test_lines_are_wrapped(page: Path) -> None:
    assert [line for line in prose(page) if len(line) > LONGEST_LINE] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_tables_hold_the_stored_numbers(name: str) -> None:
    page = (PROJECT_ROOT / name).read_text(encoding="utf-8")
    assert fill_tables(page, TABLES) == page


def test_every_reason_for_refusing_media_is_documented() -> None:
    page = (PROJECT_ROOT / "docs" / "records.md").read_text(encoding="utf-8")
    assert [reason for reason in REASONS if f"`{reason}`" not in page] == []


def test_every_problem_of_a_recording_is_documented_as_it_counts() -> None:
    page = (PROJECT_ROOT / "docs" / "recordings.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| (yes|no) \|$", page, re.MULTILINE))
    stream = StreamInfo(0, Modality.AUDIO, "aac")
    counts = {str(problem): StreamReport(stream, None, 1000, problems=(problem,)).damaged for problem in Problem}
    assert rows == {problem: "yes" if counts[problem] else "no" for problem in counts}


def test_the_page_of_producers_says_what_to_do_about_every_dead_letter() -> None:
    docs = PROJECT_ROOT / "docs"
    records = (docs / "records.md").read_text(encoding="utf-8").partition("| where the record failed | reasons |")[2]
    reasons = set(re.findall(r"`([a-z]+(?:_[a-z]+)*)`", records))
    advice = (docs / "producers.md").read_text(encoding="utf-8").partition("## Dead letters")[2]
    assert len(reasons) > 25
    assert sorted(reason for reason in reasons if f"`{reason}`" not in advice) == []


def test_the_page_of_records_gives_the_widths_of_features() -> None:
    rows = (PROJECT_ROOT / "docs" / "records.md").read_text(encoding="utf-8")
    for nodes, modality in (("words", Modality.TEXT), ("segments", Modality.AUDIO), ("frames", Modality.VIDEO)):
        assert f"({nodes}, {WIDTHS[modality]}) float32" in rows


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    lines = [line.lstrip("#").strip().lower() for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", line).replace(" ", "-") for line in lines}


def files_with_tests() -> list[Path]:
    return sorted((PROJECT_ROOT / "tests").rglob("test_*.py"))


def prose(page: Path) -> Iterator[str]:
    """A page's lines outside of tables, pictures, code and generated text."""
    text = re.sub(r"<!-- table: .*?<!-- end -->", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    yield from (line for line in text.splitlines() if not line.lstrip().startswith(("|", "![")))
