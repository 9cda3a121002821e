"""The site of the documentation: it has all pages, no link of it leads nowhere, and it needs nothing from outside."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from docs.build_site import build, pages
from docs.diagrams import FOLDER, diagrams, pictures
from docs.page_libraries import LIBRARY_OF_SITE, TARGET_OF_SITE
from stream.config.project import PROJECT_ROOT

LOADING = {"script": "src", "img": "src", "link": "href", "iframe": "src"}


class SitePage(HTMLParser):
    """What a page of the site links to and loads, and its anchors."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.anchors, self.links, self.loaded = path, set[str](), list[str](), list[str]()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attrs if value}
        self.anchors |= {values["id"]} if "id" in values else set()
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in LOADING and LOADING[tag] in values:
            self.loaded.append(values[LOADING[tag]])

    def target(self, link: str) -> Path:
        path = unquote(urlsplit(link).path)
        return (self.path.parent / path).resolve() if path else self.path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, SitePage]:
    first = build(tmp_path_factory.mktemp("site").resolve())
    # The page for what is not found names the others from the root of a server.
    return {path: SitePage(path) for path in first.parent.rglob("*.html") if path.name != "404.html"}


def test_the_navigation_has_every_page() -> None:
    written = [*PROJECT_ROOT.glob("*.md"), *(PROJECT_ROOT / "docs").rglob("*.md"), *(PROJECT_ROOT / "examples").glob("**/README.md")]
    ours = {str(path.relative_to(PROJECT_ROOT)) for path in written if "node_modules" not in path.parts}
    assert set(pages()) == ours


def test_every_link_leads_somewhere(site: dict[Path, SitePage]) -> None:
    wrong = []
    for page in site.values():
        for link in page.links:
            url = urlsplit(link)
            target = page.target(link)
            if not url.scheme and not (target.exists() and (not url.fragment or unquote(url.fragment) in site[target].anchors)):
                wrong.append(f"{page.path.name}: {link}")
    assert wrong == []


def test_nothing_is_loaded_from_elsewhere(site: dict[Path, SitePage]) -> None:
    loaded = [(page, link) for page in site.values() for link in page.loaded if not link.startswith("data:")]
    assert len(loaded) > len(site)
    assert [f"{page.path.name}: {link}" for page, link in loaded if urlsplit(link).scheme or not page.target(link).exists()] == []


def test_a_linked_source_file_is_a_page(site: dict[Path, SitePage]) -> None:
    (page,) = (path for path in site if path.name == "call-center.yaml.html")
    assert "The customer stays unhappy" in page.read_text(encoding="utf-8")


def test_the_search_knows_the_pages_and_not_the_sources(site: dict[Path, SitePage]) -> None:
    (index,) = (path.parent / "search.json" for path in site if path.name == "alerts.html")
    found = json.loads(index.read_text(encoding="utf-8"))["items"]
    assert any(item["location"].startswith("alerts.html") for item in found)
    assert not any(item["location"].startswith("source/") for item in found)


def test_every_diagram_is_drawn() -> None:
    """``python -m docs.draw_diagrams`` draws them again."""
    assert len(diagrams()) >= 3
    assert set(FOLDER.iterdir()) == {path for text in diagrams() for path in pictures(text)}


def test_the_library_of_the_site_has_its_licence_and_is_in_the_notice() -> None:
    assert {path.name for path in TARGET_OF_SITE.iterdir()} == set(LIBRARY_OF_SITE.files.values())
    assert f"{LIBRARY_OF_SITE.name} {LIBRARY_OF_SITE.version}" in (PROJECT_ROOT / "NOTICE").read_text(encoding="utf-8")
