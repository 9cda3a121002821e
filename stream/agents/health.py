"""The worker's HTTP endpoints.

``/live`` and ``/ready`` answer 200 or 503 with the reasons as JSON, with the truth rates of the claims on words once some were checked, and
with ``overload`` while the worker is behind.
``/timings`` says how long each step takes (``/timings?seconds=60``: in the last minute), and ``/metrics`` has counters and gauges for
Prometheus.

A worker that is not live has to be restarted. A worker that is not ready waits for something, for example for Redis: a restart would not
help, and would only move its partitions to workers that wait as well. So an outage never makes a worker not live.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from stream.agents.worker_state import WorkerState
from stream.aio.service_monitor import OngoingProblem, ServiceMonitor
from stream.config.worker_settings import HealthSettings


class HealthPortError(Exception):
    """The endpoints cannot listen on the configured address; the message is one sentence that says what to do."""


class HealthServer:
    """Async context manager. Inside it the endpoints answer, unless ``health.port`` is 0.

    They run in the worker's event loop, so that any answer shows that the loop turns.

    Args:
        settings: Address to listen on.
        state: The worker's state.
        monitor: Checks the services that the worker needs.
    """

    def __init__(self, settings: HealthSettings, state: WorkerState, monitor: ServiceMonitor) -> None:
        self._settings = settings
        self._state = state
        self._monitor = monitor
        self._runner: web.AppRunner | None = None

    @property
    def listening(self) -> bool:
        """Whether the endpoints answer now."""
        return self._runner is not None

    async def __aenter__(self) -> Self:
        """Listen. Raises `HealthPortError`."""
        if self._settings.port == 0:
            return self
        app = web.Application()
        handlers = {"/live": self._live, "/ready": self._ready, "/timings": self._timings, "/metrics": self._metrics}
        app.add_routes([web.get(path, handler) for path, handler in handlers.items()])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._settings.host, self._settings.port).start()
        except OSError as error:
            await runner.cleanup()
            raise HealthPortError(
                f"the health endpoints cannot listen on {self._settings.host}:{self._settings.port} ({error.strerror}): "
                "correct health.host or health.port, or set health.port to 0"
            ) from None
        self._runner = runner
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _live(self, _request: web.Request) -> web.Response:
        return self._answer("live", self._state.why_not_live(time.monotonic()))

    async def _ready(self, _request: web.Request) -> web.Response:
        services = await self._monitor.check()
        return self._answer("ready", self._state.why_not_ready(time.monotonic()), services)

    async def _timings(self, request: web.Request) -> web.Response:
        try:
            newest_s = float(request.query.get("seconds", "inf"))
        except ValueError:
            raise web.HTTPBadRequest(text="seconds must be a number") from None
        return web.json_response(self._state.timings.summary(newest_s))

    async def _metrics(self, _request: web.Request) -> web.Response:
        metrics = self._state.metrics
        metrics.show_services(self._monitor.services, await self._monitor.check())
        metrics.partitions.set(self._state.partitions or 0)
        return web.Response(body=metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    def _answer(self, name: str, reasons: Mapping[str, str], services: Mapping[str, OngoingProblem] | None = None) -> web.Response:
        services = services or {}
        reasons = {**reasons, **{service: ongoing.problem.text for service, ongoing in services.items()}}
        body: dict[str, Any] = {name: not reasons, "partitions": self._state.partitions, "reasons": reasons}
        if self._state.overload:
            body["overload"] = self._state.overload
        checked = self._state.metrics.word_truth
        if checked.windows:
            body["word_claims"] = {"windows_checked": checked.windows, **checked.rates()}
        if services:
            body["services"] = {service: _described(ongoing) for service, ongoing in services.items()}
        return web.json_response(body, status=503 if reasons else 200)


def _described(ongoing: OngoingProblem) -> dict[str, Any]:
    since = datetime.fromtimestamp(ongoing.since_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"code": ongoing.problem.code, "since": since, "lasting": ongoing.problem.lasting}
