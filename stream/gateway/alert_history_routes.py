"""The alerts of one session, as they were raised and cleared."""

from __future__ import annotations

from litestar import Controller, get

from stream.domain.alert import AlertRecord
from stream.domain.permission import Permission
from stream.explain.text_view import alert_without_text
from stream.gateway.context import Gateway
from stream.gateway.guard import require, visible_session
from stream.gateway.principal import Principal
from stream.gateway.problems import not_found
from stream.gateway.views import Page


class AlertHistoryController(Controller):
    """``/api/v1/sessions/…/alerts``."""

    path = "/api/v1"
    guards = (require(Permission.ALERTS),)
    tags = ("sessions",)

    @get("/sessions/{tenant:str}/{session:str}/alerts", summary="The alerts of a session, the newest first")
    async def alerts(self, *, gateway: Gateway, principal: Principal, tenant: str, session: str) -> Page[AlertRecord]:
        """Its newest 500 alerts. Without the permission `words` they quote nobody."""
        key = visible_session(principal, tenant, session)
        if await gateway.pages.active_at_ms(key) is None:
            raise not_found("session")
        found = await gateway.pages.alerts(key)
        return Page(items=tuple(found if principal.may(Permission.WORDS) else map(alert_without_text, found)))
