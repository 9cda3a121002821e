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
        if gateway.hub.stale.since_ms is not None:
            # Anybody may ask: the log says which Redis it is, and what is wrong with it.
            raise unavailable("Redis cannot be used now; see the log of the gateway")
        if not gateway.hub.loaded:
            raise unavailable("results are still being read from Redis")
        return Response("ready", media_type="text/plain")
