"""Writes the libraries of the live page into ``stream/gateway/pages/vendor``, from the tarballs of the npm registry.

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
MODULES = {"preact": "./preact.js", "htm": "./htm.js"}


def main(folder: Path | None) -> None:
    """Write all files. Raises ``SystemExit`` if a tarball is not the pinned one."""
    TARGET.mkdir(exist_ok=True)
    for library in LIBRARIES:
        with tarfile.open(fileobj=io.BytesIO(_tarball(library, folder)), mode="r:gz") as archive:
            for source, target in library.files.items():
                member = archive.extractfile(f"package/{source}")
                if member is None:
                    raise SystemExit(f"{library.tarball} has no file {source}.")
                (TARGET / target).write_text(_as_module(target, member.read().decode()), encoding="utf-8")


def _tarball(library: Library, folder: Path | None) -> bytes:
    if folder is None:
        with tempfile.TemporaryDirectory() as fetched:
            package = f"{library.name}@{library.version}"
            subprocess.run(["npm", "pack", "--silent", "--pack-destination", fetched, package], check=True, stdout=subprocess.DEVNULL)
            return _tarball(library, Path(fetched))
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
