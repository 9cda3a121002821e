"""Lets in whoever a request names in a header, in the place of tokens."""

from __future__ import annotations

from collections.abc import Mapping

from stream.config.gateway_settings import GatewaySettings
from stream.domain.permission import ROLES, Permission
from stream.gateway.access import Access
from stream.gateway.principal import Principal

HEADER = "x-test-principal"


def as_somebody(role: str, name: str = "ann", tenants: str = "*") -> dict[str, str]:
    """Headers of a request by somebody."""
    return {HEADER: f"{role} {name} {tenants}"}


class HeaderAccess(Access):
    """Reads ``ROLE NAME TENANT,TENANT`` from the header; a role may also be permissions, joined by ``+``."""

    def __init__(self) -> None:
        super().__init__(GatewaySettings())

    async def identify(self, headers: Mapping[str, str], cookies: Mapping[str, str], address: str) -> Principal | None:
        """Who the header names; None without it."""
        parts = headers.get(HEADER, "").split(" ")
        if len(parts) != 3:
            return None
        role, name, tenants = parts
        permissions = ROLES.get(role) or frozenset(Permission(one) for one in role.split("+"))
        return Principal(name, None if tenants == "*" else frozenset(tenants.split(",")), permissions, roles=(role,))
