"""Runs the gateway: the web server and the hub, in one process and one event loop."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from wsgiref.simple_server import WSGIServer

import uvicorn

from stream.config.settings import Settings
from stream.gateway.access import Access
from stream.gateway.app import BACKGROUND, create_app
from stream.gateway.context import Gateway
from stream.gateway.desk import Desk
from stream.gateway.hub import Hub
from stream.sinks.connection import RedisConnection
from stream.sinks.result_pages import ResultPages

STOP_S = 3
"""Time for requests that are under way when the gateway stops."""
STALLED_MS = 30_000
"""A connection that has not taken its bytes for this long is closed by the kernel."""


class GatewayPortError(Exception):
    """The gateway cannot listen; the message is one sentence that says what to do."""


class _Server(uvicorn.Server):
    """Says when it answers, and ends the streams before it waits for requests: they would never end by themselves."""

    def __init__(self, config: uvicorn.Config, hub: Hub, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._hub = hub
        self._on_started = on_started

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the command: uvicorn would raise them again at its end."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._hub.ending.set()
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises `GatewayPortError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit it. A closed connection would else wait for a stalled viewer for ever.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALLED_MS)
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise GatewayPortError(f"port {port} of {host} is taken; choose another with --port or gateway.port") from None
        raise GatewayPortError(
            f"the gateway cannot listen on {host}, port {port}: {error.strerror or error}; correct gateway.host"
        ) from None
    return listener


def address_of(listener: socket.socket) -> str:
    """The address of the page."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


async def run_gateway(
    settings: Settings, listener: socket.socket, stop: asyncio.Event, on_started: Callable[[], None] = lambda: None
) -> None:
    """Serve until told to stop, or until the hub fails.

    Args:
        settings: The effective settings.
        listener: Where to listen.
        stop: Set it to stop.
        on_started: Called once requests are answered.
    """
    redis = RedisConnection(settings.redis, logs=False)
    hub = Hub(settings, redis)
    gateway = Gateway(settings, redis, hub, ResultPages(redis), Access(settings.gateway), Desk(settings, redis))
    config = uvicorn.Config(
        create_app(gateway),
        # Its bounds of headers are known, and it is there wherever uvicorn is.
        http="h11",
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=STOP_S,
        proxy_headers=False,
    )
    # Its lines have addresses of pages, and so the names of sessions.
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("uvicorn.error").addFilter(lambda record: not record.getMessage().startswith("ASGI callable returned without"))
    server = _Server(config, hub, on_started)
    metrics = _serve_metrics(settings, hub)
    following, stopping = asyncio.create_task(_run_beside(gateway)), asyncio.create_task(stop.wait())
    for ends in (following, stopping):
        ends.add_done_callback(lambda _: setattr(server, "should_exit", True))
    try:
        await server.serve(sockets=[listener])
        if following.done():
            following.result()
    finally:
        for task in (following, stopping):
            task.cancel()
        await asyncio.gather(following, stopping, return_exceptions=True)
        await redis.close()
        if metrics is not None:
            metrics.shutdown()
            metrics.server_close()


def _serve_metrics(settings: Settings, hub: Hub) -> WSGIServer | None:
    host, port = settings.health.host, settings.gateway.metrics_port
    if port == 0:
        return None
    try:
        return hub.metrics.serve(host, port)[0]
    except OSError as error:
        raise GatewayPortError(
            f"the metrics cannot listen on {host}:{port} ({error.strerror or error}): correct health.host or gateway.metrics_port, "
            "or set gateway.metrics_port to 0"
        ) from None


async def _run_beside(gateway: Gateway) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(gateway.hub.run())
        for run in BACKGROUND:
            tasks.create_task(_run(run, gateway))


async def _run(program: Callable[[Gateway], Awaitable[None]], gateway: Gateway) -> None:
    await program(gateway)
