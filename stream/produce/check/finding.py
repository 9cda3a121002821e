"""Findings about a session's records: what was found, how often, where for the first time, and what to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Severity(StrEnum):
    """How serious a finding is."""

    ERROR = "error"
    """Records are refused or late, or the results are wrong."""
    WARNING = "warning"
    """Results may be late or worse, or something will go wrong one day."""
    OK = "ok"
    """This was checked, and it is as it should be."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a record is in Kafka."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}, partition {self.partition}, offset {self.offset}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about some records. It quotes nothing of their content: neither words nor the values of headers.

    Attributes:
        code: A short name that stays the same between releases.
        severity: How serious it is.
        text: What was found, in one sentence.
        fix: What to do; empty if there is nothing to do.
        count: How often it was found; 0 where counting makes no sense.
        example: The first record with it, or None if no single record shows it.
    """

    code: str
    severity: Severity
    text: str
    fix: str = ""
    count: int = 0
    example: Position | None = None


class Findings:
    """Collects findings. The same finding about several records is one finding, with their number and the first of them."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Finding] = {}

    def add(self, code: str, severity: Severity, text: str, fix: str = "", *, count: int = 1, example: Position | None = None) -> None:
        """Add a finding, or count it again."""
        known = self._found.get((code, text))
        if known is None:
            self._found[code, text] = Finding(code, severity, text, fix, count, example)
        else:
            self._found[code, text] = replace(known, count=known.count + count)

    def error(self, code: str, text: str, fix: str, *, count: int = 1, example: Position | None = None) -> None:
        """Add an error."""
        self.add(code, Severity.ERROR, text, fix, count=count, example=example)

    def warn(self, code: str, text: str, fix: str, *, count: int = 1, example: Position | None = None) -> None:
        """Add a warning."""
        self.add(code, Severity.WARNING, text, fix, count=count, example=example)

    def good(self, code: str, text: str) -> None:
        """Say that something is as it should be."""
        self.add(code, Severity.OK, text, count=0)

    def has(self, *codes: str) -> bool:
        """Whether one of these codes was found as an error or a warning."""
        return any(finding.code in codes and finding.severity is not Severity.OK for finding in self._found.values())

    def by_severity(self) -> tuple[Finding, ...]:
        """All findings: errors first, then warnings, then what is fine; each in the order in which they were found."""
        order = list(Severity)
        return tuple(sorted(self._found.values(), key=lambda finding: order.index(finding.severity)))
