"""Errors as problem details (RFC 9457): one sentence that says what to do, and never what somebody else has sent."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import (
    HTTPException,
    NotAuthorizedException,
    NotFoundException,
    ServiceUnavailableException,
    ValidationException,
)

from stream.gateway.views import Problem
from stream.sinks.problems import RedisUnusableError

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2
_NO_ROUTE = "there is no such address; / is the board, and /api/v1/openapi.json lists the API"

_TITLES = {
    400: ("bad_request", "The request is not right"),
    401: ("not_logged_in", "Who asks is not known"),
    403: ("not_allowed", "This is not allowed"),
    404: ("not_found", "There is no such thing"),
    405: ("method_not_allowed", "This cannot be done here"),
    409: ("conflict", "Something else came first"),
    413: ("too_large", "Too much was sent"),
    415: ("unsupported_media_type", "This kind of content is not taken here"),
    429: ("too_many_requests", "Too many requests"),
    503: ("unavailable", "The service cannot answer now"),
}
_BASE = "https://sentistream.io/problems/"


def not_found(what: str) -> NotFoundException:
    """The answer where something does not exist, or belongs to a tenant that the asker does not see: they look the same."""
    return NotFoundException(f"there is no such {what}")


def not_logged_in(detail: str) -> NotAuthorizedException:
    """The answer to somebody unknown."""
    return NotAuthorizedException(detail, headers={"WWW-Authenticate": 'Bearer realm="sentistream"'})


def unavailable(detail: str) -> ServiceUnavailableException:
    """The answer while something is away."""
    return ServiceUnavailableException(detail, headers={"Retry-After": str(RETRY_AFTER_S)})


def problem_response(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response[Problem]:
    """A problem as a response."""
    kind, title = _TITLES.get(status, ("error", "The request failed"))
    problem = Problem(type=f"{_BASE}{kind}", title=title, status=status, detail=detail)
    return Response(problem, status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def on_http_error(_request: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    """The answer to an HTTP error."""
    detail = error.detail
    if isinstance(error, ValidationException):
        detail = "; ".join(_told(part) for part in error.extra) if isinstance(error.extra, list) else "the request cannot be read"
    elif error.status_code >= 500 and not isinstance(error, ServiceUnavailableException):
        detail = ""
    elif error.status_code == HTTPStatus.NOT_FOUND and detail == HTTPStatus.NOT_FOUND.phrase:
        detail = _NO_ROUTE
    return problem_response(error.status_code, detail, error.headers)


def _told(part: Any) -> str:
    key, message = part.get("key"), part.get("message", "is not right")
    return f"{key}: {message}" if key else str(message)


def _on_redis(_request: Request[Any, Any, Any], error: RedisUnusableError) -> Response[Problem]:
    return problem_response(503, str(error), {"Retry-After": str(RETRY_AFTER_S)})


def _on_deep_nesting(_request: Request[Any, Any, Any], _error: RecursionError) -> Response[Problem]:
    return problem_response(400, "what was sent is nested too deeply")


def _on_bug(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    # The path has names of sessions: it stays out of the log.
    log.error("request_failed", method=request.method, error=type(error).__name__, exc_info=error)
    return problem_response(500, "an unexpected error; the log of the gateway says where")


HANDLERS: dict[int | type[Exception], Any] = {
    RedisUnusableError: _on_redis,
    HTTPException: on_http_error,
    RecursionError: _on_deep_nesting,
    Exception: _on_bug,
}
"""By class of the error, who answers it."""
