"""The Chromium of this machine, which tests and screenshots drive through playwright."""

from __future__ import annotations

import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
WHY_NONE = (
    "no Chromium was found: install it (Debian and Ubuntu: `apt-get install chromium`), or set SENTISTREAM_CHROMIUM to the path of a "
    "Chromium or Chrome"
)


def chromium_path() -> str | None:
    """Path of a Chromium; None if there is none."""
    chosen = os.environ.get("SENTISTREAM_CHROMIUM")
    if chosen:
        return chosen
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def chromium_arguments() -> list[str]:
    """Root may not use Chromium's own sandbox."""
    return ["--no-sandbox"] if os.geteuid() == 0 else []
