"""The page of a session, and that of one window."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from stream.domain.alert import Severity
from tests.browser.conftest import Publish, Site, emptied
from tests.support.fault_proxy import FaultProxy
from tests.support.shown_records import MINUS

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCORES: list[float | None] = [0.4, 0.2, None, -0.7, -1.6, -1.9]


async def test_a_session_begins_with_the_sentence_and_how_sure_it_is(page: Page, site: Site, publish: Publish) -> None:
    await publish("call-1", SCORES)
    await page.goto(f"{site.url}/sessions/default/call-1")
    summary = page.locator(".summary")
    await expect(summary).to_contain_text("The customer seems negative (-1.9)")
    await expect(summary).to_contain_text("how sure: high")
    await expect(summary).to_contain_text("Newest window")
    await publish("call-1", [1.2])
    await expect(summary).to_contain_text("+1.2")
    await expect(page.locator(".track-head")).to_contain_text("7 windows")
    await expect(page).to_have_title("call-1 · sentistream")
    await expect(page.get_by_role("list", name="What moved the score, in score points")).to_contain_text("words")
    await expect(page.get_by_role("img", name="Regions of the face")).to_be_visible()


async def test_a_window_is_pinned_in_the_address(page: Page, site: Site, publish: Publish) -> None:
    await publish("call-1", SCORES)
    await page.goto(f"{site.url}/sessions/default/call-1")
    await page.locator(".timeline canvas").wait_for()
    box = await page.locator(".timeline").bounding_box()
    assert box is not None
    await page.locator(".timeline").click(position={"x": box["width"] / 2, "y": 40})
    await expect(page.locator(".summary")).to_contain_text("Pinned")
    assert "at=customer%2F0-" in page.url
    pinned = page.url
    await page.keyboard.press("ArrowLeft")
    await expect(page).not_to_have_url(pinned)
    await expect(page.get_by_role("status")).to_contain_text("customer")
    await page.keyboard.press("ArrowRight")
    await expect(page).to_have_url(pinned)
    await page.go_back()
    await expect(page.locator(".summary")).to_contain_text("Newest window")
    await page.go_forward()
    await expect(page.locator(".summary")).to_contain_text("Pinned")
    await page.reload()
    await expect(page.locator(".summary")).to_contain_text("Pinned")
    await page.keyboard.press("Escape")
    await expect(page.locator(".summary")).to_contain_text("Newest window")


async def test_a_window_without_a_score_says_so(page: Page, site: Site, publish: Publish) -> None:
    await publish("call-1", SCORES)
    await page.goto(f"{site.url}/sessions/default/call-1?at=customer/0-10000")
    await expect(page.locator(".summary")).to_contain_text("no score")
    await expect(page.locator(".summary")).to_contain_text("Nobody spoke")
    await page.goto(f"{site.url}/sessions/default/call-1?at=customer/0-999000")
    await expect(page.get_by_text("is not kept any more")).to_be_visible()
    await page.goto(f"{site.url}/sessions/default/nobody")
    await expect(page.get_by_role("heading", name="There is no such session")).to_be_visible()


async def test_an_alert_on_the_board_and_on_the_timeline_leads_to_its_evidence(page: Page, site: Site, publish: Publish) -> None:
    await publish("call-1", SCORES, alert=Severity.HIGH)
    await publish("call-2", [0.2])
    await page.goto(site.url)
    first = page.locator('[data-index="0"] .board-row')
    await expect(first).to_contain_text("call-1")
    await expect(first.locator(".alert")).to_contain_text("high")
    await page.goto(f"{site.url}/sessions/default/call-1")
    flag = page.get_by_role("link", name="The customer is upset")
    await flag.click()
    await expect(page.locator(".summary")).to_contain_text("Pinned")
    assert page.url.endswith("at=customer%2F0-16000")
    await publish("call-1", [0.1, -2.0], alert=Severity.CRITICAL)
    await expect(flag).to_have_count(2)
    await expect(page.locator(".summary")).to_contain_text("(-1.9)")  # the pinned window stays


async def test_an_erased_session_leaves_the_page(page: Page, site: Site, publish: Publish) -> None:
    await publish("call-1", SCORES)
    await page.goto(f"{site.url}/sessions/default/call-1")
    await expect(page.locator(".summary")).to_contain_text("Newest window")
    await emptied(site.server)
    await expect(page.get_by_role("heading", name="There is no such session")).to_be_visible(timeout=30_000)


async def test_a_session_that_begins_while_somebody_waits_for_it_appears(page: Page, site: Site, publish: Publish) -> None:
    await page.goto(f"{site.url}/sessions/default/call-1")
    await expect(page.get_by_role("heading", name="There is no such session")).to_be_visible()
    await publish("call-1", SCORES)
    await expect(page.locator(".track-head")).to_contain_text("6 windows")


async def test_speakers_are_apart(page: Page, site: Site, publish: Publish) -> None:
    await publish("call-1", SCORES)
    await publish("call-1", [1.0, 1.5], track="agent")
    await page.goto(f"{site.url}/sessions/default/call-1")
    await expect(page.locator(".track")).to_have_count(2)
    await expect(page.locator(".track.chosen")).to_contain_text("customer")
    await page.keyboard.press("s")
    await expect(page.locator(".track.chosen")).to_contain_text("agent")
    await expect(page.locator(".summary")).to_contain_text("+1.5")


async def test_all_evidence_in_plain_words_and_for_experts(page: Page, site: Site, publish: Publish) -> None:
    await publish("call-1", SCORES)
    await page.goto(f"{site.url}/sessions/default/call-1")
    await page.get_by_role("link", name="All evidence").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("customer, 0:12")
    await expect(page.get_by_text("Without the words")).to_be_visible()
    await expect(page.get_by_text("Digest")).to_have_count(0)
    await page.keyboard.press("x")
    await expect(page.get_by_text("0123456789ab")).to_be_visible()
    await expect(page.get_by_role("list", name="Share of the evidence in each attention")).to_contain_text("shortcut")
    assert page.url.endswith("view=expert")
    await page.keyboard.press("Escape")
    await expect(page.locator(".summary")).to_contain_text("Pinned")


async def test_a_cut_connection_loses_and_doubles_no_window(page: Page, site: Site, publish: Publish) -> None:
    await publish("call-1", SCORES)
    async with FaultProxy(site.port) as proxy:
        await page.goto(f"http://127.0.0.1:{proxy.port}/sessions/default/call-1")
        await expect(page.locator(".track-head")).to_contain_text("6 windows")
        await proxy.cut()
        await expect(page.locator(".fresh")).to_contain_text("away")
        await publish("call-1", [0.1, 0.2, 0.3])
        await expect(page.locator(".track-head")).to_contain_text("6 windows")  # what was there stays
        await proxy.restore()
        await expect(page.locator(".fresh")).to_contain_text("live")
        await expect(page.locator(".track-head")).to_contain_text("9 windows")
        total = await publish("call-1", [-2.0])
        await expect(page.locator(".summary")).to_contain_text(f"{MINUS}2.0")
        await expect(page.locator(".track-head")).to_contain_text(f"{total} windows")
        seen = []
        for _ in range(total):
            await page.keyboard.press("ArrowLeft")
            seen.append(page.url.rpartition("-")[2])
        assert len(set(seen[:-1])) == total - 1
