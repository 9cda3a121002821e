"""Errors of the model repository."""

from __future__ import annotations


class ModelRepositoryError(Exception):
    """The model repository on disk cannot be built or served; the message is one sentence that says what to do."""


class VersionRefusedError(ModelRepositoryError):
    """A version of a model may not be served; the message says why. The versions that are served go on."""


class WeightsError(Exception):
    """The weights of an encoder are not available; the message is one sentence that says what to do."""
