"""Verdicts of reviewers: sent to the topic ``feedback``, and read from its beginning."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import closing

from kafka import KafkaConsumer, TopicPartition

from stream.config.service_settings import KafkaSettings
from stream.domain.kafka_records import BadRecordError
from stream.domain.topics import Topics
from stream.domain.verdict import SuspectVerdict, Verdict, parse_feedback, standing, verdict_record
from stream.kafka_admin.connection import broker_errors, kafka_options, require_broker
from stream.kafka_admin.topics import ensure_feedback
from stream.produce.producer import RecordSender

SOURCE = "sentistream/verdict"
QUIET_MS = 2_000
"""The topic counts as read to its end when no record comes for this long."""


def send_verdict(kafka: KafkaSettings, verdict: Verdict) -> None:
    """Send a verdict and wait until the broker has it. Creates the topic. Raises `BrokerError` and `WrongBrokerError`."""
    ensure_feedback(kafka)
    with RecordSender(kafka) as sender:
        sender.send(Topics(kafka.topic_prefix).feedback, *verdict_record(verdict, SOURCE))
        sender.flush()


def read_verdicts(kafka: KafkaSettings) -> list[Verdict | SuspectVerdict]:
    """All verdicts in the topic that were not taken back, without records that cannot be read.

    Raises `BrokerError` and `WrongBrokerError`.
    """
    require_broker(kafka)
    topic = Topics(kafka.topic_prefix).feedback
    feedback = []
    with broker_errors(kafka), closing(KafkaConsumer(**kafka_options(kafka), enable_auto_commit=False)) as consumer:
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        if not partitions:
            return []
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        while polled := consumer.poll(timeout_ms=QUIET_MS):
            for record in (record for records in polled.values() for record in records):
                try:
                    feedback.append(parse_feedback(record.key, record.value, record.headers))
                except BadRecordError:
                    continue
    return standing(feedback)


def counted(verdicts: Iterable[Verdict | SuspectVerdict]) -> dict[str, dict[str, int]]:
    """Number of verdicts by artefact and kind. Of several verdicts of one role on one window and artefact, the last counts."""
    latest: dict[tuple[str, str, str], str] = {}
    for said in verdicts:
        if said.artefact is not None:
            window_id = said.window_id if isinstance(said, Verdict) else ""
            latest[window_id, said.reviewer, said.artefact] = said.verdict
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for (_, _, artefact), verdict in latest.items():
        counts[artefact][verdict] += 1
    return {artefact: dict(own) for artefact, own in counts.items()}
