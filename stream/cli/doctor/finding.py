"""A finding: the result of one check of the doctor."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    WARNING = "warning"
    """It is missing or broken, but it is optional, or the embedded stack replaces it."""
    MISSING = "missing"
    """It is needed, and it is missing or broken."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        name: What was checked, for example a package or a service.
        status: How serious it is.
        found: What is there.
        wanted: What should be there; empty if that is clear.
        fix: How to fix it; empty if there is nothing to fix.
    """

    name: str
    status: Status
    found: str
    wanted: str = ""
    fix: str = ""
