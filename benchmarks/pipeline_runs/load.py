"""Live sessions in real time, in a separate process: one record for each modality and second, until SIGTERM or for the given time.

``python -m benchmarks.pipeline_runs.load BOOTSTRAP TOPIC_PREFIX encoded|raw SESSIONS SECONDS``
"""

from __future__ import annotations

import sys
import time

from confluent_kafka import Producer

from benchmarks.chunks import second_header
from benchmarks.pipeline_runs import media
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.kafka_records import chunk_headers, session_record
from stream.domain.modality import MODALITIES
from stream.domain.session_events import KeyedSessionEvent, SessionStart, TrackPlan
from stream.domain.topics import Topics

TRACK = "customer"
TENANT = "bench"


class Load:
    """Sessions whose starts are spread evenly over one second. At the end of each of its seconds, a session sends that second."""

    def __init__(self, bootstrap: str, prefix: str, second_of: media.Second, sessions: int) -> None:
        self._topics = Topics(prefix)
        self._producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 5, "acks": "all"})
        self._second_of = second_of
        run = prefix.rstrip(".") or "run"
        self._tracks = [TrackKey(SessionKey(TENANT, f"{run}-{number}"), TRACK) for number in range(sessions)]

    def run(self, seconds: int) -> float:
        """Send the given number of seconds of each session. Returns how far the sending fell behind at worst, in seconds."""
        for track in self._tracks:
            start = KeyedSessionEvent(track.session, SessionStart(0, (TrackPlan(TRACK, TRACK, MODALITIES),)))
            key, value, headers = session_record(start, "benchmark", 0)
            self._producer.produce(self._topics.sessions, key=key, value=value, headers=headers)
        began, behind = time.time() + 0.5, 0.0
        for index in range(seconds * len(self._tracks)):
            second, session = divmod(index, len(self._tracks))
            due = began + second + 1 + session / len(self._tracks)
            wait = due - time.time()
            if wait > 0:
                self._producer.poll(0)
                time.sleep(wait)
            behind = max(behind, -wait)
            self._send(self._tracks[session], second, round(due * 1000))
        self._producer.flush(30)
        return behind

    def _send(self, track: TrackKey, second: int, captured_ms: int) -> None:
        for modality, (content_type, payload) in self._second_of(second).items():
            header = second_header(track, modality, second, captured_ms, content_type)
            self._producer.produce(
                self._topics.chunks(modality), key=str(track.session).encode(), value=payload, headers=chunk_headers(header)
            )


def main() -> None:
    """Send the load that the command line asks for."""
    bootstrap, prefix, kind, sessions, seconds = sys.argv[1:]
    load = Load(bootstrap, prefix, media.encoded if kind == "encoded" else media.raw(), int(sessions))
    behind = load.run(int(seconds))
    print(f"sent, at worst {behind:.2f} s behind", flush=True)


if __name__ == "__main__":
    main()
