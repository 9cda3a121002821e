"""What a gateway counts, for Prometheus. Labels are few and known beforehand: never an id, a name or a text."""

from __future__ import annotations

import threading
from functools import partial
from importlib import metadata
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest, start_http_server

SECONDS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
TICK_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class GatewayMetrics:
    """The metrics of one gateway, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        gauge = partial(Gauge, namespace="sentistream", subsystem="gateway", registry=self._registry)
        counter = partial(Counter, namespace="sentistream", subsystem="gateway", registry=self._registry)
        histogram = partial(Histogram, namespace="sentistream", subsystem="gateway", registry=self._registry)
        gauge("build_info", "The release, always 1.", ["version"]).labels(metadata.version("sentistream")).set(1)
        self.streams = gauge("streams", "Open streams (SSE), of all sessions or of one.", ["of"])
        self.sessions = gauge("sessions", "Sessions that are listed.")
        self.redis_up = gauge("redis_up", "Whether Redis answers: 1 or 0.")
        self.streams_opened = counter("streams_opened", "Streams that were opened.")
        self.streams_dropped = counter("streams_dropped", "Streams that were cut off because their viewer did not read.")
        self.gaps = counter("gaps", "Times that a viewer has lost events and was told to read again, by reason.", ["reason"])
        self.records = counter("records", "Records that were read from Redis.")
        self.result_age = histogram("result_age_seconds", "Age of the media of a final window when it is handed out.", buckets=SECONDS)
        self.batch = histogram("batch_seconds", "Time to make and encode the batches of one tick.", buckets=TICK_SECONDS)
        self.requests = counter("requests", "Requests to the API, by status.", ["status"])

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def serve(self, host: str, port: int) -> tuple[WSGIServer, threading.Thread]:
        """Serve ``/metrics`` from a thread of its own, until the server is shut down. Raises ``OSError`` if the port is taken."""
        return start_http_server(port, host, self._registry)
