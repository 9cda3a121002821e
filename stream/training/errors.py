"""The error of training: something is missing or wrong, and a person can put it right."""

from __future__ import annotations


class TrainingError(Exception):
    """Training cannot start or go on. The message is one sentence that says what to do."""
