"""Reads the topics scores and alerts with kafka-python, and nothing of sentistream.

python plain_kafka.py --bootstrap 127.0.0.1:9092 --group my-service
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from kafka import KafkaConsumer
from kafka.errors import KafkaError

REMEMBERED = 10_000


def main() -> None:
    """Print a line for each score and each alert, until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bootstrap", default="127.0.0.1:9092", help="HOST:PORT of Kafka")
    parser.add_argument("--group", default="plain-kafka", help="consumer group: it remembers what was read")
    parser.add_argument("--topic-prefix", default="", help="kafka.topic_prefix of the workers")
    parser.add_argument("--lines", type=int, default=0, help="stop after so many lines; 0: never")
    arguments = parser.parse_args()
    consumer = KafkaConsumer(
        arguments.topic_prefix + "scores",
        arguments.topic_prefix + "alerts",
        bootstrap_servers=arguments.bootstrap,
        group_id=arguments.group,
        auto_offset_reset="earliest",
        # Committed below, after the records were handled: a crash repeats some of them, and loses none.
        enable_auto_commit=False,
        isolation_level="read_committed",
        # A program that has died is replaced after this time; the default is 45 s.
        session_timeout_ms=10_000,
        heartbeat_interval_ms=3_000,
    )
    seen: dict[str, None] = {}
    printed = 0
    try:
        while True:
            for records in consumer.poll(timeout_ms=500).values():
                for record in records:
                    headers = {name: value.decode() for name, value in record.headers}
                    # After a crash of a worker or of this program a record may come again, with the same id and the same content.
                    if headers["ce_id"] in seen:
                        continue
                    seen[headers["ce_id"]] = None
                    if len(seen) > REMEMBERED:
                        del seen[next(iter(seen))]
                    print(line(headers["ce_type"], json.loads(record.value)), flush=True)
                    printed += 1
            consumer.commit()
            if 0 < arguments.lines <= printed:
                return
    finally:
        consumer.close()


def line(kind: str, value: dict[str, Any]) -> str:
    """A record in words. Fields that later releases add are passed over."""
    who = f"{value['session']} {value['role']}"
    if kind.endswith(".alert"):
        return f"ALERT {value['state']} {value['severity']}: {value['title']} ({who})"
    score = "nothing to score" if value["score"] is None else f"{value['label']} {value['score']:+.1f}"
    return f"{who} {value['start_ms'] / 1000:.0f}-{value['end_ms'] / 1000:.0f} s: {score}"


if __name__ == "__main__":
    try:
        main()
    except KafkaError as error:
        sys.exit(f"Kafka: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
