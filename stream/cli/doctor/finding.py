"""One line of what the doctor found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """Optional, or something else stands in for it."""
    MISSING = "missing"
    """Needed, and broken."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was found and wanted, and how to mend it (empty when there is nothing to mend)."""

    what: str
    status: Status
    found: str
    wanted: str = ""
    mend: str = ""
