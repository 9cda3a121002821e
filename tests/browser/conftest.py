"""A Chromium, and a gateway on a real Redis, for all tests of the pages. They share one event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright
from redis.asyncio import Redis

from stream.config.settings import Settings
from stream.domain.alert import Severity
from stream.domain.delivery import WindowAlerts
from stream.domain.identity import SessionKey
from stream.local.redis_server import RedisServer
from stream.sinks.redis_sink import RedisSink
from tests.fakes.alerts import make_alert
from tests.support.chromium import WHY_NONE, chromium_arguments, chromium_path
from tests.support.gateways import gateway_settings, running_gateway
from tests.support.shown_records import STEP_MS, windows

PATIENCE_MS = 15_000
Publish = Callable[..., Awaitable[int]]


@dataclass(frozen=True)
class Site:
    """A gateway on a Redis of its own."""

    url: str
    settings: Settings
    server: RedisServer

    @property
    def port(self) -> int:
        """Where it listens on loopback."""
        return int(self.url.rpartition(":")[2])


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = chromium_path()
    if path is None:
        pytest.skip(WHY_NONE)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=chromium_arguments())
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def page_redis(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    await server.start()
    yield server
    await server.stop()


async def emptied(server: RedisServer) -> None:
    """Empty a Redis: each test begins with none of the results of others."""
    client = Redis.from_url(server.url)
    await client.flushall()
    await client.aclose()


@pytest_asyncio.fixture(loop_scope="session")
async def site(page_redis: RedisServer) -> AsyncIterator[Site]:
    """A gateway that lets everybody in, on an empty Redis."""
    await emptied(page_redis)
    settings = gateway_settings(page_redis.url)
    async with running_gateway(settings) as url:
        yield Site(url, settings, page_redis)


@pytest_asyncio.fixture(loop_scope="session")
async def publish(site: Site) -> AsyncIterator[Publish]:
    """Makes windows final, as a worker does: ``await publish("call-1", [0.5, -1.0], track="customer")``; an alert comes with the last."""
    sink = RedisSink(site.settings.redis)
    published: dict[tuple[str, str], list[float | None]] = {}

    async def publish(session: str, scores: list[float | None], track: str = "customer", *, alert: Severity | None = None) -> int:
        known = published.setdefault((session, track), [])
        first = len(known)
        known += scores
        for score, explanation in windows(SessionKey("default", session), known, track)[first:]:
            raised = None
            if alert and score.end_ms == 2 * STEP_MS + len(known) * STEP_MS:
                raised = WindowAlerts((make_alert(score.end_ms, session=session, track=track, severity=alert),), b"{}")
            await sink.finalise(score, explanation, 1, None, raised)
        return len(known)

    yield publish
    await sink.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page in a profile of its own. What its console reports as an error fails the test, save answers that a test asks for."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    faults: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            faults.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    await context.close()
    assert faults == []
