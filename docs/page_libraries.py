"""Writes the libraries of the live page into ``stream/gateway/pages/vendor``, and that of the site, from tarballs of the npm registry.

``python docs/page_libraries.py [FOLDER]`` gets each tarball with ``npm pack``, or takes it from FOLDER, and refuses one whose SHA-512 is
not the one below. Imports by name become imports by path: a browser finds them without an import map, which the page's security policy
forbids.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

TARGET = Path(__file__).parents[1] / "stream" / "gateway" / "pages" / "vendor"
TARGET_OF_SITE = Path(__file__).parent / "vendor"


@dataclass(frozen=True)
class Library:
    """A package of the registry, and which of its files become which of ours."""

    name: str
    version: str
    sha512: str
    files: dict[str, str]

    @property
    def tarball(self) -> str:
        """Name of its file, in the registry and as ``npm pack`` writes it."""
        return f"{self.name.lower()}-{self.version}.tgz"


LIBRARIES = (
    Library(
        "preact",
        "11.2.0",
        "fc77c723fecdf387ba1ab581277276f34cf798b6912620dc4af8ff03ecbfe006cb9cd0ffd549461ded6c47aa18b931b021dd273fb76a0d4f4e9cbc4c3d9ef106",
        {"dist/preact.mjs": "preact.js", "hooks/dist/hooks.mjs": "preact-hooks.js", "LICENSE": "preact.LICENSE"},
    ),
    Library(
        "htm",
        "3.1.1",
        "f7cdd5ca0f0dc1413b26467a3663aaa4267eb21d5b2afda2613954933956980e490f669c2a8c5de0a5716cc9b15fff399ad7dd9c399316834a720e43180bf135",
        {"dist/htm.mjs": "htm.js", "preact/index.mjs": "htm-preact.js", "LICENSE": "htm.LICENSE"},
    ),
    Library(
        "uplot",
        "1.6.32",
        "2883159c6ebccefbb95d751b0b82d010f9e1c0ec41b8bc96d401eda66e882935c89a46cb824332fa369b8cb8122cc6ac36e186cd09bf7a9ded3a4c93c6989023",
        {"dist/uPlot.iife.min.js": "uplot.js", "dist/uPlot.min.css": "uplot.css", "LICENSE": "uplot.LICENSE"},
    ),
)
LIBRARY_OF_SITE = Library(  # without it, the search finds nothing in a site that is opened from files
    "iframe-worker",
    "1.0.4",
    "ae879a688f8b8352c935f8290a3a117bff96cc48f2f7e674f0ba04beef393023db063c26faa5f3f00839534e651dae95d42cac6721b313448e900b52500e6aed",
    {"shim/index.js": "iframe-worker.js", "LICENSE": "iframe-worker.LICENSE"},
)
MODULES = {"preact": "./preact.js", "htm": "./htm.js"}


def main(folder: Path | None) -> None:
    """Write all files. Raises ``SystemExit`` if a tarball is not the pinned one."""
    for library, target_folder in (*((library, TARGET) for library in LIBRARIES), (LIBRARY_OF_SITE, TARGET_OF_SITE)):
        target_folder.mkdir(exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(tarball_of(library, folder)), mode="r:gz") as archive:
            for source, target in library.files.items():
                member = archive.extractfile(f"package/{source}")
                if member is None:
                    raise SystemExit(f"{library.tarball} has no file {source}.")
                (target_folder / target).write_text(_as_module(target, member.read().decode()), encoding="utf-8")


def tarball_of(library: Library, folder: Path | None) -> bytes:
    """Return the tarball of a library. Raises ``SystemExit`` if it is not the pinned one."""
    if folder is None:
        with tempfile.TemporaryDirectory() as fetched:
            package = f"{library.name}@{library.version}"
            subprocess.run(["npm", "pack", "--silent", "--pack-destination", fetched, package], check=True, stdout=subprocess.DEVNULL)
            return tarball_of(library, Path(fetched))
    content = (folder / library.tarball).read_bytes()
    if hashlib.sha512(content).hexdigest() != library.sha512:
        raise SystemExit(f"{library.tarball} is not the pinned file: its SHA-512 differs.")
    return content


def _as_module(name: str, text: str) -> str:
    """The text with imports by path and without a reference to a source map, which is not packaged."""
    for module, path in MODULES.items():
        text = text.replace(f'from"{module}"', f'from"{path}"')
    lines = [line for line in text.splitlines() if not line.startswith("//# sourceMappingURL=")]
    if name == "uplot.js":
        lines.append("export default uPlot;")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
