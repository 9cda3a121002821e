"""Sends a session of six seconds to sentistream: sound and words of one speaker. Needs only confluent-kafka (librdkafka).

python producer.py --bootstrap 127.0.0.1:9092 --session python-1
"""

from __future__ import annotations

import argparse
import json
import math
import struct
import sys
import time
import uuid
from datetime import UTC, datetime

from confluent_kafka import KafkaError, KafkaException, Message, Producer

SECONDS = 6
RATE = 16_000  # samples a second; 16 bit, little-endian, mono
WORDS = ("hello", "this", "is", "a", "short", "test.")
TENANT, TRACK, ROLE, SOURCE = "default", "customer", "customer", "examples/python"


def main() -> int:
    """Send the session; the exit code is 1 if Kafka did not take a record."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bootstrap", default="127.0.0.1:9092", help="HOST:PORT of Kafka")
    parser.add_argument("--session", required=True, help="name of the session: a new one for each run")
    parser.add_argument("--topic-prefix", default="", help="kafka.topic_prefix of the workers")
    arguments = parser.parse_args()
    session, prefix = arguments.session, arguments.topic_prefix

    producer = Producer({
        "bootstrap.servers": arguments.bootstrap,
        # The default of librdkafka puts keys elsewhere than the Java client, and workers refuse the records (wrong_partition).
        "partitioner": "murmur2_random",
        # acks=all and retries without repeats or changes of order.
        "enable.idempotence": True,
        "linger.ms": 5,
        # Give up after half a minute without a broker, instead of five minutes.
        "message.timeout.ms": 30_000,
    })  # fmt: skip
    failed: list[KafkaError] = []

    def on_delivery(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failed.append(error)

    def send(topic: str, value: bytes, headers: dict[str, str]) -> None:
        # The key is tenant/session in every topic: all records of a session meet in one worker.
        key, encoded = f"{TENANT}/{session}".encode(), [(name, text.encode()) for name, text in headers.items()]
        producer.produce(prefix + topic, value, key, headers=encoded, on_delivery=on_delivery)
        producer.poll(0)

    # This recording ended just now. A live producer takes the time of the first sample, and sends each chunk as soon as it is complete.
    began = time.time() - SECONDS
    plan = [{"track": TRACK, "role": ROLE, "modalities": ["text", "audio"]}]
    send("sessions", json_bytes({"event": "start", "epoch": 0, "tracks": plan}), event_headers(session, "start", began))
    for second in range(SECONDS):
        send("chunks.audio", tone(second), chunk_headers(session, "audio", "audio/L16;rate=16000;channels=1", second, began))
        # Word times count from the start of the session. A second without words has an empty list; it is sent, too.
        word = {"text": WORDS[second], "start_ms": second * 1000 + 300, "end_ms": second * 1000 + 700, "confidence": 0.9}
        words = json_bytes({"words": [word], "final": WORDS[second].endswith(".")})
        send("chunks.text", words, chunk_headers(session, "text", "application/vnd.sentistream.words+json", second, began))
    counts = [{"track": TRACK, "chunks": {"text": SECONDS, "audio": SECONDS}}]
    end = {"event": "end", "epoch": 0, "media_ms": SECONDS * 1000, "tracks": counts}
    send("sessions", json_bytes(end), event_headers(session, "end", began + SECONDS))

    producer.flush()
    for error in failed:
        print(f"Kafka did not take a record: {error.str()}", file=sys.stderr)
    return 1 if failed else 0


def event_headers(session: str, event: str, at: float) -> dict[str, str]:
    """Headers of a session event at a moment (Unix seconds)."""
    return {
        "ce_specversion": "1.0",
        "ce_id": str(uuid.uuid4()),
        "ce_source": SOURCE,
        "ce_type": f"io.sentistream.session.{event}",
        "ce_subject": session,
        "ce_time": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds"),
        "content-type": "application/json",
        "ce_tenant": TENANT,
        "ce_schemaversion": "1.0",
    }


def chunk_headers(session: str, modality: str, content_type: str, second: int, began: float) -> dict[str, str]:
    """Headers of the chunk of one second of a session that began at a moment (Unix seconds)."""
    return {
        # The capture time of a chunk is that of its last sample.
        **event_headers(session, "", began + second + 1),
        "ce_type": f"io.sentistream.chunk.{modality}",
        "content-type": content_type,
        "ce_track": TRACK,
        "ce_role": ROLE,
        # 0, 1, 2… for each modality of each track.
        "ce_sequence": str(second),
        # Raise it whenever the media clock starts again at 0.
        "ce_epoch": "0",
        "ce_mediastart": str(second * 1000),
        "ce_mediaduration": "1000",
    }


def tone(second: int) -> bytes:
    """One second of a soft tone of 200 Hz."""
    numbers = range(second * RATE, (second + 1) * RATE)
    return struct.pack(f"<{RATE}h", *(int(8000 * math.sin(2 * math.pi * 200 * number / RATE)) for number in numbers))


def json_bytes(value: object) -> bytes:
    """JSON in UTF-8."""
    return json.dumps(value).encode()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KafkaException as error:
        sys.exit(f"Kafka: {error}")
