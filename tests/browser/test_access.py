"""Who sees what on the pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from stream.domain.identity import SessionKey
from stream.local.redis_server import RedisServer
from stream.sinks.redis_sink import RedisSink
from tests.browser.conftest import emptied
from tests.support.gateways import gateway_settings, make_access_file, running_gateway
from tests.support.shown_records import windows

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def guarded(page_redis: RedisServer, tmp_path: Path) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """Address of a gateway with two tenants, and tokens by name: a supervisor and a viewer of the first of them."""
    await emptied(page_redis)
    tokens = make_access_file(tmp_path / "access.yaml", {"boss": ("supervisor", "acme"), "guest": ("viewer", "acme")})
    settings = gateway_settings(page_redis.url, access=tmp_path / "access.yaml")
    sink = RedisSink(settings.redis)
    for tenant in ("acme", "rival"):
        for score, explanation in windows(SessionKey(tenant, f"{tenant}-call"), [0.3, -1.5]):
            await sink.finalise(score, explanation, 1)
    await sink.close()
    async with running_gateway(settings, loaded=False) as url:
        yield url, tokens


async def sign_in(page: Page, url: str, token: str) -> None:
    await page.goto(url)
    await page.get_by_label("Your token").fill(token)
    await page.get_by_role("button", name="Sign in").click()


async def test_a_wrong_token_is_refused_in_words(page: Page, guarded: tuple[str, dict[str, str]]) -> None:
    url, _ = guarded
    await sign_in(page, url, "sst~boss~wrong")
    await expect(page.get_by_role("alert")).to_contain_text("does not know this token")


async def test_a_supervisor_reads_words_of_the_own_tenant_only(page: Page, guarded: tuple[str, dict[str, str]]) -> None:
    url, tokens = guarded
    await sign_in(page, f"{url}/sessions/acme/acme-call", tokens["boss"])
    await expect(page.locator(".claims")).to_contain_text("still waiting")
    await page.goto(f"{url}/sessions/rival/rival-call")
    await expect(page.get_by_role("heading", name="There is no such session")).to_be_visible()
    await page.goto(url)
    await expect(page.locator(".board-row")).to_have_count(1)
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_label("Your token")).to_be_visible()


async def test_a_viewer_sees_times_and_effects_but_no_word(page: Page, guarded: tuple[str, dict[str, str]]) -> None:
    url, tokens = guarded
    await sign_in(page, f"{url}/sessions/acme/acme-call", tokens["guest"])
    await expect(page.get_by_text("Your role does not show what was said")).to_be_visible()
    await expect(page.get_by_role("list", name="Strongest words, by their time")).to_contain_text("at 0:04")
    assert "waiting" not in await page.locator("body").inner_text()
