"""The machine and the versions that a benchmark ran with. Every benchmark reports them in the same form."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path


def machine() -> dict[str, str | int | None]:
    """Processor, number of cores and operating system."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())
    return {"cpu": model, "cores": os.cpu_count(), "system": platform.platform(terse=True)}


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python, sentistream and the given packages."""
    return {"python": platform.python_version(), **{package: version(package) for package in ("sentistream", *packages)}}
