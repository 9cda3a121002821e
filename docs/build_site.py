"""Builds the site of the documentation in ``build/docs/html``, from the Markdown pages as they stand in the repository.

``python -m docs.build_site`` lays the pages of the navigation in ``docs/zensical.toml`` out as the site has them, and runs zensical.
Links between pages become links of the site. A source file or folder that a page links to becomes a page, too, so that the site needs no
other server. Diagrams become pictures (`docs.diagrams`). ``--serve`` shows the site on 127.0.0.1 and builds it again when a page changes.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from docs.diagrams import DIAGRAM, SCHEMES, pictures

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "docs" / "zensical.toml"
BUILD = ROOT / "build" / "docs"
RENAMED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "docs/research/README.md": "research/index.md",
    "examples/README.md": "examples/index.md",
    "examples/consumers/README.md": "examples/consumers/index.md",
}
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)(?P<target>[^)#\s]+)(?P<heading>#[^)]*)?(?=\))")
LANGUAGES = {".py": "python", ".toml": "toml", ".yaml": "yaml", ".yml": "yaml", ".js": "js", ".java": "java", ".json": "json", ".sh": "sh"}
PICTURES = frozenset({".svg", ".webp", ".png"})
SHIM = "https://unpkg.com/iframe-worker/shim"
HIDDEN = "---\nsearch:\n  exclude: true\n---\n\n"


@dataclass
class Layout:
    """The pages of a site, as they are written.

    Attributes:
        folder: Where pages are written.
        pages: A page's path in the repository → its path in the site.
        sources: Files and folders of the repository that pages link to.
    """

    folder: Path
    pages: dict[str, str]
    sources: set[str] = field(default_factory=set)

    def write(self) -> None:
        """Write all pages, then what they link to."""
        for page, place in self.pages.items():
            self.put(place, self.page(page))
        for source in sorted(self.sources | {child for linked in self.sources for child in children(linked)}):
            self.put(source_place(source), folder_page(source) if (ROOT / source).is_dir() else source_page(source))

    def put(self, place: str, text: str) -> None:
        """Write a page."""
        target = self.folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def page(self, name: str) -> str:
        """Return the text of a page as the site has it."""
        text = (ROOT / name).read_text(encoding="utf-8")
        linked = LINK.sub(lambda link: self.link(name, link["target"], link["heading"] or ""), text)
        return DIAGRAM.sub(lambda diagram: self.diagram(name, diagram["text"]), linked)

    def link(self, page: str, target: str, heading: str) -> str:
        """Return a link of a page as the site has it; the linked file is written, too."""
        path = os.path.normpath(PurePosixPath(page).parent / target)
        if path in self.pages:
            place = self.pages[path]
        elif Path(path).suffix in PICTURES:
            place = self.picture(path)
        else:
            self.sources.add(path)
            place = source_place(path)
        return os.path.relpath(place, PurePosixPath(self.pages[page]).parent) + heading

    def diagram(self, page: str, text: str) -> str:
        """Return the pictures of a diagram: one for light pages, one for dark ones."""
        places = (self.picture(path.relative_to(ROOT).as_posix()) for path in pictures(text))
        here = PurePosixPath(self.pages[page]).parent
        return "\n".join(f"![diagram]({os.path.relpath(place, here)}#only-{scheme})" for scheme, place in zip(SCHEMES, places, strict=True))

    def picture(self, path: str) -> str:
        """Copy a picture of the repository; return its place in the site."""
        place = path.removeprefix("docs/")
        target = self.folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, target)
        return place


def children(source: str) -> list[str]:
    """Return the text files of a folder of the repository; of a file, nothing."""
    files = [path for path in visible(ROOT / source) if path.is_file()] if (ROOT / source).is_dir() else []
    return sorted(path.relative_to(ROOT).as_posix() for path in files)


def visible(folder: Path) -> list[Path]:
    """Return what a folder holds besides what Python and other tools leave there."""
    return [path for path in folder.iterdir() if not path.name.startswith((".", "__pycache__"))]


def source_place(path: str) -> str:
    """Return where the site has a file or a folder of the repository."""
    return f"source/{path}/index.md" if (ROOT / path).is_dir() else f"source/{path}.md"


def folder_page(name: str) -> str:
    """Return the page of a folder: its files, and the names of its folders."""
    folders = sorted(f"`{path.name}/`" for path in visible(ROOT / name) if path.is_dir())
    files = [f"[`{PurePosixPath(child).name}`](<{PurePosixPath(child).name}.md>)" for child in children(name)]
    return f"{HIDDEN}# {name}/\n\n" + "".join(f"- {entry}\n" for entry in (*folders, *files))


def source_page(name: str) -> str:
    """Return the page of a source file: its text."""
    text = (ROOT / name).read_text(encoding="utf-8")
    fence = "`" * max(4, *(len(ticks) + 1 for ticks in re.findall("`+", text)), 4)
    return f"{HIDDEN}# {name}\n\n{fence}{LANGUAGES.get(Path(name).suffix, 'text')}\n{text}\n{fence}\n"


def navigation() -> list[str]:
    """Return the pages of the site, in the order of its navigation."""

    def files(entry: object) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        inner = entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ()
        return [file for part in inner for file in files(part)]

    return files(tomllib.loads(CONFIG.read_text(encoding="utf-8"))["project"]["nav"])


def pages() -> dict[str, str]:
    """Return the pages of the navigation: path in the repository → path in the site."""
    names = {place: name for name, place in RENAMED.items()}
    return {names.get(place, f"docs/{place}"): place for place in navigation()}


def lay_out(folder: Path, *, served: bool = False) -> None:
    """Write what zensical reads: its configuration, and all pages under ``pages``. With a server, the search needs no help."""
    shutil.rmtree(folder / "pages", ignore_errors=True)
    Layout(folder / "pages", pages()).write()
    for file in ("docs/site.css", "stream/gateway/pages/icon.svg"):
        shutil.copyfile(ROOT / file, folder / "pages" / Path(file).name)
    shutil.copytree(ROOT / "docs" / "vendor", folder / "pages" / "vendor")
    config = CONFIG.read_text(encoding="utf-8")
    (folder / CONFIG.name).write_text(config.replace("enabled = true", "enabled = false") if served else config, encoding="utf-8")


def build(folder: Path = BUILD) -> Path:
    """Build the site; return its first page.

    Raises:
        SystemExit: zensical has warned, for example of a link that leads nowhere; it has said so on standard error.
    """
    lay_out(folder)
    zensical(folder, "build", "--clean", "--strict")
    keep_search_offline(folder / "html")
    return folder / "html" / "index.html"


def keep_search_offline(site: Path) -> None:
    """Let the pages load from the site itself what lets them search without a server."""
    for page in site.rglob("*.html"):
        ours = os.path.relpath(site / "vendor" / "iframe-worker.js", page.parent)
        page.write_text(page.read_text(encoding="utf-8").replace(SHIM, ours), encoding="utf-8")


def zensical(folder: Path, *arguments: str) -> None:
    """Run zensical in a folder that `lay_out` has filled."""
    done = subprocess.run([sys.executable, "-m", "zensical", *arguments], cwd=folder, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def serve(folder: Path, port: int) -> None:
    """Show the site until Ctrl-C. zensical sees that a page has changed, and reloads it in the browser."""
    lay_out(folder, served=True)
    with subprocess.Popen([sys.executable, "-m", "zensical", "serve", "--dev-addr", f"127.0.0.1:{port}"], cwd=folder) as server:
        try:
            seen = changed_at()
            while server.poll() is None:
                time.sleep(0.5)
                if changed_at() > seen:
                    seen = changed_at()
                    Layout(folder / "pages", pages()).write()
        except KeyboardInterrupt:
            server.wait()


def changed_at() -> float:
    """Return when a page was changed last."""
    return max((ROOT / page).stat().st_mtime for page in pages())


def main() -> None:
    """Build or show the site."""
    parser = argparse.ArgumentParser(prog="python -m docs.build_site", description="Build the site of the documentation.")
    parser.add_argument("--serve", action="store_true", help="show the site until Ctrl-C, and follow changes of the pages")
    parser.add_argument("--port", type=int, default=8000, help="port of --serve on 127.0.0.1 (default: 8000)")
    options = parser.parse_args()
    if options.serve:
        serve(BUILD, options.port)
    else:
        sys.stdout.write(f"Open {build()}\n")


if __name__ == "__main__":
    main()
