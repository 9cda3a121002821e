"""The files of the page: read from the package, with an ETag, so that a browser asks again and rarely gets them again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

PAGES = Path(__file__).parent / "pages"
MEDIA_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
    ".txt": "text/plain",
}
"""Files with other endings are not served. The framework appends the character set, UTF-8, to texts."""


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file and its tag."""

    content: bytes
    media_type: str
    etag: str


class PageFiles:
    """Finds files. One that has changed on disk is read again.

    Args:
        root: Their folder.
    """

    def __init__(self, root: Path = PAGES) -> None:
        self._root = root.resolve()
        self._read: dict[Path, tuple[int, PageFile]] = {}

    def find(self, name: str) -> PageFile | None:
        """A file by its path below the folder; None if there is none."""
        parts = PurePosixPath(name).parts
        if not parts or "\x00" in name or any(part in ("..", "/") or part.startswith(".") for part in parts):
            return None
        path = self._root.joinpath(*parts)
        media_type = MEDIA_TYPES.get(path.suffix)
        try:
            # A link must not lead out of the folder.
            if media_type is None or not path.resolve().is_relative_to(self._root):
                return None
            changed = path.stat().st_mtime_ns
            known = self._read.get(path)
            if known is not None and known[0] == changed:
                return known[1]
            content = path.read_bytes()
        except OSError:
            return None
        found = PageFile(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:20]}"')
        self._read[path] = changed, found
        return found
