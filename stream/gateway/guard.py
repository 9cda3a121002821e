"""The one guard: it stands before every route that shows or changes something."""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.exceptions import PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from stream.domain.identity import SessionKey
from stream.domain.permission import Permission
from stream.gateway.principal import Principal
from stream.gateway.problems import not_found, not_logged_in


class Requirement:
    """A guard that lets a request pass if who asks has a permission.

    Args:
        permission: The permission; None for everybody who is known.
    """

    def __init__(self, permission: Permission | None) -> None:
        self.permission = permission

    def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        """Raise 401 or 403 if it does not pass."""
        principal = connection.scope.get("user")
        if not isinstance(principal, Principal):
            raise not_logged_in("send a token as `Authorization: Bearer TOKEN`, or log in")
        if self.permission is not None and not principal.may(self.permission):
            raise PermissionDeniedException(f"the permission `{self.permission}` is needed")


def require(permission: Permission) -> Guard:
    """The guard of a route that needs a permission."""
    return Requirement(permission)


def known() -> Guard:
    """The guard of a route for everybody who is known."""
    return Requirement(None)


def current_principal(request: Request[Any, Any, Any]) -> Principal:
    """Who asks; only behind a guard. A handler gets it as the argument ``principal``."""
    principal = request.scope["user"]
    if not isinstance(principal, Principal):
        raise not_logged_in("log in")
    return principal


def visible_session(principal: Principal, tenant: str, session: str) -> SessionKey:
    """The session of a path, for somebody who sees its tenant. Raises 404, as for a session that does not exist."""
    try:
        key = SessionKey(tenant, session)
    except ValueError:
        raise not_found("session") from None
    if not principal.sees(tenant):
        raise not_found("session")
    return key
