"""Writes every record that the pipeline publishes for the packaged sample: ``python -m benchmarks.sample_records FILE``.

The sample is sent as fast as possible to an embedded stack, with capture times that do not depend on the clock. The same code therefore
writes the same file in every run on one kind of processor, and ``cmp`` compares two versions of the code byte for byte::

    python -m benchmarks.sample_records before.jsonl     # in one checkout
    python -m benchmarks.sample_records after.jsonl      # in another
    cmp before.jsonl after.jsonl
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition

from stream.config.service_settings import KafkaSettings
from stream.config.settings import Settings
from stream.domain.result import SessionRecord
from stream.domain.topics import Topics
from stream.kafka_admin.connection import kafka_options
from stream.kafka_admin.topics import ensure_topics
from stream.local.stack import Stack
from stream.local.worker import Workers
from stream.produce.prepare import PreparedSession, prepare
from stream.produce.producer import produce_session
from stream.produce.sample import sample_requests
from stream.sinks.reader import ResultReader

RECORDED_AT_MS = 1_760_000_000_000
"""The recordings count as having ended at this wall-clock time (Unix ms)."""

QUIET_MS = 2000
"""A topic counts as read to its end when no record arrives for this long. The end offsets of the embedded broker are too low to rely on."""


async def published_records() -> list[str]:
    """All published records as sorted lines of JSON: topic, key, headers and value. A repeated record appears once."""
    sessions = [prepare(replace(request, session=f"sample-{number}")) for number, request in enumerate(sample_requests())]
    with tempfile.TemporaryDirectory(prefix="sentistream-sample-") as directory:
        async with Stack(Settings(), Path(directory)) as stack:
            settings = stack.settings
            await asyncio.to_thread(ensure_topics, settings.kafka)
            keys = [session.plan.key for session in sessions]
            async with Workers(settings, Path(directory)), ResultReader(settings.redis, keys) as reader:
                await _send_all(settings.kafka, sessions, reader)
            return await asyncio.to_thread(_read_all, settings.kafka)


async def _send_all(kafka: KafkaSettings, sessions: Sequence[PreparedSession], reader: ResultReader) -> None:
    """Send the sessions concurrently, and wait for their summaries."""
    sending = [asyncio.to_thread(produce_session, kafka, session, speed=None, now_ms=lambda: RECORDED_AT_MS) for session in sessions]
    sent = asyncio.gather(*sending)
    open_sessions = {session.plan.key.session for session in sessions}
    async for result in reader:
        if isinstance(result.record, SessionRecord):
            open_sessions.discard(result.record.session)
            if not open_sessions:
                break
    await sent


def _read_all(kafka: KafkaSettings) -> list[str]:
    topics = Topics(kafka.topic_prefix)
    lines: set[str] = set()
    with closing(KafkaConsumer(**kafka_options(kafka), enable_auto_commit=False)) as consumer:
        partitions = [TopicPartition(name, number) for name in topics.outputs for number in consumer.partitions_for_topic(name) or ()]
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        while polled := consumer.poll(timeout_ms=QUIET_MS):
            for records in polled.values():
                for record in records:
                    headers = sorted((name, value.decode()) for name, value in record.headers)
                    lines.add(json.dumps([record.topic, record.key.decode(), headers, record.value.decode()]))
    return sorted(lines)


def main() -> None:
    """Write the records to the file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0], formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="file for the records, one JSON list per line: topic, key, headers, value")
    options = parser.parse_args()
    lines = asyncio.run(published_records())
    options.file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} records written to {options.file}")


if __name__ == "__main__":
    main()
