"""Whether the gateway lives, and whether it is ready: for whatever starts it. They say nothing about sessions."""

from __future__ import annotations

from litestar import Controller, Response, get

from stream.gateway.context import Gateway
from stream.gateway.problems import unavailable


class ProbeController(Controller):
    """``/live`` and ``/ready``."""

    path = "/"
    include_in_schema = False

    @get("/live", sync_to_thread=False)
    def live(self) -> Response[str]:
        """It answers."""
        return Response("live", media_type="text/plain")

    @get("/ready", sync_to_thread=False)
    def ready(self, gateway: Gateway) -> Response[str]:
        """It has read what is in Redis, and Redis answers now."""
        if not gateway.hub.loaded or gateway.hub.stale.since_ms is not None:
            raise unavailable(gateway.hub.stale.reason or "results are still being read from Redis")
        return Response("ready", media_type="text/plain")
