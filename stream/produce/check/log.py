"""What the topics, transactions and dead letters say about a session."""

from __future__ import annotations

from stream.domain.media_format import MAX_RECORD_BYTES
from stream.domain.wording import rough_duration
from stream.produce.check.clocks import YEAR_2000_MS
from stream.produce.check.finding import Findings
from stream.produce.check.record import LogFacts, TopicFacts

SOON = 2
"""Retention is short if records are deleted before they are this many times as old as the session is long."""

ABOUT_TO_GO = 0.9
"""Of the time for which a topic keeps records."""

LEAST_RETENTION_MS = 3_600_000
"""A worker that is down or behind for an hour should still find the chunks."""


def check_log(log: LogFacts, first_ms: int, newest_ms: int, findings: Findings) -> None:
    """Report what is wrong around the session's records.

    Args:
        log: What was read.
        first_ms: Kafka's timestamp of the session's first record.
        newest_ms: Kafka's timestamp of its newest record.
        findings: Receives what is found.
    """
    counts = {topic.name: topic.partitions for topic in log.topics}
    if len(set(counts.values())) > 1:
        counted = ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))
        text = f"the input topics have different numbers of partitions ({counted}): the records of a session do not meet in one worker"
        findings.error("partition_counts", text, "give all of them the largest, or set kafka.topic_prefix to use others", count=0)
    for reason, count in log.refused.items():
        text = f"workers have refused records of this session with the reason {reason}"
        findings.error("refused", text, "docs/producers.md says what to do about each reason", count=count)
    if log.unreadable:
        text = "records could not be read here: the name of a header is not UTF-8, or they are damaged"
        findings.warn("unreadable", text, "names of headers are text in UTF-8; check what your client writes", count=log.unreadable)
    _check_transactions(log, findings)
    # Clients that send no valid timestamp write 0 or -1.
    if first_ms < YEAR_2000_MS:
        text = "Kafka's timestamps are before the year 2000: Kafka deletes such records at once, for their age"
        findings.error(
            "kafka_timestamp", text, "leave the timestamp of records out, or set it to the present time in milliseconds", count=0
        )
    for topic in log.topics:
        _check_topic(topic, findings)
        if first_ms >= YEAR_2000_MS and topic.retention_ms is not None:
            _check_retention(topic.name, topic.retention_ms, newest_ms - first_ms, log.read_ms - first_ms, findings)
    if not log.to_end:
        fix = "raise --timeout, or set --since to a later time"
        findings.warn("not_read_to_the_end", "the topics were not read to their ends: records may be missing here", fix, count=0)


def _check_transactions(log: LogFacts, findings: Findings) -> None:
    if log.aborted:
        text = "records belong to transactions that were aborted: workers leave them out"
        findings.warn("aborted", text, "send them again in a transaction that is committed", count=log.aborted)
    if log.waiting_partitions:
        text = f"a transaction is open in {', '.join(log.waiting_partitions)}: workers see nothing that was sent there after it began"
        fix = "commit at least every second; transaction.timeout.ms (60 s by default) bounds what a dead producer holds back"
        findings.error("open_transaction", text, fix, count=log.open)


def _check_topic(topic: TopicFacts, findings: Findings) -> None:
    if topic.compacted:
        text = f"{topic.name} is compacted: Kafka deletes all but the last record of a session"
        findings.error("compacted", text, f"set cleanup.policy=delete for {topic.name}", count=0)
    if topic.max_record_bytes is not None and topic.max_record_bytes < MAX_RECORD_BYTES:
        text = f"{topic.name} takes records of at most {topic.max_record_bytes:,} bytes"
        fix = "set max.message.bytes to 1048588: a chunk may have 900,000 bytes and its headers"
        findings.warn("max_message_bytes", text, fix, count=0)


def _check_retention(topic: str, retention_ms: int, length_ms: int, age_ms: int, findings: Findings) -> None:
    if retention_ms < max(LEAST_RETENTION_MS, SOON * length_ms):
        text = f"{topic} keeps records for {rough_duration(retention_ms)} only"
        fix = "set retention.ms to a day or more: workers that were down read the chunks of open windows again"
        findings.warn("retention", text, fix, count=0)
    elif age_ms > ABOUT_TO_GO * retention_ms:
        text = f"{topic} keeps records for {rough_duration(retention_ms)}; the first of this session are {rough_duration(age_ms)} old"
        findings.warn("retention", text, "read what you still need of it now", count=0)
