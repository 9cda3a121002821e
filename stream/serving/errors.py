"""What can go wrong between us and Triton."""

from __future__ import annotations


class ServingError(Exception):
    """Any failure of model serving."""


class TritonUnavailableError(ServingError):
    """No answer, or one that says "not now": the same request may well work later."""


class ModelProcessDeadError(TritonUnavailableError):
    """The process that runs the model is dead; Triton does not start another by itself."""


class ModelFailedError(ServingError):
    """The server is there, but running the model failed; it may be the request or the moment."""


class ModelRejectedError(ServingError):
    """The request, or the answer to it, is invalid: asking again would give the same."""
