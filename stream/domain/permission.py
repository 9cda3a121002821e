"""What somebody may do with results, over the page, the API and the webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Permission(StrEnum):
    """A right. A role is a set of them."""

    SCORES = "scores"
    """See sessions: scores, labels and times."""
    WORDS = "words"
    """See what was said. Without it, explanations show times and effects alone."""
    ALERTS = "alerts"
    """See alerts."""
    DECIDE = "decide"
    """Claim an alert and decide it."""
    REVIEW = "review"
    """Send verdicts on results."""
    OPERATE = "operate"
    """See the health of the service and the report on artefacts."""
    SEND = "send"
    """Send recordings."""
    ADMINISTER = "administer"
    """Everything that changes the service itself."""


ROLES: Mapping[str, frozenset[Permission]] = {
    "wallboard": frozenset({Permission.SCORES}),
    "viewer": frozenset({Permission.SCORES, Permission.ALERTS}),
    "supervisor": frozenset({Permission.SCORES, Permission.WORDS, Permission.ALERTS, Permission.DECIDE, Permission.REVIEW}),
    "moderator": frozenset({Permission.SCORES, Permission.WORDS, Permission.ALERTS, Permission.DECIDE, Permission.REVIEW}),
    "operator": frozenset({Permission.SCORES, Permission.OPERATE}),
    "admin": frozenset(Permission),
}
"""The roles that every gateway has. An access file may add others."""
