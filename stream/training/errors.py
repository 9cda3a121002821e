"""The error of training: something is missing or wrong, and the user can fix it."""

from __future__ import annotations


class TrainingError(Exception):
    """Training cannot start or continue. The message is one sentence that tells the user what is wrong."""
