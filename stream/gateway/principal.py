"""Who asks, and what they may see and do."""

from __future__ import annotations

from dataclasses import dataclass

from stream.domain.permission import Permission


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who has shown who they are.

    Attributes:
        name: Name of the token or of the user; for the audit trail, not for display to others.
        tenants: Tenants that they see; None for all.
        permissions: What they may do.
        expires_at_ms: End of what they have shown (Unix ms); None if it does not end.
        by_cookie: Whether they have shown it by a cookie, which a browser sends by itself.
        open: Whether they are anybody, because the gateway lets everybody in.
        entry: Fingerprint of their token's entry in the access file; None without one.
        roles: Names of their roles.
    """

    name: str
    tenants: frozenset[str] | None
    permissions: frozenset[Permission]
    expires_at_ms: int | None = None
    by_cookie: bool = False
    open: bool = False
    entry: str | None = None
    roles: tuple[str, ...] = ()

    @property
    def account(self) -> str:
        """Whose requests and decisions count together. A token and a user of the issuer may have the same name."""
        return self.name if self.entry is not None or self.open else f"issuer:{self.name}"

    def may(self, permission: Permission) -> bool:
        """Whether they have a permission."""
        return permission in self.permissions

    def sees(self, tenant: str) -> bool:
        """Whether they see a tenant. To them, others do not exist."""
        return self.tenants is None or tenant in self.tenants


EVERYBODY = Principal("everybody", None, frozenset(Permission), open=True)
"""Whoever asks a gateway that has neither tokens nor an issuer."""
