"""The routes with which people work, on a real Redis and real brokers: cases, decisions, verdicts, health, reveal."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import httpx
import msgspec
import pytest
from kafka import KafkaConsumer, TopicPartition
from pydantic import SecretStr

import stream.domain.case
import stream.sinks.alert_queue
from stream.config.settings import Settings
from stream.domain.alert import AlertState
from stream.domain.decision import DecisionRecord
from stream.domain.identity import SessionKey
from stream.domain.result import encode_record
from stream.domain.topics import Topics
from stream.domain.worker_beat import WorkerBeat
from stream.gateway.app import create_app
from stream.gateway.context import Gateway
from stream.gateway.desk import Desk
from stream.gateway.hub import Hub
from stream.kafka_admin.connection import consumer_options
from stream.kafka_admin.topics import ensure_decisions
from stream.local.ports import free_port
from stream.reveal.feedback import counted, read_verdicts
from stream.sinks.connection import RedisClient, RedisConnection
from stream.sinks.keys import SESSIONS, session_names
from stream.sinks.result_pages import ResultPages
from stream.sinks.worker_beats import WorkerBeats
from tests.fakes.alerts import make_alert
from tests.fakes.gateway_access import HeaderAccess, as_somebody
from tests.support.settings import own_settings

ANN, BOB = as_somebody("supervisor"), as_somebody("supervisor", "bob")
VIEWER, OPERATOR, ADMIN = as_somebody("viewer"), as_somebody("operator"), as_somebody("admin", "root")
PLAIN = {"outcome": "no_action", "policy": "Code of conduct, section 3", "reason": "Firm, not abusive."}
RESTRICTED = PLAIN | {
    "outcome": "restricted",
    "decision_visibility": ["DECISION_VISIBILITY_CONTENT_REMOVED"],
    "decision_ground": "DECISION_GROUND_INCOMPATIBLE_CONTENT",
    "category": "STATEMENT_CATEGORY_CYBER_VIOLENCE",
}


@pytest.fixture
def tenant() -> str:
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def away(redis_url: str) -> Settings:
    """Settings with no broker and no Triton."""
    settings = own_settings("test", f"127.0.0.1:{free_port()}", redis_url)
    return settings.model_copy(update={"triton": settings.triton.model_copy(update={"url": f"127.0.0.1:{free_port()}"})})


@asynccontextmanager
async def gateway_of(settings: Settings) -> AsyncIterator[tuple[httpx.AsyncClient, Gateway]]:
    """A gateway without a port, whose desk works."""
    redis = RedisConnection(settings.redis, logs=False)
    desk = Desk(settings, redis)
    gateway = Gateway(settings, redis, Hub(settings, redis), ResultPages(redis), HeaderAccess(), desk)
    working = asyncio.create_task(desk.run())
    transport = httpx.ASGITransport(cast(Any, create_app(gateway)))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", follow_redirects=True) as client:
        yield client, gateway
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    await redis.close()


def case_path(tenant: str, step: str = "") -> str:
    return f"/api/v1/alerts/{make_alert(tenant=tenant).alert_id}{step}"


async def test_a_case_is_claimed_by_one_and_decided_with_policy_and_reason(away: Settings, tenant: str) -> None:
    async with gateway_of(away) as (client, gateway):
        await gateway.desk.queue.feed([make_alert(tenant=tenant)])
        listed = (await client.get("/api/v1/alerts", headers=ANN)).json()["items"]
        assert [case["state"] for case in listed if case["alert"]["tenant"] == tenant] == ["open"]
        assert (await client.post(case_path(tenant, "/decide"), json=PLAIN, headers=ANN)).status_code == 409
        claimed = (await client.post(case_path(tenant, "/claim"), headers=ANN)).json()
        assert (claimed["state"], claimed["claimed_by"], claimed["mine"]) == ("claimed", "supervisor", True)
        refused = await client.post(case_path(tenant, "/claim"), headers=BOB)
        assert refused.status_code == 409
        assert "a supervisor works on this case until" in refused.json()["detail"]
        unusable: tuple[Any, ...] = (PLAIN | {"reason": ""}, {"outcome": "no_action"}, PLAIN | {"decision_visibility": ["X"]}, [], "x")
        for wrong in unusable:
            answer = await client.post(case_path(tenant, "/decide"), json=wrong, headers=ANN)
            assert answer.status_code == 400, wrong
        decided = (await client.post(case_path(tenant, "/decide"), json=RESTRICTED, headers=ANN)).json()
        assert (decided["state"], decided["published"]) == ("decided", False)
        undone = (await client.post(case_path(tenant, "/undo"), headers=ANN)).json()
        assert (undone["state"], undone["mine"]) == ("claimed", True)
        assert (await client.post(case_path(tenant, "/release"), headers=ANN)).json()["state"] == "open"
        snoozed = await client.post(case_path(tenant, "/snooze"), json={"minutes": 15}, headers=ANN)
        assert snoozed.json()["state"] == "snoozed"
        assert (await client.post(case_path(tenant, "/snooze"), json={"minutes": 0}, headers=ANN)).status_code == 400
        acknowledged = (await client.post(case_path(tenant, "/acknowledge"), headers=BOB)).json()
        assert acknowledged["acknowledged_by"] == "supervisor"


async def test_words_are_shown_on_request_and_noted(away: Settings, tenant: str) -> None:
    async with gateway_of(away) as (client, gateway):
        await gateway.desk.queue.feed([make_alert(tenant=tenant)])
        hidden = await client.get(case_path(tenant), headers=ANN)
        assert hidden.status_code == 200
        assert "acceptable" not in hidden.text
        assert (await client.post(case_path(tenant, "/words"), headers=VIEWER)).status_code == 403
        shown = (await client.post(case_path(tenant, "/words"), headers=ANN)).json()
        assert shown["alert"]["evidence"]["claims"][0]["text"] == "not acceptable"
        trail = (await client.get(f"/api/v1/queue/{tenant}/audit", headers=ADMIN)).json()["items"]
        assert [(entry["action"], entry["role"]) for entry in trail] == [("words_shown", "supervisor")]
        assert "ann" not in str(trail)
        verified = (await client.get(f"/api/v1/queue/{tenant}/audit/verify", headers=ADMIN)).json()
        assert (verified["intact"], verified["checked"]) == (True, 1)


async def test_another_tenants_cases_do_not_exist(away: Settings, tenant: str) -> None:
    stranger = as_somebody("admin", "eve", "elsewhere")
    async with gateway_of(away) as (client, gateway):
        await gateway.desk.queue.feed([make_alert(tenant=tenant)])
        assert (await client.get("/api/v1/alerts", headers=stranger)).json()["items"] == []
        assert (await client.get("/api/v1/queue", headers=stranger)).json()["open"] == 0
        paths = [case_path(tenant, step) for step in ("/claim", "/release", "/acknowledge", "/undo", "/words")]
        answers = [await client.post(path, headers=stranger) for path in paths]
        answers += [await client.post(case_path(tenant, "/snooze"), json={"minutes": 1}, headers=stranger)]
        answers += [await client.post(case_path(tenant, "/decide"), json=PLAIN, headers=stranger)]
        answers += [await client.get(path, headers=stranger) for path in (case_path(tenant), f"/api/v1/queue/{tenant}/audit/verify")]
        answers += [await client.get(f"/api/v1/queue/{tenant}/audit", headers=stranger)]
        verdict = {"window_id": make_alert(tenant=tenant).window_id, "verdict": "right"}
        answers += [await client.post("/api/v1/verdicts", json=verdict, headers=stranger)]
        assert {answer.status_code for answer in answers} == {404}


@pytest.mark.parametrize("cursor", ["x", "%00", "AAAA" * 50])
async def test_a_wrong_cursor_and_a_wrong_id_are_told(away: Settings, cursor: str) -> None:
    async with gateway_of(away) as (client, _):
        assert (await client.get(f"/api/v1/alerts?cursor={cursor}", headers=ANN)).status_code == 400
        for path in ("a/b/c/d", "a/b/c/0-1~%7B%7D", "%2e%2e/b/c/d", "a%3A/b/c/d"):
            assert (await client.get(f"/api/v1/alerts/{path}", headers=ANN)).status_code == 404


async def records_of(tenant: str, settings: Settings, topic: str) -> list[Any]:
    """The records of a tenant in a topic; waits for the first. Gateways publish what other tests have decided in the same Redis, too."""

    def read() -> list[Any]:
        ensure_decisions(settings.kafka)
        with contextlib.closing(KafkaConsumer(**consumer_options(settings.kafka))) as consumer:
            partitions = [TopicPartition(topic, index) for index in consumer.partitions_for_topic(topic) or ()]
            consumer.assign(partitions)
            consumer.seek_to_beginning()
            found: list[Any] = []
            for _ in range(40):
                for batch in consumer.poll(timeout_ms=500).values():
                    found += [record for record in batch if record.key.startswith(f"{tenant}/".encode())]
                if found:
                    break
            return found

    return await asyncio.to_thread(read)


async def test_decisions_reach_their_topic_once_undo_is_over(
    kafka_bootstrap: str, redis_url: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream.domain.case, "UNDO_MS", 200)
    monkeypatch.setattr(stream.sinks.alert_queue, "UNDO_MS", 200)
    settings = own_settings("test", kafka_bootstrap, redis_url)
    async with gateway_of(settings) as (client, gateway), gateway_of(settings):
        await gateway.desk.queue.feed([make_alert(tenant=tenant)])
        await client.post(case_path(tenant, "/claim"), headers=ANN)
        decided = (await client.post(case_path(tenant, "/decide"), json=RESTRICTED, headers=ANN)).json()
        (record,) = await records_of(tenant, settings, Topics(settings.kafka.topic_prefix).decisions)
        value = msgspec.json.decode(record.value, type=DecisionRecord)
        assert record.key == f"{tenant}/call-1".encode()
        assert value.decision_id == decided["decision_id"] == dict(record.headers)["ce_id"].decode()
        assert value.statement is not None
        assert value.statement["decision_visibility"] == ["DECISION_VISIBILITY_CONTENT_REMOVED"]
        assert value.statement["decision_facts"].startswith("The score")
        trail = (await client.get(f"/api/v1/queue/{tenant}/audit", headers=ADMIN)).json()["items"]
        assert (value.audit_sequence, value.audit_hash) == (trail[-1]["sequence"], trail[-1]["hash"])
        for _ in range(50):
            case = (await client.get(case_path(tenant), headers=ANN)).json()
            if case["published"]:
                break
            await asyncio.sleep(0.1)
        assert case["published"]
        assert (await client.post(case_path(tenant, "/undo"), headers=ANN)).status_code == 409


async def test_a_decision_waits_for_a_broker_that_is_away(
    away: Settings, tansu_bootstrap: str, redis_url: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream.domain.case, "UNDO_MS", 1)
    monkeypatch.setattr(stream.sinks.alert_queue, "UNDO_MS", 1)
    async with gateway_of(away) as (client, gateway):
        await gateway.desk.queue.feed([make_alert(tenant=tenant)])
        await client.post(case_path(tenant, "/claim"), headers=ANN)
        await client.post(case_path(tenant, "/decide"), json=PLAIN, headers=ANN)
        for _ in range(100):
            if gateway.desk.relay.problem:
                break
            await asyncio.sleep(0.1)
        assert "Kafka" in (gateway.desk.relay.problem or "")
    settings = own_settings("test", tansu_bootstrap, redis_url)
    async with gateway_of(settings):
        found = await records_of(tenant, settings, Topics(settings.kafka.topic_prefix).decisions)
        assert [record.key for record in found] == [f"{tenant}/call-1".encode()]


async def test_verdicts_reach_their_topic_and_can_be_taken_back(kafka_bootstrap: str, redis_url: str, tenant: str) -> None:
    settings = own_settings("test", kafka_bootstrap, redis_url)
    window = make_alert(tenant=tenant).window_id
    span = {"modality": "audio", "start_ms": 0, "end_ms": 900, "mask": "not_evidence"}
    async with gateway_of(settings) as (client, _):
        given = [
            {"window_id": window, "verdict": "right_for_wrong_reason", "span": span},
            {"window_id": window, "verdict": "artefact", "artefact": "hiss"},
            {"window_id": window, "verdict": "wrong"},
        ]
        answers = [await client.post("/api/v1/verdicts", json=verdict, headers=ANN) for verdict in given]
        assert [answer.status_code for answer in answers] == [201, 201, 201]
        last = answers[-1].json()["id"]
        assert (await client.delete(f"/api/v1/verdicts/{last}", headers=BOB)).status_code == 404
        assert (await client.delete(f"/api/v1/verdicts/{last}", headers=ANN)).status_code == 204
        assert (await client.delete(f"/api/v1/verdicts/{last}", headers=ANN)).status_code == 404
        suspect = {"artefact": "hiss", "verdict": "unsure"}
        assert (await client.post("/api/v1/verdicts/artefacts", json=suspect, headers=ADMIN)).status_code == 201
        standing = await asyncio.to_thread(read_verdicts, settings.kafka)
        assert sorted(said.verdict for said in standing) == ["artefact", "right_for_wrong_reason", "unsure"]
        assert counted(standing) == {"hiss": {"artefact": 1, "unsure": 1}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"verdict": "right"},
        {"window_id": "call-1", "verdict": "right"},
        {"window_id": "a/b/c/0-1", "verdict": "maybe"},
        {"window_id": "a/b/c/0-1", "verdict": "artefact"},
        {"window_id": "a/b/c/0-1", "verdict": "right", "reviewer": "Jane Doe"},
        {"window_id": "a/b/c/0-1", "verdict": "right", "artefact": "h\u00e9"},
        {"window_id": "a/b/c/0-1", "verdict": "right", "span": {"modality": "audio", "start_ms": 5, "end_ms": 5, "mask": "evidence"}},
        {"window_id": "a/b/c/0-1" + "1" * 5000, "verdict": "right"},
    ],
)
async def test_a_wrong_verdict_is_refused_without_being_quoted(away: Settings, wrong: dict[str, Any]) -> None:
    async with gateway_of(away) as (client, _):
        answer = await client.post("/api/v1/verdicts", json=wrong, headers=ANN)
        assert answer.status_code == 400
        assert "Jane" not in answer.text


async def test_without_a_broker_a_verdict_is_not_lost_in_silence(away: Settings) -> None:
    async with gateway_of(away) as (client, _):
        answer = await client.post("/api/v1/verdicts", json={"window_id": "a/b/c/0-1", "verdict": "right"}, headers=ANN)
        assert answer.status_code == 503
        assert "send it again" in answer.json()["detail"]


async def test_health_answers_in_time_with_everything_away(away: Settings) -> None:
    nothing = away.model_copy(update={"redis": away.redis.model_copy(update={"url": SecretStr(f"redis://127.0.0.1:{free_port()}/0")})})
    async with gateway_of(nothing) as (client, _):
        async with asyncio.timeout(8):
            answer = await client.get("/api/v1/health", headers=OPERATOR)
        health = answer.json()
        assert answer.status_code == 200
        assert [(service["name"], service["ok"]) for service in health["services"]] == [
            ("kafka", False),
            ("redis", False),
            ("triton", False),
        ]
        assert (health["ok"], health["workers"], health["queue"]) == (False, None, None)
        assert (await client.get("/api/v1/alerts", headers=ANN)).status_code == 503
        assert (await client.get("/api/v1/reveal", headers=OPERATOR)).status_code == 503


async def test_health_names_a_worker_that_is_behind(away: Settings) -> None:
    redis = RedisConnection(away.redis)
    beats, name = WorkerBeats(redis), uuid.uuid4().hex
    await beats.put(WorkerBeat(worker=name, at_ms=0, since_ms=1, partitions=6, windows=0, overload="it is 7.2 s behind"))
    async with gateway_of(away) as (client, _):
        health = (await client.get("/api/v1/health", headers=OPERATOR)).json()
    (worker,) = [worker for worker in health["workers"] if worker["worker"] == name]
    assert (worker["ok"], worker["overload"], health["ok"]) == (True, "it is 7.2 s behind", False)
    await beats.remove(name)
    await redis.close()


async def test_reveal_without_a_report_and_with_services_away(away: Settings) -> None:
    async with gateway_of(away) as (client, _):
        shown = (await client.get("/api/v1/reveal", headers=OPERATOR)).json()
        assert (shown["verdicts"], shown["versions"]) == (None, None)
        assert (await client.post("/api/v1/reveal/rollback", headers=OPERATOR)).status_code == 403
        assert (await client.post("/api/v1/reveal/rollback", headers=ADMIN)).status_code in {409, 503}


async def test_alerts_that_are_read_are_fed(away: Settings, tenant: str) -> None:
    async with gateway_of(away) as (client, gateway):
        gateway.desk.feeder.offer(make_alert(tenant=tenant))
        gateway.desk.feeder.offer(make_alert(tenant=tenant, state=AlertState.CLEARED))
        for _ in range(50):
            answer = await client.get(case_path(tenant), headers=ANN)
            if answer.status_code == 200 and answer.json()["cleared_at_ms"] is not None:
                break
            await asyncio.sleep(0.1)
        assert answer.json()["cleared_at_ms"] is not None


async def _append(stream: str, record: bytes, client: RedisClient) -> None:
    await client.xadd(stream, {"record": record})


async def test_alerts_that_were_raised_while_no_gateway_ran_are_found_at_the_start(away: Settings, tenant: str) -> None:
    redis = RedisConnection(away.redis)
    alerts = [make_alert(2_000 * number, tenant=tenant) for number in range(1, 260)]
    names, now_ms = session_names(SessionKey(tenant, "call-1")), round(time.time() * 1000)
    await redis.once(lambda client: client.zadd(SESSIONS, {f"{tenant}/call-1": now_ms}))
    for record in [*map(encode_record, alerts), b"of another release"]:
        await redis.once(partial(_append, names.alerts, record))
    async with gateway_of(away) as (client, _), gateway_of(away):
        path = f"/api/v1/alerts?session={tenant}/call-1"
        async with asyncio.timeout(20):
            while len(found := (await client.get(path, headers=ANN)).json()["items"]) < len(alerts):
                await asyncio.sleep(0.1)
    assert sorted(case["alert_id"] for case in found) == sorted(alert.alert_id for alert in alerts)
    await redis.close()
