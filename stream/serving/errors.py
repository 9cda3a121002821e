"""Errors of the Triton client."""

from __future__ import annotations


class ServingError(Exception):
    """A call to Triton failed."""


class TritonUnavailableError(ServingError):
    """Triton did not answer, or cannot answer now: the same request may succeed later."""


class ModelProcessDeadError(TritonUnavailableError):
    """The process that runs the model is dead. Triton does not start another process by itself."""


class ModelFailedError(ServingError):
    """The server is up, but the model failed. The cause may be this request, or temporary: a few repeats tell."""


class ModelRejectedError(ServingError):
    """The request or its answer is invalid: repeating the request would not help."""
