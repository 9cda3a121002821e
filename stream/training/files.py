"""Atomic replacement of files: a reader sees the old file or the new one, never a part."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Write a text file to a temporary file in the same folder, then move it to its target."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=".", delete=False) as file:
        file.write(text)
    publish(Path(file.name), path)


def publish(draft: Path, target: Path) -> None:
    """Move a finished file to its target and make it readable for all users: a temporary file is readable by its owner alone."""
    draft.chmod(0o644)
    os.replace(draft, target)
