"""Why a modality is not used in a window, although it may have been sent."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a modality is withheld. Where several reasons apply, the first of them is given."""

    POLICY = "policy"
    """The settings (`policy.roles`) do not let it be used of this role."""
    CONSENT = "consent"
    """The person has not consented, or no longer does."""
    LANGUAGE = "language"
    """The words are in another language than those of the model (`policy.languages`)."""
    OVERLOAD = "overload"
    """It was sent, and not decoded, because the worker had fallen behind (`overload.shed`)."""
