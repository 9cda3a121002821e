"""Live sessions in real time, in a separate process, until SIGTERM or for the given time.

``python -m benchmarks.pipeline_runs.load BOOTSTRAP TOPIC_PREFIX encoded|FILE FIRST SESSIONS SECONDS``; FILE is from `raw_media.write_clip`,
and FIRST is the number of the first session. It prints ``began`` and the moment at which the first session begins (Unix s).
"""

from __future__ import annotations

import heapq
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from confluent_kafka import Producer

from benchmarks.chunks import chunk_header
from benchmarks.pipeline_runs.raw_media import SECOND_MS, Piece
from benchmarks.pipeline_runs.schedule import session_name
from benchmarks.pipeline_runs.script import Script, script
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.kafka_records import chunk_headers, session_record
from stream.domain.session_events import KeyedSessionEvent, SessionStart, TrackPlan
from stream.domain.topics import Topics

TRACK = "customer"
TENANT = "bench"


class Load:
    """Sessions whose starts are spread evenly over one second. A session sends each chunk when the chunk's media ends."""

    def __init__(self, bootstrap: str, prefix: str, script: Script, sessions: range) -> None:
        self._topics = Topics(prefix)
        self._producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 5, "acks": "all"})
        self._script = script
        self._numbers = sessions
        self._tracks = [TrackKey(SessionKey(TENANT, session_name(prefix, number)), TRACK) for number in sessions]

    def run(self, seconds: int) -> float:
        """Send the given number of seconds of each session. Returns how far the sending fell behind at worst, in seconds."""
        for track in self._tracks:
            start = KeyedSessionEvent(track.session, SessionStart(0, (TrackPlan(TRACK, TRACK, tuple(self._script.modalities)),)))
            key, value, headers = session_record(start, "benchmark", 0)
            self._producer.produce(self._topics.sessions, key=key, value=value, headers=headers)
        began, behind = time.time() + 0.5, 0.0
        print("began", began, flush=True)
        for due, second, session, end_ms in heapq.merge(*(self._turns(end_ms, seconds) for end_ms in self._script.ends_ms)):
            wait = began + due - time.time()
            if wait > 0:
                self._producer.poll(0)
                time.sleep(wait)
            behind = max(behind, -wait)
            self._send(session, second, end_ms, round((began + due) * 1000))
        self._producer.flush(30)
        return behind

    def _turns(self, end_ms: int, seconds: int) -> Iterator[tuple[float, int, int, int]]:
        """The chunks that end at one place of their second: when (seconds from the beginning), second, session and that place."""
        count = len(self._tracks)
        for index in range(seconds * count):
            second, session = divmod(index, count)
            yield second + end_ms / SECOND_MS + session / count, second, session, end_ms

    def _send(self, session: int, second: int, end_ms: int, captured_ms: int) -> None:
        for piece in self._script.pieces(self._numbers[session], second):
            if piece.end_ms == end_ms:
                self._send_piece(self._tracks[session], second, piece, captured_ms)

    def _send_piece(self, track: TrackKey, second: int, piece: Piece, captured_ms: int) -> None:
        start_ms = second * SECOND_MS + piece.start_ms
        header = chunk_header(
            track,
            piece.modality,
            seq=start_ms // piece.duration_ms,
            start_ms=start_ms,
            duration_ms=piece.duration_ms,
            captured_ms=captured_ms,
            content_type=piece.content_type,
        )
        self._producer.produce(
            self._topics.chunks(piece.modality), key=str(track.session).encode(), value=piece.payload, headers=chunk_headers(header)
        )


def main() -> None:
    """Send the load that the command line asks for."""
    bootstrap, prefix, media, first, sessions, seconds = sys.argv[1:]
    numbers = range(int(first), int(first) + int(sessions))
    load = Load(bootstrap, prefix, script(None if media == "encoded" else Path(media)), numbers)
    behind = load.run(int(seconds))
    print(f"sent, at worst {behind:.2f} s behind", flush=True)


if __name__ == "__main__":
    main()
