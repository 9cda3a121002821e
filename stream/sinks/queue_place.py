"""Where in the order of cases a page of the moderation queue begins: by severity, then age; decided ones by their time."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from stream.domain.alert import Severity

LONGEST_CURSOR = 1_000

RANK_MS = 2**43
RANKS = {severity: rank for rank, severity in enumerate(reversed(Severity))}
"""Severities by urgency: 0 comes first."""


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """Where in the order of cases a page begins, and the last place that it may hold."""

    first: str = "-inf"
    after: str = ""
    last: str = "+inf"

    @classmethod
    def parse(cls, cursor: str) -> QueuePlace:
        """The place of a cursor; the beginning for an empty one. Raises ``ValueError`` for one that no page has returned."""
        if not cursor:
            return cls()
        try:
            if len(cursor) > LONGEST_CURSOR:
                raise ValueError
            first, tilde, after = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").partition("~")
            if not tilde:
                raise ValueError
            return cls(str(int(first)), after)
        except ValueError:
            raise ValueError("the cursor is none that a page has returned: begin without one") from None

    def within(self, severity: Severity) -> QueuePlace:
        """The part of it that has cases of one severity."""
        first = RANKS[severity] * RANK_MS
        return QueuePlace(str(first if self.first == "-inf" else max(first, int(self.first))), self.after, str(first + RANK_MS - 1))

    @property
    def cursor(self) -> str:
        """What a page returns, to begin the next one here."""
        return base64.urlsafe_b64encode(f"{self.first}~{self.after}".encode("ascii")).decode("ascii").rstrip("=")
