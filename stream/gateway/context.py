"""What the routes work with."""

from __future__ import annotations

from dataclasses import dataclass

from stream.config.settings import Settings
from stream.gateway.access import Access
from stream.gateway.desk import Desk
from stream.gateway.hub import Hub
from stream.sinks.connection import RedisConnection
from stream.sinks.result_pages import ResultPages


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
    """

    settings: Settings
    redis: RedisConnection
    hub: Hub
    pages: ResultPages
    access: Access
    desk: Desk
