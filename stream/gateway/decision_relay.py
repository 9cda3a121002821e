"""Publishes decisions in the topic ``decisions``, once they can no longer be withdrawn.

A decision and the note that it has to be published are one atomic step in Redis. The note goes away only when the broker has the record. So
each decision is published at least once, with the same bytes and the same ``ce_id``, also if Kafka is away for hours or the gateway dies in
between; of several gateways one publishes at a time. A session's decisions are published in the order in which they were made.
"""

from __future__ import annotations

import asyncio
from secrets import token_hex
from typing import NoReturn

import structlog

from stream.domain.alert import AlertRecord
from stream.domain.case import Decided
from stream.domain.decision import DecisionRecord, decision_message, statement_of_reasons
from stream.gateway.topic_sender import TopicSender
from stream.kafka_admin.errors import BrokerError
from stream.sinks.alert_queue import AlertQueue
from stream.sinks.decision_outbox import DecisionOutbox
from stream.sinks.problems import RedisUnusableError

log = structlog.get_logger(__name__)

EVERY_S = 1.0
RETRY_S = 5.0
LEASE_MS = 30_000


class DecisionRelay:
    """Publishes while `run` runs.

    Args:
        queue: Knows the tenants.
        outbox: Holds the decisions.
        sender: Sends to the topic.

    Attributes:
        problem: Why decisions are not published now; None if they are.
    """

    def __init__(self, queue: AlertQueue, outbox: DecisionOutbox, sender: TopicSender) -> None:
        self.problem: str | None = None
        self._queue = queue
        self._outbox = outbox
        self._sender = sender
        self._name = token_hex(8)

    async def run(self) -> NoReturn:
        """Publish until cancelled; waits out outages."""
        while True:
            try:
                for tenant in await self._queue.tenants():
                    await self._publish(tenant)
                self.problem = None
            except (BrokerError, RedisUnusableError) as error:
                if self.problem is None:
                    log.warning("decisions_wait", reason=str(error))
                self.problem = str(error)
            await asyncio.sleep(EVERY_S if self.problem is None else RETRY_S)

    async def _publish(self, tenant: str) -> None:
        due = await self._outbox.due(tenant)
        if not due or not await self._outbox.lease(tenant, self._name, LEASE_MS):
            return
        try:
            # Read again: the gateway that had the lease before may have published them meanwhile.
            for alert, status in await self._outbox.due(tenant):
                if status.decided is not None:
                    await self._sender.send(*decision_message(decision_record(alert, status.decided)))
                await self._outbox.published(tenant, [alert.alert_id])
        finally:
            await self._outbox.end_lease(tenant, self._name)


def decision_record(alert: AlertRecord, decided: Decided) -> DecisionRecord:
    """The record of a decision: a function of the case alone."""
    decision, draft = decided.decision, alert.statement
    return DecisionRecord(
        decision_id=decided.decision_id,
        tenant=alert.tenant,
        session=alert.session,
        track=alert.track,
        window_id=alert.window_id,
        alert_id=alert.alert_id,
        rule=alert.rule,
        rule_version=alert.rule_version,
        severity=alert.severity,
        outcome=decision.outcome,
        policy=decision.policy,
        reason=decision.reason,
        role=decided.role,
        decided_at_ms=decided.at_ms,
        statement=statement_of_reasons(decision, draft, decided.at_ms),
        contest="" if draft is None else draft.contest,
        audit_sequence=decided.audit_sequence,
        audit_hash=decided.audit_hash,
    )
