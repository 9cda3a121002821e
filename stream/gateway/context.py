"""What the routes work with."""

from __future__ import annotations

from dataclasses import dataclass, field

from stream.config.settings import Settings
from stream.gateway.access import Access
from stream.gateway.desk import Desk
from stream.gateway.hub import Hub
from stream.gateway.limits import AtOnce
from stream.sinks.connection import RedisConnection
from stream.sinks.result_pages import ResultPages

EXPORTS_EACH = 8
EXPORTS = 64
"""Exports under way at once, of one user and of all. Each holds two connections to Redis for as long as its reader takes."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts of a gateway; a handler gets it as the argument ``gateway``.

    Attributes:
        settings: The effective settings.
        redis: The connection that all requests share.
        hub: What is live.
        pages: What is stored.
        access: Who may do what.
        desk: What people work with.
        streams: How many live streams are open.
        exports: How many exports are under way.
    """

    settings: Settings
    redis: RedisConnection
    hub: Hub
    pages: ResultPages
    access: Access
    desk: Desk
    streams: AtOnce = field(init=False)
    exports: AtOnce = field(default_factory=lambda: AtOnce(EXPORTS_EACH, EXPORTS))

    def __post_init__(self) -> None:
        """Bound the streams by the settings."""
        bounds = self.settings.gateway
        object.__setattr__(self, "streams", AtOnce(bounds.streams if self.access.open else bounds.streams_each, bounds.streams))
