"""Live sessions that know what their windows must hold."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from kafka import KafkaProducer

from benchmarks.chunks import second_header
from stream.config.settings import KafkaSettings
from stream.domain.chunk import ContentType
from stream.domain.features import Word
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.kafka_records import chunk_headers, encode_words, session_record
from stream.domain.modality import Modality
from stream.domain.session_events import KeyedSessionEvent, SessionEnd, SessionEvent, SessionStart, TrackEnd, TrackPlan
from stream.domain.topics import Topics
from stream.kafka_admin.connection import kafka_options

TRACK = "customer"
MEDIA_BEGAN_MS = 1_700_000_000_000
LENGTH_MS, HOP_MS, LATENESS_MS = 4000, 2000, 500
"""The default windows, which the oracle is written for."""

LAG_S = 2
"""By so much the last modality of every second session comes later than the others."""

HUM = (np.sin(np.arange(16_000) / 20) * 9000).astype("<i2").tobytes()


@dataclass
class Session:
    """One conversation: what has been said in it, and when the broker had it."""

    key: SessionKey
    modalities: tuple[Modality, ...]
    lag_s: int = 0
    """The last modality comes so much later (media time)."""
    words: list[list[str]] = field(default_factory=list)
    """Of each second."""
    arrived: list[tuple[float, int]] = field(default_factory=list)
    """(monotonic time, media ms) that the broker has confirmed."""
    ended: bool = False

    def expected(self) -> dict[int, tuple[str, ...]]:
        """End and words of every final window."""
        media_ms = len(self.words) * 1000
        ends = range(LENGTH_MS, media_ms + LENGTH_MS, HOP_MS)
        return {end: self._spoken(end) for end in ends if end - LENGTH_MS < media_ms}

    def _spoken(self, end_ms: int) -> tuple[str, ...]:
        return tuple(word for second in self.words[max(0, end_ms - LENGTH_MS) // 1000 : end_ms // 1000] for word in second)

    def due_ms(self, now: float, patience_s: float) -> int:
        """End of the newest window that should have been final ``patience_s`` ago; 0 while none is."""
        reached = max((media_ms for at, media_ms in self.arrived if at <= now - patience_s), default=0) - LATENESS_MS
        return max(0, reached // HOP_MS * HOP_MS) if reached >= LENGTH_MS else 0


class Traffic:
    """Sends a second of every session each ``1 / speed`` seconds until it is stopped, then the sessions' ends.

    In every second session sound lags behind the words, whose chunks then wait longer than their neighbours' in a partition: done and open
    chunks lie among each other, and a commit that passes an open one loses it with the worker.

    Args:
        kafka: Where to; the producer does not come in through a proxy.
        sessions: How many.
        modalities: What those without lag send.
        most_words: In one second.
        speed: Media seconds per second.
        seed: Of what is said.
    """

    def __init__(
        self, kafka: KafkaSettings, *, sessions: int, modalities: tuple[Modality, ...], most_words: int, speed: float, seed: int
    ) -> None:
        self._topics = Topics(kafka.topic_prefix)
        self._producer = KafkaProducer(**kafka_options(kafka), reconnect_backoff_max_ms=500, acks="all")
        self._chance = random.Random(seed)
        self._most_words = most_words
        self._speed = speed
        names = (f"{kafka.topic_prefix}{number}" for number in range(sessions))
        lagging = (Modality.TEXT, Modality.AUDIO)
        self.sessions = [
            Session(SessionKey("bench", name.replace(".", "-")), *((lagging, LAG_S) if number % 2 else (modalities, 0)))
            for number, name in enumerate(names)
        ]

    async def run(self, stop: asyncio.Event) -> None:
        """Send until ``stop``; returns when the broker has everything."""
        for session in self.sessions:
            self._begin(session)
        began, second = time.monotonic(), 0
        while not stop.is_set():
            await asyncio.to_thread(self._send_second, second)
            second += 1
            await asyncio.sleep(max(0.0, began + second / self._speed - time.monotonic()))
        for session in self.sessions:
            for late in range(max(0, second - session.lag_s), second):
                self._send(session, session.modalities[-1], late)
            self._end(session)
        await asyncio.to_thread(self._producer.flush)
        for session in self.sessions:
            session.ended = True

    async def again(self) -> list[Session]:
        """Say all of it once more, at once and in sessions of other names; returns when the broker has everything."""
        twins = [replace(one, key=SessionKey(one.key.tenant, f"{one.key.session}-again"), lag_s=0, arrived=[]) for one in self.sessions]
        for twin in twins:
            self._begin(twin)
            for second in range(len(twin.words)):
                for modality in twin.modalities:
                    self._send(twin, modality, second)
            self._end(twin)
        await asyncio.to_thread(self._producer.flush)
        return twins

    async def close(self) -> None:
        """Let the producer go."""
        await asyncio.to_thread(self._producer.close)

    def _send_second(self, second: int) -> None:
        for session in self.sessions:
            session.words.append([f"w{self._chance.randrange(10_000)}" for _ in range(self._chance.randint(0, self._most_words))])
            *prompt, last = session.modalities
            for modality in prompt:
                self._send(session, modality, second)
            if second >= session.lag_s:
                self._send(session, last, second - session.lag_s)

    def _send(self, session: Session, modality: Modality, second: int) -> None:
        value = encode_words(_timed(session.words[second], second)) if modality is Modality.TEXT else HUM
        content_type = ContentType.WORDS if modality is Modality.TEXT else ContentType.PCM
        header = second_header(TrackKey(session.key, TRACK), modality, second, MEDIA_BEGAN_MS + second * 1000, content_type)
        key = str(session.key).encode()
        sent = self._producer.send(self._topics.chunks(modality), key=key, value=value, headers=chunk_headers(header))
        if modality is session.modalities[-1]:
            sent.add_callback(lambda _: session.arrived.append((time.monotonic(), second * 1000 + 1000)))

    def _begin(self, session: Session) -> None:
        self._event(session, SessionStart(0, (TrackPlan(TRACK, TRACK, session.modalities),)))

    def _end(self, session: Session) -> None:
        seconds = len(session.words)
        self._event(session, SessionEnd(0, seconds * 1000, (TrackEnd(TRACK, dict.fromkeys(session.modalities, seconds)),)))

    def _event(self, session: Session, event: SessionEvent) -> None:
        key, value, headers = session_record(KeyedSessionEvent(session.key, event), "benchmark", 0)
        self._producer.send(self._topics.sessions, key=key, value=value, headers=headers)


def _timed(words: list[str], second: int) -> Iterator[Word]:
    step = 900 // max(1, len(words))
    for number, word in enumerate(words):
        start = second * 1000 + 50 + number * step
        yield Word(word, start, start + step - 50)
