"""Alerts are published with their windows, and a worker that takes over raises the same ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from stream.domain.context import ContextFeatures
from stream.domain.delivery import FinaliseOutcome, InboundRecord, WindowAlerts
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.result import ExplanationRecord, ScoreRecord, encode_record
from tests.fakes.processing_context import FakeStore, FakeWorker
from tests.support.delivery import END, SECONDS, START
from tests.support.rules import alerts_of, rule_set

SESSION = SessionKey("acme", "call-1")
TRACK = TrackKey(SESSION, "customer")


def worker(store: FakeStore | None = None) -> FakeWorker:
    return FakeWorker(store=store or FakeStore(), rules=rule_set())


def records(of: FakeWorker) -> list[InboundRecord]:
    return [of.event(START), *(of.words(seq, spoken=seq % 5 > 0) for seq in range(SECONDS)), of.event(END)]


async def whole() -> FakeWorker:
    alone = worker()
    await alone.feed(*records(alone))
    return alone


def published(*workers: FakeWorker) -> list[bytes]:
    return [value for one in workers for _, value, _ in one.sent[one.topics.alerts]]


async def test_alerts_go_to_kafka_and_redis_with_their_windows() -> None:
    alone = await whole()
    finals = list(zip(alone.store.scores[TRACK], alone.store.explanations[TRACK], strict=True))
    expected = alerts_of(finals)
    assert {alert.rule for alert in expected} == {"any-words", "every-third"}
    assert alone.store.alerts[SESSION] == expected
    assert published(alone) == [encode_record(alert) for alert in expected]
    ids = [dict(headers)["ce_id"].decode() for _, _, headers in alone.sent[alone.topics.alerts]]
    assert ids == [alert.alert_id for alert in expected]


@pytest.mark.parametrize("crash_after", range(4, 14))
async def test_a_worker_that_takes_over_raises_the_same_alerts(crash_after: int) -> None:
    expected, first = await whole(), worker()
    sent = records(first)
    await first.feed(*sent[:crash_after])
    first.router.stop()
    successor = worker(first.store)
    await successor.feed(*(r for r in sent if (r.topic, r.offset) not in first.acknowledged))
    assert first.store.alerts == expected.store.alerts
    assert published(first, successor) == published(expected)
    assert first.store.rules == expected.store.rules


class ForgetfulStore(FakeStore):
    """Redis is gone when the window that ends at 8 s, which raises an alert, is to be made final."""

    async def finalise(
        self,
        score: ScoreRecord,
        explanation: ExplanationRecord,
        token: int,
        contribution: ContextFeatures | None = None,
        alerts: WindowAlerts | None = None,
    ) -> FinaliseOutcome:
        if score.end_ms == 8000:
            raise ConnectionError("gone")
        return await super().finalise(score, explanation, token, contribution, alerts)


async def test_an_alert_that_is_published_twice_has_the_same_content_twice() -> None:
    expected, first = await whole(), worker(ForgetfulStore())
    sent = records(first)
    await first.feed(*sent)
    first.router.stop()
    known = FakeStore(
        first.store.scores,
        first.store.explanations,
        first.store.contributions,
        alerts=first.store.alerts,
        rules=first.store.rules,
        tokens=first.store.tokens,
    )
    successor = worker(known)
    await successor.feed(*(r for r in sent if (r.topic, r.offset) not in first.acknowledged))
    assert known.alerts == expected.store.alerts
    assert len(published(first, successor)) > len(published(expected))
    assert set(published(first, successor)) == set(published(expected))


async def test_a_fenced_worker_counts_and_stores_no_alert() -> None:
    late = worker()
    late.store.tokens[SESSION] = 1000
    await late.feed(*records(late))
    assert late.store.alerts[SESSION] == []
    assert counted(late) == {}


async def test_alerts_are_counted_by_rule_once_they_are_final() -> None:
    alone = await whole()
    raised = [alert for alert in alone.store.alerts[SESSION] if alert.state == "raised"]
    assert sum(count for (_, state), count in counted(alone).items() if state == "raised") == len(raised)
    assert b"call-1" not in alone.context.metrics.text()


@pytest.mark.parametrize(
    "damage", [lambda state: state[:-1], lambda _: '{"epoch": 0, "end_ms": 2000}'], ids=["unreadable", "of another window"]
)
async def test_a_state_that_does_not_fit_begins_anew(damage: Callable[[str], str]) -> None:
    first = worker()
    sent = records(first)
    await first.feed(*sent[:8])
    first.router.stop()
    first.store.rules[TRACK] = damage(first.store.rules[TRACK])
    successor = worker(first.store)
    await successor.feed(*(r for r in sent if (r.topic, r.offset) not in first.acknowledged))
    assert not successor.failures
    assert len(first.store.scores[TRACK]) == len((await whole()).store.scores[TRACK])


async def test_without_rules_nothing_is_kept() -> None:
    bare = FakeWorker()
    await bare.feed(*records(bare))
    assert bare.store.rules == {}
    assert published(bare) == []


def counted(of: FakeWorker) -> dict[tuple[str, str], float]:
    families = text_string_to_metric_families(of.context.metrics.text().decode())
    samples = [sample for family in families for sample in family.samples if sample.name == "sentistream_alerts_total"]
    return {(sample.labels["rule"], sample.labels["state"]): sample.value for sample in samples}
