"""The moderation queue on a real Redis: filled once, worked on by one person at a time, with a trail that shows every change of it."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any, cast

import msgspec
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

import stream.domain.case
import stream.sinks.alert_queue
import stream.sinks.audit_trail
from stream.config.service_settings import RedisSettings
from stream.domain.alert import AlertMode, AlertState, Severity
from stream.domain.audit import AuditAction, AuditEntry, hash_of
from stream.domain.case import Actor, Case, CaseRefusedError, CaseState, acknowledging, claiming, deciding, releasing, snoozing, withdrawing
from stream.domain.decision import Decision, Outcome
from stream.domain.identity import SessionKey
from stream.sinks.alert_queue import AlertQueue
from stream.sinks.connection import RedisConnection
from stream.sinks.decision_outbox import DecisionOutbox
from stream.sinks.keys import QUEUES, queue_names
from tests.fakes.alerts import make_alert

ANN, BOB = Actor.named("supervisor", "ann"), Actor.named("moderator", "bob")
NOTHING = Decision(outcome=Outcome.NO_ACTION, policy="Code of conduct, section 3", reason="The tone is firm, not abusive.")


@pytest.fixture
def tenant() -> str:
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def queue(redis_url: str) -> AsyncIterator[AlertQueue]:
    queue = AlertQueue(RedisSettings(url=SecretStr(redis_url), result_ttl_s=1000))
    yield queue
    await queue.close()


@pytest.fixture
async def outbox(redis_url: str) -> AsyncIterator[DecisionOutbox]:
    redis = RedisConnection(RedisSettings(url=SecretStr(redis_url)))
    yield DecisionOutbox(redis)
    await redis.close()


@pytest.fixture
async def raw(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url, decode_responses=True)
    yield client
    await client.aclose()


async def ids(queue: AlertQueue, tenant: str, state: CaseState = CaseState.OPEN) -> list[str]:
    return [case.alert_id for case in (await queue.page([tenant], state))[0]]


async def claimed(queue: AlertQueue, tenant: str, actor: Actor = ANN) -> Case:
    await queue.feed([make_alert(tenant=tenant)])
    case = await queue.change(tenant, make_alert(tenant=tenant).alert_id, actor, claiming(actor))
    assert case is not None
    return case


async def test_alerts_are_added_once_by_several_gateways_and_after_restarts(queue: AlertQueue, redis_url: str, tenant: str) -> None:
    alerts = [make_alert(60_000 + 2_000 * number, tenant=tenant) for number in range(20)]
    others = [AlertQueue(RedisSettings(url=SecretStr(redis_url))) for _ in range(3)]
    added = await asyncio.gather(*(each.feed(alerts) for each in (queue, *others)))
    assert sum(added) == 20
    assert await queue.feed(alerts) == 0
    assert len(await ids(queue, tenant)) == 20
    for other in others:
        await other.close()


async def test_a_queue_whose_tenant_was_not_listed_is_listed_when_its_alerts_come_again(queue: AlertQueue, raw: Redis, tenant: str) -> None:
    await queue.feed([make_alert(tenant=tenant)])
    # As if Redis had gone away between the two steps.
    await cast(Any, raw.srem(QUEUES, tenant))
    assert await queue.feed([make_alert(tenant=tenant)]) == 0
    assert tenant in await queue.tenants()


async def test_only_live_alerts_are_added_and_a_cleared_one_marks_its_case(queue: AlertQueue, tenant: str) -> None:
    cleared = make_alert(tenant=tenant, state=AlertState.CLEARED)
    await queue.feed([cleared])
    await queue.feed([make_alert(4_000, tenant=tenant, mode=AlertMode.SHADOW), make_alert(tenant=tenant), cleared, cleared])
    (case,) = (await queue.page([tenant], CaseState.OPEN))[0]
    assert case.alert_id == cleared.raised_id
    assert case.cleared_at_ms is not None


async def test_order_is_severity_then_age(queue: AlertQueue, tenant: str) -> None:
    now_ms = round(time.time() * 1000)
    first = [(Severity.LOW, 500), (Severity.CRITICAL, 10), (Severity.HIGH, 90), (Severity.CRITICAL, 20), (Severity.HIGH, 99)]
    alerts = [
        make_alert(1000 * number, tenant=tenant, severity=severity, at_ms=now_ms - 1000 * age)
        for number, (severity, age) in enumerate(first, 10)
    ]
    await queue.feed(alerts)
    expected = [alerts[index].alert_id for index in (3, 1, 4, 2, 0)]
    assert await ids(queue, tenant) == expected
    paged, cursor = [], ""
    while True:
        page, following = await queue.page([tenant], CaseState.OPEN, cursor=cursor, limit=2)
        paged += [case.alert_id for case in page]
        if following is None:
            break
        cursor = following
    assert paged == expected
    high, _ = await queue.page([tenant], CaseState.OPEN, severity=Severity.HIGH)
    assert [case.alert_id for case in high] == expected[2:4]
    counts = await queue.counts([tenant])
    assert (counts.open, counts.raised_last_hour) == (5, 5)
    assert 500_000 <= (counts.oldest_open_ms or 0) < 510_000


async def test_queues_of_several_tenants_are_merged_and_others_are_not_seen(queue: AlertQueue, tenant: str) -> None:
    mine, other = tenant + "a", tenant + "b"
    await queue.feed([make_alert(tenant=mine, severity=Severity.LOW), make_alert(tenant=other, severity=Severity.CRITICAL)])
    assert [case.alert.tenant for case in (await queue.page([mine, other], CaseState.OPEN))[0]] == [other, mine]
    assert await ids(queue, mine) == [make_alert(tenant=mine).alert_id]
    assert await queue.case(mine, make_alert(tenant=other).alert_id) is None


@pytest.mark.parametrize("cursor", ["x", "éé", "AAAA", "MTIz", "a" * 5000])
async def test_a_cursor_of_nobody_is_refused(queue: AlertQueue, tenant: str, cursor: str) -> None:
    with pytest.raises(ValueError, match="begin without one"):
        await queue.page([tenant], CaseState.OPEN, cursor=cursor)


async def test_of_many_who_claim_at_once_one_gets_the_case(queue: AlertQueue, tenant: str) -> None:
    await queue.feed([make_alert(tenant=tenant)])
    people = [Actor.named("moderator", str(number)) for number in range(12)]
    answers = await asyncio.gather(
        *(queue.change(tenant, make_alert(tenant=tenant).alert_id, person, claiming(person)) for person in people), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, CaseRefusedError)]
    assert len(refused) == 11
    assert all(error.code == "claimed" and "a moderator works on this case until" in str(error) for error in refused)
    assert await ids(queue, tenant) == []
    (case,) = (await queue.page([tenant], CaseState.CLAIMED, asking=BOB))[0]
    assert (case.claimed_by, case.mine) == ("moderator", False)


async def test_a_claim_expires_and_is_released(queue: AlertQueue, tenant: str) -> None:
    await queue.feed([make_alert(tenant=tenant)])
    alert_id = make_alert(tenant=tenant).alert_id
    await queue.change(tenant, alert_id, ANN, claiming(ANN, for_ms=50))
    await asyncio.sleep(0.1)
    assert await ids(queue, tenant) == [alert_id]
    case = await queue.change(tenant, alert_id, BOB, claiming(BOB))
    assert case is not None
    assert case.mine
    with pytest.raises(CaseRefusedError, match="moderator"):
        await queue.change(tenant, alert_id, ANN, releasing(ANN))
    await queue.change(tenant, alert_id, ANN, releasing(ANN, any_claim=True))
    assert await ids(queue, tenant) == [alert_id]


async def test_a_case_is_acknowledged_and_snoozed(queue: AlertQueue, tenant: str) -> None:
    case = await claimed(queue, tenant)
    acknowledged = await queue.change(tenant, case.alert_id, ANN, acknowledging(ANN))
    snoozed = await queue.change(tenant, case.alert_id, ANN, snoozing(ANN, 80))
    assert acknowledged is not None
    assert snoozed is not None
    assert (acknowledged.acknowledged_by, snoozed.state) == ("supervisor", CaseState.SNOOZED)
    assert await ids(queue, tenant) == []
    assert await ids(queue, tenant, CaseState.SNOOZED) == [case.alert_id]
    await asyncio.sleep(0.15)
    assert await ids(queue, tenant) == [case.alert_id]


async def test_a_decision_needs_a_claim_and_is_made_once(queue: AlertQueue, tenant: str) -> None:
    await queue.feed([make_alert(tenant=tenant)])
    alert_id = make_alert(tenant=tenant).alert_id
    with pytest.raises(CaseRefusedError, match="claim the case"):
        await queue.change(tenant, alert_id, ANN, deciding(ANN, NOTHING, "d1"))
    await queue.change(tenant, alert_id, ANN, claiming(ANN))
    with pytest.raises(CaseRefusedError, match="supervisor works"):
        await queue.change(tenant, alert_id, BOB, deciding(BOB, NOTHING, "d1"))
    first = await queue.change(tenant, alert_id, ANN, deciding(ANN, NOTHING, "d1"))
    again = await queue.change(tenant, alert_id, ANN, deciding(ANN, NOTHING, "d2"))
    assert first is not None
    assert again is not None
    assert (again.decision_id, again.state, again.published) == ("d1", CaseState.DECIDED, False)
    with pytest.raises(CaseRefusedError, match="supervisor has decided"):
        await queue.change(tenant, alert_id, BOB, claiming(BOB))
    assert await ids(queue, tenant) == []
    assert await ids(queue, tenant, CaseState.DECIDED) == [alert_id]
    assert [entry.action for entry in await queue.trail.read(tenant)] == [AuditAction.CLAIMED, AuditAction.DECIDED]


async def test_a_decision_is_published_only_when_it_can_no_longer_be_withdrawn(
    queue: AlertQueue, outbox: DecisionOutbox, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await claimed(queue, tenant)
    await queue.change(tenant, case.alert_id, ANN, deciding(ANN, NOTHING, "d1"))
    assert await outbox.due(tenant) == []
    with pytest.raises(CaseRefusedError, match="only who decided"):
        await queue.change(tenant, case.alert_id, BOB, withdrawing(BOB))
    undone = await queue.change(tenant, case.alert_id, ANN, withdrawing(ANN))
    assert undone is not None
    assert (undone.state, undone.mine, undone.decision) == (CaseState.CLAIMED, True, None)
    assert (await queue.counts([tenant])).unpublished == 0

    monkeypatch.setattr(stream.domain.case, "UNDO_MS", 1)
    monkeypatch.setattr(stream.sinks.alert_queue, "UNDO_MS", 1)
    await queue.change(tenant, case.alert_id, ANN, deciding(ANN, NOTHING, "d2"))
    await asyncio.sleep(0.02)
    with pytest.raises(CaseRefusedError, match="final"):
        await queue.change(tenant, case.alert_id, ANN, withdrawing(ANN))
    ((alert, status),) = await outbox.due(tenant)
    assert alert.alert_id == case.alert_id
    assert status.decided is not None
    assert status.decided.audit_sequence == 4
    await outbox.published(tenant, [alert.alert_id])
    assert await outbox.due(tenant) == []
    decided = await queue.case(tenant, case.alert_id)
    assert decided is not None
    assert decided.published


async def test_one_relay_at_a_time(outbox: DecisionOutbox, tenant: str) -> None:
    assert await outbox.lease(tenant, "a", 80)
    assert not await outbox.lease(tenant, "b", 80)
    assert await outbox.lease(tenant, "a", 80)
    await asyncio.sleep(0.12)
    assert await outbox.lease(tenant, "b", 80)


async def test_an_untouched_trail_is_verified_and_every_change_of_it_is_found(queue: AlertQueue, raw: Redis, tenant: str) -> None:
    case = await claimed(queue, tenant)
    for _ in range(4):
        await queue.change(tenant, case.alert_id, ANN, claiming(ANN))
    report = await queue.trail.verify(tenant)
    assert (report.checked, report.problems, report.end.sequence) == (5, (), 5)

    key = queue_names(tenant).audit
    kept = cast(list[tuple[str, dict[str, str]]], await raw.xrange(key))

    async def rewrite(entries: list[tuple[str, Any]]) -> str:
        await raw.delete(key)
        for entry_id, fields in entries:
            await raw.xadd(key, fields, id=entry_id)
        return " ".join(problem.text for problem in (await queue.trail.verify(tenant)).problems)

    entry = msgspec.json.decode(kept[2][1]["entry"], type=AuditEntry)
    forged = msgspec.structs.replace(entry, role="admin")
    consistent = msgspec.structs.replace(forged, hash=hash_of(forged))
    assert "entry 3 was changed" in await rewrite([*kept[:2], ("3-0", {"entry": msgspec.json.encode(forged).decode()}), *kept[3:]])
    assert "entry 4 does not follow" in await rewrite([*kept[:2], ("3-0", {"entry": msgspec.json.encode(consistent).decode()}), *kept[3:]])
    assert "entry 3 was changed: it cannot be read" in await rewrite([*kept[:2], ("3-0", {"entry": "{"}), *kept[3:]])
    assert "entries 3 to 3 are missing" in await rewrite([*kept[:2], *kept[3:]])
    assert "entries 5 to 5 are missing at the end" in await rewrite(kept[:4])
    assert "entries 1 to 5 are missing" in await rewrite([])
    assert "entries 1 to 1 are missing" in await rewrite(kept[1:])
    assert not await rewrite(kept)
    await raw.hset(queue_names(tenant).trail, mapping={"cut": 2, "cut_hash": entry.before})
    assert "no entry says so" in await rewrite(kept[2:])


async def test_a_full_trail_is_cut_and_says_so(queue: AlertQueue, tenant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream.sinks.audit_trail, "MOST_ENTRIES", 20)
    case = await claimed(queue, tenant)
    for _ in range(40):
        await queue.change(tenant, case.alert_id, ANN, claiming(ANN))
    entries = await queue.trail.read(tenant)
    assert len(entries) <= 21
    assert entries[0].sequence > 1
    assert AuditAction.TRIMMED in {entry.action for entry in entries}
    assert (await queue.trail.verify(tenant)).problems == ()


async def test_a_full_queue_says_what_it_left_out(queue: AlertQueue, tenant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream.sinks.alert_queue, "MOST_CASES", 3)
    alerts = [make_alert(1000 * number, tenant=tenant) for number in range(1, 6)]
    for _ in range(2):
        await queue.feed(alerts)
    counts = await queue.counts([tenant])
    assert (counts.open, counts.left_out) == (3, 2)


async def test_a_session_is_forgotten_and_old_cases_are_removed(queue: AlertQueue, raw: Redis, tenant: str) -> None:
    now_ms = round(time.time() * 1000)
    await queue.feed([make_alert(tenant=tenant, session="gone"), make_alert(tenant=tenant, session="gone2")])
    await queue.feed([make_alert(tenant=tenant, session="old", at_ms=now_ms - 2_000_000)])
    assert await queue.forget(SessionKey(tenant, "gone")) == 1
    assert await ids(queue, tenant) == [make_alert(tenant=tenant, session="gone2").alert_id]
    for key in await raw.keys(f"sentistream:{{{tenant}}}:*"):
        assert "gone/" not in str(await raw.dump(key)), "nothing of an erased session is left"
    assert (await queue.trail.verify(tenant)).problems == ()
    await raw.zadd(queue_names(tenant).added, {make_alert(tenant=tenant, session="gone2").alert_id: now_ms - 2_000_000})
    assert await queue.prune(tenant) == 1
    assert (await queue.counts([tenant])).open == 0
    assert await queue.prune(tenant) == 0


async def test_an_unknown_case_is_none(queue: AlertQueue, tenant: str) -> None:
    assert await queue.case(tenant, "nothing") is None
    assert await queue.change(tenant, "nothing", ANN, claiming(ANN)) is None
