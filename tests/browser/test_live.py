"""The page on a whole embedded stack: real broker, worker, Triton, Redis and gateway, and the packaged sample."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from stream.config.settings import Settings
from stream.domain.identity import SessionKey
from stream.domain.result import ScoreRecord, SessionRecord
from stream.kafka_admin.topics import ensure_topics
from stream.local.ports import LOOPBACK
from stream.local.stack import Stack
from stream.local.worker import Workers
from stream.produce.prepare import MediaRequest, prepare
from stream.produce.producer import SendProgress, produce_session
from stream.produce.sample import FACES
from stream.sinks.reader import ResultReader
from stream.sinks.redis_sink import RedisSink
from tests.support.fault_proxy import FaultProxy
from tests.support.gateways import running_gateway

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

PATIENCE_MS = 60_000
CUT_MS = 8000
"""Media that is sent before the connection of the page is cut."""


@dataclass(frozen=True)
class Service:
    """A gateway beside a running worker."""

    port: int
    settings: Settings


@pytest_asyncio.fixture(loop_scope="session")
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    directory = tmp_path / "run"
    async with Stack(Settings(), directory) as stack:
        await asyncio.to_thread(ensure_topics, stack.settings.kafka)
        async with Workers(stack.settings, directory), running_gateway(stack.settings) as url:
            yield Service(int(url.rpartition(":")[2]), stack.settings)


async def all_finals(settings: Settings, session: SessionKey) -> list[ScoreRecord]:
    """The final windows of a session, once it has ended."""
    async with asyncio.timeout(60), ResultReader(settings.redis, [session]) as reader:
        async for received in reader:
            if isinstance(received.record, SessionRecord):
                break
    sink = RedisSink(settings.redis)
    finals = await sink.finals(session)
    await sink.close()
    return finals


async def windows_on(page: Page, url: str) -> list[str]:
    """Ids of the session's windows as the API gives them to the page."""
    body = await page.evaluate("async (url) => await (await fetch(url)).text()", url)
    return sorted(item["score"]["window_id"] for item in json.loads(body)["items"])


async def test_a_clip_is_watched_from_its_first_window_to_its_evidence(page: Page, service: Service) -> None:
    prepared = await asyncio.to_thread(prepare, MediaRequest(FACES, FACES.with_suffix(".vtt"), session="clip", track="guest", role="guest"))
    half, go_on = threading.Event(), threading.Event()

    def wait_at_half(progress: SendProgress) -> None:
        if progress.media_ms >= CUT_MS:
            half.set()
            go_on.wait()

    page.set_default_timeout(PATIENCE_MS)
    async with FaultProxy(service.port) as proxy:
        origin = f"http://{LOOPBACK}:{proxy.port}"
        await page.goto(origin)
        await expect(page.get_by_text("Nothing streams yet")).to_be_visible()
        sending = asyncio.ensure_future(
            asyncio.to_thread(produce_session, service.settings.kafka, prepared, speed=None, on_progress=wait_at_half)
        )
        try:
            row = page.locator(".board-row", has_text="clip")
            await expect(row.locator(".score")).to_be_visible(timeout=PATIENCE_MS)
            await row.locator(".row-link").click()
            await expect(page.locator(".summary")).to_contain_text("The guest", timeout=PATIENCE_MS)
            await expect(page.locator(".track-head")).to_contain_text(re.compile("[2-9] windows"), timeout=PATIENCE_MS)
            await page.keyboard.press("ArrowLeft")
            await expect(page.locator(".summary")).to_contain_text("Pinned")
            pinned = page.url
            await expect(page.get_by_role("list", name="What moved the score, in score points")).to_contain_text("face")
            await proxy.cut()
            await expect(page.locator(".fresh")).to_contain_text("away")
        finally:
            go_on.set()
        await sending
        finals = await all_finals(service.settings, prepared.plan.key)
        await proxy.restore()
        await expect(page.locator(".track-head")).to_contain_text(f"{len(finals)} windows", timeout=PATIENCE_MS)
        assert page.url == pinned
        await expect(page.get_by_text("The session has ended")).to_be_visible()
        ids = await windows_on(page, f"{origin}/api/v1/sessions/default/clip/windows?limit=500")
        assert ids == sorted(final.window_id for final in finals)
        await page.get_by_role("link", name="All evidence").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("guest, 0:0")
        await page.get_by_role("link", name="Expert").click()
        await expect(page.get_by_text(finals[0].model.digest)).to_be_visible()
