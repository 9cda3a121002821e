"""How much of what was said the published explanations show."""

from __future__ import annotations

from enum import StrEnum


class Disclosure(StrEnum):
    """What explanations show of words."""

    FULL = "full"
    """The words as they were said, free of markup."""
    REDACTED = "redacted"
    """The words without personal data, see `stream.explain.redaction`."""
    NONE = "none"
    """No words: their times and effects alone."""
