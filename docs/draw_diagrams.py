"""Draws the Mermaid diagrams of the pages, so that the site shows them without JavaScript and without the internet.

``python -m docs.draw_diagrams [FOLDER]`` writes their pictures and removes those of diagrams that are gone. It needs Chromium, and npm for
Mermaid itself, or FOLDER with the tarball of the registry.
"""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from docs.diagrams import FOLDER, SCHEMES, diagrams, pictures
from docs.page_libraries import Library, tarball_of
from tests.support.chromium import chromium_arguments, chromium_path

THEMES = dict(zip(SCHEMES, ("neutral", "dark"), strict=True))
MERMAID = Library(
    "mermaid",
    "12.3.0",
    "e35d774dd5de2c0b0caee27bf4ea452f93bcf8b4c55e142a676eb4ac5ded8149a2340b519b852e99ed3823eeb93d137ac99ebd2787fcad56165bccd193ae5463",
    {},
)
SCRIPT = "dist/mermaid.min.js"
DRAW = """async ([text, theme]) => {
  mermaid.initialize({ startOnLoad: false, theme, fontFamily: 'sans-serif', deterministicIds: true });
  document.body.innerHTML = (await mermaid.render('diagram', text)).svg;
  return new XMLSerializer().serializeToString(document.querySelector('svg'));
}"""


def main(folder: Path | None) -> None:
    """Draw all diagrams."""
    with tarfile.open(fileobj=io.BytesIO(tarball_of(MERMAID, folder)), mode="r:gz") as archive:
        member = archive.extractfile(f"package/{SCRIPT}")
        if member is None:
            raise SystemExit(f"{MERMAID.tarball} has no file {SCRIPT}.")
        script = member.read().decode()
    FOLDER.mkdir(exist_ok=True)
    for file in FOLDER.iterdir():
        file.unlink()
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=chromium_path(), args=chromium_arguments()) as browser:
        page = browser.new_page()
        page.add_script_tag(content=script)
        for text in diagrams():
            for path, theme in zip(pictures(text), THEMES.values(), strict=True):
                path.write_text(page.evaluate(DRAW, [text, theme]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
