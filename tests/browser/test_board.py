"""The board and the wall."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from stream.domain.identity import SessionKey
from stream.sinks.redis_sink import RedisSink
from tests.browser.conftest import Publish, Site
from tests.support.shown_records import MINUS, windows

pytestmark = pytest.mark.asyncio(loop_scope="session")

MANY = 500


async def sessions_in_order(page: Page) -> list[str]:
    """The names in the rows, from the top of the list."""
    rows = await page.locator(".windowed > li").all()
    placed = [(int(await row.get_attribute("data-index") or 0), await row.locator(".row-link").inner_text()) for row in rows]
    return [name for _, name in sorted(placed)]


async def test_an_empty_board_says_what_to_do(page: Page, site: Site) -> None:
    await page.goto(site.url)
    await expect(page.get_by_text("Nothing streams yet")).to_be_visible()
    await expect(page.locator("code")).to_contain_text("sentistream produce")


async def test_a_session_appears_and_moves_with_its_results(page: Page, site: Site, publish: Publish) -> None:
    await publish("call-1", [0.2, 0.9])
    await page.goto(site.url)
    row = page.locator(".board-row", has_text="call-1")
    await expect(row.locator(".now")).to_contain_text("+0.9")
    await expect(row.locator(".now")).to_contain_text("positive")
    await publish("call-1", [-1.84])
    await expect(row.locator(".now")).to_contain_text(f"{MINUS}1.8")
    await expect(row.locator(".now")).to_contain_text("negative")
    await publish("call-2", [0.0])
    await expect(page.locator(".board-row")).to_have_count(2)


async def test_the_order_follows_the_fall_and_holds_still_under_the_pointer(page: Page, site: Site, publish: Publish) -> None:
    await publish("rises", [-0.5, 0.0, 0.5, 1.0])
    await publish("falls", [1.0, 0.5, 0.0, -1.0])
    await page.goto(site.url)
    await expect(page.locator(".board-row")).to_have_count(2)
    assert await sessions_in_order(page) == ["falls", "rises"]
    await page.locator(".board-row", has_text="falls").hover()
    await publish("rises", [-2.9, -2.9, -2.9, -2.9])
    await expect(page.get_by_role("button", name="1 moved")).to_be_visible()
    assert await sessions_in_order(page) == ["falls", "rises"]
    await page.get_by_role("button", name="1 moved").click()
    assert await sessions_in_order(page) == ["rises", "falls"]
    await expect(page.get_by_role("button", name="moved")).to_have_count(0)


async def test_the_filter_is_in_the_address(page: Page, site: Site, publish: Publish) -> None:
    await publish("billing-1", [0.5])
    await publish("repair-1", [0.5])
    await page.goto(site.url)
    await expect(page.locator(".board-row")).to_have_count(2)
    await page.keyboard.press("/")
    await page.keyboard.type("repair")
    await expect(page.locator(".board-row")).to_have_count(1)
    assert page.url.endswith("q=repair")
    await page.reload()
    await expect(page.locator(".board-row")).to_have_count(1)
    await page.goto(f"{site.url}/?q=nobody")
    await expect(page.get_by_text("No session fits the filter")).to_be_visible()


async def test_of_many_sessions_only_those_in_view_are_in_the_document(page: Page, site: Site) -> None:
    sink = RedisSink(site.settings.redis)
    for number in range(MANY):
        for score, explanation in windows(SessionKey("default", f"call-{number:03}"), [number / MANY]):
            await sink.finalise(score, explanation, 1)
    await sink.close()
    await page.goto(site.url)
    await expect(page.locator(".figure", has_text="live").first).to_contain_text(str(MANY))
    assert await page.locator(".board-row").count() < 40
    await page.locator(".row-link").first.focus()
    await page.keyboard.press("End")
    last = page.locator(f'[aria-posinset="{MANY}"] .row-link')
    await expect(last).to_be_focused()
    await expect(last).to_be_in_viewport()
    assert await page.locator(".board-row").count() < 40


async def test_the_wall_shows_no_names_and_no_words(page: Page, site: Site, publish: Publish) -> None:
    for number in range(14):
        await publish(f"secret-{number}", [0.5, -1.0], track="mary")
    await page.goto(f"{site.url}/wall")
    await expect(page.locator(".wall-tile")).to_have_count(12)
    shown = await page.locator("body").inner_text()
    assert "secret" not in shown
    assert "waiting" not in shown
    assert await page.locator(".wall-figure").count() <= 6
