"""What all pages have: keyboard, colours, states, and nothing that axe finds fault with."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from stream.domain.alert import Severity
from tests.browser.conftest import Publish, Site
from tests.support.fault_proxy import FaultProxy
from tests.support.shown_records import MINUS

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGES = (
    "/",
    "/?q=nobody",
    "/wall",
    "/sessions/default/call-1",
    "/windows/default/call-1/customer/0-8000?view=expert",
)
PAGES_OF_WORK = ("/alerts", "/health", "/reveal")
"""Axe looks at these in `tests/browser/test_moderation.py`, where they have something to show."""


async def faults(page: Page) -> list[str]:
    """What axe finds, each with the first element."""
    found: Any = await Axe().run(page)
    violations = found.response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html'][:160]} {each['nodes'][0].get('failureSummary', '')}" for each in violations]


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_pages_are_accessible(browser: Browser, site: Site, publish: Publish, theme: Any) -> None:
    await publish("call-1", [0.4, -1.2, None, 0.1], alert=Severity.HIGH)
    await publish("call-1", [1.0], track="agent")
    context = await browser.new_context(color_scheme=theme, reduced_motion="reduce")
    page = await context.new_page()
    for path in PAGES:
        await page.goto(site.url + path)
        await page.locator("h1").wait_for(state="attached")
        await expect(page.locator(".loading")).to_have_count(0)
        assert await faults(page) == [], path
    await page.goto(site.url)
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert await faults(page) == [], "help"
    await context.close()


async def test_the_keyboard_reaches_everything(page: Page, site: Site, publish: Publish) -> None:
    await publish("call-1", [0.4])
    await page.goto(site.url)
    await page.locator(".row-link").wait_for()
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_contain_text("filter by name")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.keyboard.press("t")
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await page.keyboard.press("p")
    await expect(page.locator(".fresh")).to_contain_text("paused")
    await publish("call-1", [-2.0])
    await expect(page.locator(".fresh")).to_contain_text("waiting")
    await expect(page.locator(".board-row")).to_contain_text("+0.4")
    await page.keyboard.press("p")
    await expect(page.locator(".board-row")).to_contain_text(f"{MINUS}2.0")
    await page.locator(".row-link").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("call-1")
    await expect(page.get_by_role("heading", level=1)).to_be_focused()
    await page.keyboard.press("g")
    await page.keyboard.press("b")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Board")


async def test_a_gateway_that_is_away_is_named(page: Page, site: Site, publish: Publish) -> None:
    await publish("call-1", [0.4])
    async with FaultProxy(site.port) as proxy:
        await page.goto(f"http://127.0.0.1:{proxy.port}/")
        await page.locator(".row-link").wait_for()
        await proxy.cut()
        await expect(page.locator(".fresh")).to_contain_text("away")
        await expect(page.locator(".board-row")).to_have_count(1)
        await proxy.restore()
        await expect(page.locator(".fresh")).to_contain_text("live")


async def test_a_redis_that_is_away_is_named(page: Page, site: Site, publish: Publish) -> None:
    await publish("call-1", [0.4])
    await page.goto(site.url)
    await page.locator(".row-link").wait_for()
    os.kill(site.server.process.pid, signal.SIGSTOP)
    try:
        await expect(page.locator(".fresh")).to_contain_text("Redis away", timeout=30_000)
        await expect(page.locator(".board-row")).to_have_count(1)
    finally:
        os.kill(site.server.process.pid, signal.SIGCONT)
    await expect(page.locator(".fresh")).not_to_contain_text("away", timeout=30_000)


async def test_pages_fit_a_narrow_screen(page: Page, site: Site, publish: Publish) -> None:
    await publish("call-1", [0.4, -1.2, None, 0.1], alert=Severity.HIGH)
    await publish("a-session-with-a-very-long-name-that-somebody-has-made-up-0001", [1.0], track="customer-with-a-long-name")
    await page.set_viewport_size({"width": 320, "height": 640})
    for path in PAGES + PAGES_OF_WORK:
        await page.goto(site.url + path)
        await page.locator("h1").wait_for(state="attached")
        await expect(page.locator(".loading")).to_have_count(0)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320, path
