"""Live results as server-sent events."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, get
from litestar.exceptions import ClientException, TooManyRequestsException
from litestar.params import Parameter

from stream.domain.permission import Permission
from stream.gateway.context import Gateway
from stream.gateway.disclosure import Disclosed
from stream.gateway.guard import require, visible_session
from stream.gateway.principal import Principal
from stream.gateway.problems import unavailable
from stream.gateway.sse import EventStream
from stream.gateway.streams import SessionStream, all_sessions, with_signs_of_life
from stream.gateway.ticks import Audience

Position = Annotated[str | None, Parameter(header="Last-Event-ID", max_length=4096, description="The `id` of the last event received.")]


class StreamController(Controller):
    """``/api/v1/stream``."""

    path = "/api/v1"
    guards = (require(Permission.SCORES),)
    tags = ("stream",)

    @get("/stream", summary="Live results (server-sent events)", media_type="text/event-stream")
    async def stream(
        self,
        *,
        gateway: Gateway,
        principal: Principal,
        last_event_id: Position = None,
        session: Annotated[str | None, Parameter(description="TENANT/SESSION; default: all sessions.", max_length=129)] = None,
        after: Annotated[
            str | None, Parameter(description="As Last-Event-ID, for a first request; `start`: all that is kept.", max_length=4096)
        ] = None,
        records: Annotated[bool, Parameter(description="Whether batches of all sessions have the records of final windows.")] = False,
    ) -> EventStream:
        """Events `hello`, `batch`, `gap` and `stale`, see docs/gateway.md."""
        hub, disclosed = gateway.hub, Disclosed.to(principal)
        if gateway.streams.has_all_theirs(principal.account):
            raise TooManyRequestsException("this token or user has as many open streams as `gateway.streams_each` allows: close one")
        if gateway.streams.is_full(principal.account):
            raise unavailable("there are as many open streams as `gateway.streams` allows")
        position = last_event_id or after
        if session is None:
            events = all_sessions(hub, Audience(principal.tenants, disclosed, records), position)
        else:
            tenant, slash, name = session.partition("/")
            if not slash:
                raise ClientException("session: write TENANT/SESSION")
            key = visible_session(principal, tenant, name)
            events = SessionStream(hub, gateway.pages, gateway.settings.redis, key, disclosed).events(position)
        hub.metrics.streams_opened.inc()
        living = with_signs_of_life(hub, events, gateway.access.still_allowed(principal))
        return EventStream(living, gateway.streams.under_way(principal.account), hub.metrics.streams_dropped.inc)
