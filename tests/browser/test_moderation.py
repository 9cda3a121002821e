"""The pages on which people work: alerts, verdicts, health, reveal, uploads. With a real broker."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from kafka import KafkaConsumer, TopicPartition
from playwright.async_api import Browser, Page, expect

import stream.domain.case
import stream.sinks.alert_queue
from stream.config.service_settings import KafkaSettings
from stream.domain.alert import AlertRecord, Severity
from stream.domain.case import Actor, claiming
from stream.domain.decision import DecisionRecord
from stream.domain.identity import SessionKey
from stream.domain.live_reveal import LiveNuisance, LiveReport, LiveState
from stream.domain.modality import Modality
from stream.domain.topics import Topics
from stream.domain.verdict import Judgement, Mask, SuspectVerdict, Verdict
from stream.gateway.uploads import PREFIX
from stream.kafka_admin.connection import consumer_options
from stream.local.broker import Broker
from stream.local.redis_server import RedisServer
from stream.reveal.feedback import read_verdicts
from stream.sinks.alert_queue import AlertQueue
from stream.sinks.connection import RedisConnection
from stream.sinks.live_reveal import LiveRevealStore
from stream.sinks.redis_sink import RedisSink
from tests.browser.conftest import Site, emptied
from tests.fakes.alerts import make_alert
from tests.support.gateways import gateway_settings, running_gateway
from tests.support.media import sound
from tests.support.shown_records import windows

pytestmark = pytest.mark.asyncio(loop_scope="session")

SESSION = SessionKey("default", "call-1")
SCORES: list[float | None] = [0.4, 0.2, -0.7, -1.6, -1.9, -2.1, -2.0]
UPSET = make_alert(18_000)
THREAT = make_alert(16_000, rule="threat", severity=Severity.CRITICAL)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    broker = Broker(tmp_path_factory.mktemp("broker"))
    await broker.start()
    yield broker.bootstrap
    await broker.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def desk(page_redis: RedisServer, bootstrap: str, request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """A gateway with a broker, a session, and two alerts."""
    kafka = KafkaSettings(bootstrap=bootstrap, topic_prefix=f"t{abs(hash(request.node.name)) % 10**8}-")
    settings = gateway_settings(page_redis.url, uploads=True).model_copy(update={"kafka": kafka})
    await emptied(page_redis)
    async with running_gateway(settings) as url:
        site = Site(url, settings, page_redis)
        sink = RedisSink(site.settings.redis)
        for score, explanation in windows(SESSION, SCORES, "customer"):
            await sink.finalise(score, explanation, 1)
        await sink.close()
        await feed(site, UPSET, THREAT)
        yield site


async def feed(site: Site, *alerts: AlertRecord) -> None:
    queue = AlertQueue(site.settings.redis)
    await queue.feed(alerts)
    await queue.close()


async def test_a_case_is_read_claimed_decided_and_undone_by_keyboard(page: Page, desk: Site) -> None:
    await page.goto(f"{desk.url}/alerts")
    await expect(page.locator(".queue-row")).to_have_count(2)
    await expect(page.locator(".queue-row").first).to_contain_text("critical")
    await page.keyboard.press("j")
    case = page.locator(".case")
    await expect(case).to_contain_text("threat")
    await expect(case.locator(".meter")).to_contain_text("against the threshold")
    await expect(case.locator(".standing")).to_contain_text("Yours for")
    await expect(case).not_to_contain_text("not acceptable")
    await page.keyboard.press("w")
    await expect(case.locator("q")).to_contain_text("not acceptable")
    await page.keyboard.press("1")
    await expect(page.get_by_label("Policy or law")).to_have_value("Code of conduct, section 3")
    await page.keyboard.type("Firm, not abusive.")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator(".banner.last")).to_contain_text("No action")
    await expect(case).to_contain_text("caller-upset")
    await page.keyboard.press("u")
    await expect(case).to_contain_text("threat")
    await expect(page.locator(".banner.last")).to_have_count(0)
    await expect(case.locator(".standing")).to_contain_text("Yours for")
    await page.keyboard.press("v")
    await expect(page.locator(".session .summary")).to_contain_text("Pinned")


async def test_a_decision_needs_a_policy_and_a_reason(page: Page, desk: Site) -> None:
    await page.goto(f"{desk.url}/alerts?id={UPSET.alert_id}")
    await expect(page.locator(".standing")).to_contain_text("Yours for")
    await page.keyboard.press("7")
    await page.get_by_role("button", name="Decide and stay").click()
    await expect(page.locator("textarea:invalid")).to_have_count(1)
    await expect(page.locator(".banner.last")).to_have_count(0)
    await expect(page.get_by_label("Category")).to_have_value("STATEMENT_CATEGORY_CYBER_VIOLENCE")


async def test_a_restriction_reaches_the_topic_with_its_statement(page: Page, desk: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream.domain.case, "UNDO_MS", 500)
    monkeypatch.setattr(stream.sinks.alert_queue, "UNDO_MS", 500)
    await page.goto(f"{desk.url}/alerts?id={UPSET.alert_id}")
    await expect(page.locator(".standing")).to_contain_text("Yours for")
    await page.keyboard.press("7")
    await page.get_by_label("Reason").fill("Threatened the agent.")
    await page.get_by_role("button", name="Decide and stay").click()
    await expect(page.locator(".decide-column")).to_contain_text("Threatened the agent.")
    await expect(page.locator(".decide-column")).to_contain_text("in the topic decisions", timeout=20_000)
    value = msgspec.json.decode(
        await asyncio.to_thread(first_value, desk, Topics(desk.settings.kafka.topic_prefix).decisions), type=DecisionRecord
    )
    assert value.alert_id == UPSET.alert_id
    assert value.statement is not None
    assert value.statement["decision_visibility"] == ["DECISION_VISIBILITY_CONTENT_REMOVED"]


def first_value(site: Site, topic: str) -> bytes:
    with contextlib.closing(KafkaConsumer(**consumer_options(site.settings.kafka))) as consumer:
        consumer.assign([TopicPartition(topic, index) for index in consumer.partitions_for_topic(topic) or ()])
        consumer.seek_to_beginning()
        for _ in range(20):
            for batch in consumer.poll(timeout_ms=500).values():
                return bytes(batch[0].value)
    raise AssertionError("nothing in the topic")


async def test_another_persons_case_can_only_be_read(page: Page, desk: Site) -> None:
    queue, bob = AlertQueue(desk.settings.redis), Actor.named("moderator", "bob")
    await queue.change("default", UPSET.alert_id, bob, claiming(bob))
    await queue.close()
    await page.goto(f"{desk.url}/alerts?id={UPSET.alert_id}")
    await expect(page.locator(".case")).to_contain_text("a moderator works on this case until")
    await expect(page.get_by_role("button", name="Remove")).to_be_disabled()
    await page.goto(f"{desk.url}/alerts?id=default/call-1/customer/0-1~nobody")
    await expect(page.get_by_role("heading", name="There is no such alert")).to_be_visible()


async def test_in_blind_mode_the_own_reading_comes_first(page: Page, desk: Site) -> None:
    await page.goto(f"{desk.url}/alerts?id={UPSET.alert_id}")
    await expect(page.locator(".case")).to_contain_text("Evidence")
    await page.keyboard.press("b")
    await expect(page.locator(".case")).to_contain_text("First your own reading")
    await expect(page.locator(".case .score")).to_have_count(0)
    await page.get_by_role("group", name="How it comes across").get_by_role("button", name="neutral").click()
    await expect(page.locator(".case")).to_contain_text("the model says negative")
    await expect(page.locator(".case .score").first).to_be_visible()
    (verdict,) = await verdicts(desk, 1)
    assert isinstance(verdict, Verdict)
    assert (verdict.window_id, verdict.verdict) == (UPSET.window_id, Judgement.WRONG)


async def verdicts(site: Site, number: int) -> list[Verdict | SuspectVerdict]:
    found: list[Verdict | SuspectVerdict] = []
    for _ in range(5):
        found = await asyncio.to_thread(read_verdicts, site.settings.kafka)
        if len(found) >= number:
            break
    return found


async def test_a_verdict_with_its_span_is_sent_and_taken_back(page: Page, desk: Site) -> None:
    await page.goto(f"{desk.url}/sessions/default/call-1")
    form = page.get_by_role("region", name="Your verdict")
    await form.get_by_role("button", name="Right, for the wrong reason").click()
    await form.get_by_label("Source").select_option("audio")
    await form.get_by_label("From, s").fill("0.5")
    await form.get_by_label("To, s").fill("2")
    sink = RedisSink(desk.settings.redis)
    await sink.finalise(*windows(SESSION, [*SCORES, 0.3], "customer")[-1], 1)
    await sink.close()
    await expect(page.locator(".summary")).to_contain_text("+0.3")
    await form.get_by_role("button", name="Send").click()
    await expect(form).to_contain_text("Undo")
    (verdict,) = await verdicts(desk, 1)
    assert isinstance(verdict, Verdict)
    assert verdict.verdict is Judgement.RIGHT_FOR_WRONG_REASON
    assert verdict.window_id.endswith("/0-18000"), "the window that was the newest when the form was opened"
    assert verdict.span is not None
    assert (verdict.span.modality, verdict.span.end_ms - verdict.span.start_ms, verdict.span.mask) == (
        Modality.AUDIO,
        1500,
        Mask.NOT_EVIDENCE,
    )
    await form.get_by_role("button", name="Undo").click()
    await expect(form.get_by_role("button", name="Right", exact=True)).to_be_visible()
    assert await verdicts(desk, 0) == []


async def test_health_says_what_is_away_and_what_to_do(page: Page, desk: Site) -> None:
    await page.goto(f"{desk.url}/health")
    services = page.locator(".services li")
    await expect(services.filter(has_text="Kafka")).to_contain_text("works")
    await expect(services.filter(has_text="Triton")).to_contain_text("start it, or correct")
    await expect(page.locator(".health")).to_contain_text("sentistream worker")
    await expect(page.locator(".figures")).to_contain_text("2 open")


async def report(site: Site, state: LiveState = LiveState.SUSPECT) -> None:
    redis = RedisConnection(site.settings.redis)
    hiss = LiveNuisance(
        name="hiss",
        says="hiss under the voice",
        found_by="battery",
        modality=Modality.AUDIO,
        version="3",
        state=state,
        strength=2.4,
        windows=212,
        value=-0.82,
        error=0.08,
        score_shift=-0.74,
        honest=(-0.3, 0.3),
        warned=14,
    )
    await LiveRevealStore(redis, 24).put_report(
        LiveReport(at_ms=1_796_000_000_000, since_ms=1_796_000_000_000, windows=640, nuisances=(hiss,))
    )
    await redis.close()


async def test_a_suspect_gets_a_verdict_by_keyboard(page: Page, desk: Site) -> None:
    await page.goto(f"{desk.url}/reveal")
    await expect(page.get_by_role("heading", name="Nothing was probed yet")).to_be_visible()
    await report(desk, LiveState.TOO_FEW)
    await page.reload()
    await expect(page.get_by_role("heading", name="Too few windows to judge")).to_be_visible()
    await report(desk)
    await page.reload()
    card = page.get_by_role("region", name="Suspect: hiss under the voice")
    await expect(card).to_contain_text("2.4 times the limit")
    await page.keyboard.press("j")
    await page.keyboard.press("1")
    await expect(card.get_by_role("button", name="Artefact")).to_have_attribute("aria-pressed", "true")
    await expect(card).to_contain_text("1 artefact")
    (verdict,) = await verdicts(desk, 1)
    assert isinstance(verdict, SuspectVerdict)


async def test_a_suspect_leads_to_a_window_that_it_moves(page: Page, desk: Site) -> None:
    await report(desk)
    sink = RedisSink(desk.settings.redis)
    for score, explanation in windows(SessionKey("default", "call-hiss"), [0.2, 0.1], "agent"):
        await sink.finalise(msgspec.structs.replace(score, warnings=("nuisance_sensitive:hiss",)), explanation, 1)
    await sink.close()
    await page.goto(f"{desk.url}/reveal")
    card = page.get_by_role("region", name="Suspect: hiss under the voice")
    await card.get_by_role("link", name="call-hiss, agent").click()
    await expect(page.locator(".session .summary")).to_contain_text("Pinned")


async def test_a_dropped_recording_is_sent_live_and_a_hostile_one_is_refused(page: Page, desk: Site, tmp_path: Path) -> None:
    hostile = tmp_path / "Jane Doe.mp4"
    hostile.write_bytes(b"\0\0\0\x20ftypisom" + b"\xff" * 5000)
    await page.goto(desk.url)
    zone = page.get_by_role("region", name="Try it with a recording")
    await page.locator("input[type=file]").set_input_files(hostile)
    await expect(zone.get_by_role("alert")).to_contain_text("The recording cannot be used: the file")
    assert "Jane" not in await zone.inner_text()
    fine = tmp_path / "tone.wav"
    fine.write_bytes(sound("wav", "pcm_s16le", 20.0))
    await page.locator("input[type=file]").set_input_files(fine)
    await expect(zone).to_contain_text("Sending at live pace", timeout=60_000)
    assert len(list(Path(tempfile.gettempdir()).glob(f"{PREFIX}*"))) == 1
    await zone.get_by_role("button", name="Stop").click()
    await expect(zone.get_by_role("link", name="See its session")).to_be_visible()
    assert list(Path(tempfile.gettempdir()).glob(f"{PREFIX}*")) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_pages_where_people_work_are_accessible(browser: Browser, desk: Site, theme: Any) -> None:
    await report(desk)
    context = await browser.new_context(color_scheme=theme, reduced_motion="reduce")
    page = await context.new_page()
    for path in (f"/alerts?id={UPSET.alert_id}", "/health", "/reveal"):
        await page.goto(desk.url + path)
        await page.locator("h1").wait_for(state="attached")
        await expect(page.locator(".loading")).to_have_count(0)
        if "id=" in path:
            await expect(page.locator(".standing")).to_contain_text("Yours for")
            await page.keyboard.press("7")
        found: Any = await Axe().run(page)
        assert [(each["id"], each["nodes"][0]["html"][:160]) for each in found.response["violations"]] == [], path
    await context.close()
