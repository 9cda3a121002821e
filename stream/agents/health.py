"""The worker's HTTP endpoints: ``/live`` and ``/ready`` answer 200 or 503 with the reasons as JSON, ``/timings`` how long each step takes.

A worker that is not live has to be restarted. A worker that is not ready waits for something, for example for Redis: a restart would not
help, and would only move its partitions to workers that wait as well. So an outage never makes a worker not live.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Self

from aiohttp import web

from stream.agents.worker_state import WorkerState
from stream.config.settings import HealthSettings

Check = Callable[[], Awaitable[object]]
"""Raises an error if its service cannot be used now."""

CHECK_TIMEOUT_S = 2.0
"""A service that takes longer counts as away. A probe by Kubernetes or a load balancer gives up after a few seconds, and would then see no
reason at all."""

REUSED_FOR_S = 1.0
"""The result of a check is used again for this long, so that frequent probes do not load the services."""


class HealthPortError(Exception):
    """The endpoints cannot listen on the configured address; the message is one sentence that says what to do."""


class HealthServer:
    """Async context manager. Inside it the endpoints answer, unless ``health.port`` is 0.

    They run in the worker's event loop, so that any answer shows that the loop turns.

    Args:
        settings: Address to listen on.
        state: The worker's state.
        checks: By name of a service that the worker needs, its check.
    """

    def __init__(self, settings: HealthSettings, state: WorkerState, checks: Mapping[str, Check]) -> None:
        self._settings = settings
        self._state = state
        self._checks = checks
        self._checking = asyncio.Lock()
        self._checked_s = float("-inf")
        self._services: dict[str, str] = {}
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
        app.add_routes([web.get("/live", self._live), web.get("/ready", self._ready), web.get("/timings", self._timings)])
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
        await self._check_services()
        return self._answer("ready", self._state.why_not_ready(time.monotonic()) | self._services)

    async def _timings(self, _request: web.Request) -> web.Response:
        return web.json_response(self._state.timings.summary())

    def _answer(self, name: str, reasons: Mapping[str, str]) -> web.Response:
        body = {name: not reasons, "partitions": self._state.partitions, "reasons": dict(reasons)}
        return web.json_response(body, status=503 if reasons else 200)

    async def _check_services(self) -> None:
        """Check all services concurrently, unless they have just been checked. One request at a time checks; the others use its result."""
        async with self._checking:
            if time.monotonic() - self._checked_s < REUSED_FOR_S:
                return
            problems = await asyncio.gather(*(_problem(check) for check in self._checks.values()))
            self._services = {name: problem for name, problem in zip(self._checks, problems, strict=True) if problem}
            self._checked_s = time.monotonic()


async def _problem(check: Check) -> str:
    """The reason why a service cannot be used; empty if it can.

    Of an error only the name of its class is shown: its text may contain an address with a password. The text that names the models which
    are not ready contains none.
    """
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await check()
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_S:g} s"
    except Exception as error:
        return type(error).__name__ + (f": {error}" if str(error).startswith("not ready") else "")
    return ""
