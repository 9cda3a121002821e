"""Finds out who asks. Without tokens and without an issuer, everybody on this machine may do everything."""

from __future__ import annotations

from collections.abc import Mapping

from stream.config.settings import GatewaySettings
from stream.gateway.principal import EVERYBODY, Principal

COOKIE = "sentistream_session"


class Access:
    """Identifies principals.

    Args:
        settings: Who is let in.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings

    @property
    def open(self) -> bool:
        """Whether everybody is let in."""
        return self._settings.access is None and self._settings.oidc_issuer is None

    async def identify(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> Principal | None:
        """Who sends a request; None if they do not show it."""
        return EVERYBODY if self.open else None
