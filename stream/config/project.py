"""Where the code lies. Apart from the settings, because a command's defaults need it and validation is slow to import."""

from __future__ import annotations

from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parent.parent.parent
"""Root of the checkout, or the folder of the installed packages."""
