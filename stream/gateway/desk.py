"""What people work with: the moderation queue and its relay, verdicts, uploads, and the health of everything."""

from __future__ import annotations

import asyncio

from stream.config.settings import Settings
from stream.domain.topics import Topics
from stream.gateway.alert_feeder import AlertFeeder
from stream.gateway.decision_relay import DecisionRelay
from stream.gateway.service_health import ServiceChecks
from stream.gateway.topic_sender import TopicSender
from stream.gateway.uploads import Uploads
from stream.gateway.verdict_counts import VerdictCounts
from stream.kafka_admin.topics import ensure_decisions, ensure_feedback
from stream.sinks.alert_queue import AlertQueue
from stream.sinks.connection import RedisConnection
from stream.sinks.decision_outbox import DecisionOutbox
from stream.sinks.sent_verdicts import SentVerdicts
from stream.sinks.worker_beats import WorkerBeats


class Desk:
    """The parts, and their work in the background.

    Args:
        settings: The effective settings.
        redis: The connection that all requests share.
    """

    def __init__(self, settings: Settings, redis: RedisConnection) -> None:
        topics = Topics(settings.kafka.topic_prefix)
        self.queue = AlertQueue(settings.redis, redis)
        self.feeder = AlertFeeder(self.queue, redis)
        self.decisions = TopicSender(settings.kafka, topics.decisions, ensure_decisions)
        self.verdicts = TopicSender(settings.kafka, topics.feedback, ensure_feedback)
        self.verdict_counts = VerdictCounts(settings.kafka)
        self.sent_verdicts = SentVerdicts(redis)
        self.relay = DecisionRelay(self.queue, DecisionOutbox(redis), self.decisions)
        self.uploads = Uploads(settings.kafka)
        self.checks = ServiceChecks(settings, redis)
        self.beats = WorkerBeats(redis)

    async def run(self) -> None:
        """Feed the queue and publish decisions until cancelled; then end uploads and close connections."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.feeder.run())
                tasks.create_task(self.relay.run())
        finally:
            await self.uploads.close()
            await asyncio.gather(self.decisions.close(), self.verdicts.close(), self.checks.close(), return_exceptions=True)
