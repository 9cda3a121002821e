"""The directory in which a run of the embedded stack keeps its logs and data."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def run_directory(name: str) -> Iterator[Path]:
    """Make a new private directory: in ``$SENTISTREAM_CACHE`` if that is set, else in the system's temporary directory.

    It is removed in the end, also after Ctrl-C. After an error it stays, because the message names a log in it.
    """
    parent = os.environ.get("SENTISTREAM_CACHE") or None
    if parent:
        Path(parent).mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix=f"sentistream-{name}-", dir=parent))
    try:
        yield directory
    except Exception:
        raise
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    shutil.rmtree(directory, ignore_errors=True)
