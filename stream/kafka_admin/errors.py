"""Errors on the way to the broker."""

from __future__ import annotations


class BrokerError(Exception):
    """The broker cannot be used. The message is one sentence that says what to do."""


class WrongBrokerError(BrokerError):
    """The broker cannot be used with these settings: waiting does not help."""
