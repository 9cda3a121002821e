"""Who asks."""

from __future__ import annotations

from litestar import Controller, get

from stream.gateway.context import Gateway
from stream.gateway.guard import known
from stream.gateway.principal import Principal
from stream.gateway.views import Me


class AccountController(Controller):
    """``/api/v1/me``."""

    path = "/api/v1"
    tags = ("account",)

    @get("/me", summary="Who asks, and what they may do", guards=[known()])
    async def me(self, gateway: Gateway, principal: Principal) -> Me:
        """What a page needs to know to show only what works."""
        return Me(
            name=principal.name,
            tenants=None if principal.tenants is None else tuple(sorted(principal.tenants)),
            permissions=tuple(sorted(principal.permissions)),
            open=principal.open,
            uploads=gateway.settings.gateway.uploads,
            expires_at_ms=principal.expires_at_ms,
        )
