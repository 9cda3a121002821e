"""Says why a path names nothing that can be read as a file, before it is opened: opening a pipe waits, and a device may never end."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def file_problem(path: Path) -> str | None:
    """What is wrong with a user's path, as the end of a sentence; None for a file that can be read."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "there is no such file"
    except OSError as error:
        return error.strerror or "it cannot be read"
    if stat.S_ISDIR(mode):
        return "this is a folder; name a file"
    if not stat.S_ISREG(mode):
        return "this is a pipe or a device; save its content in a file first"
    if not os.access(path, os.R_OK):
        return "the rights of this file do not allow you to read it"
    return None
