"""Synthetic live sessions that know which words each of their windows must contain."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from kafka import KafkaProducer

from benchmarks.chunks import second_header
from stream.config.service_settings import KafkaSettings
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
"""Length, hop and allowed lateness of the default windows. The oracle works only for these."""

LAG_S = 2
"""In every second session, the last modality is sent this many seconds after the others."""

HUM = (np.sin(np.arange(16_000) / 20) * 9000).astype("<i2").tobytes()


@dataclass
class Session:
    """A session: the words that it has sent, and when the broker confirmed them."""

    key: SessionKey
    modalities: tuple[Modality, ...]
    lag_s: int = 0
    """Delay of the last modality, in seconds of media time."""
    group: int = 0
    """Sessions of group 0 begin at once, those of another group when `Traffic.begin` is called for it."""
    began_s: int | None = None
    """Second of the traffic at which it began; None before."""
    words: list[list[str]] = field(default_factory=list)
    """The words of each second."""
    confirmed: list[tuple[float, int]] = field(default_factory=list)
    """Monotonic time of each confirmation, and the media time (ms) up to which the broker has everything."""
    ended: bool = False

    def expected(self) -> dict[int, tuple[str, ...]]:
        """The words of every final window, by the end of the window (ms)."""
        media_ms = len(self.words) * 1000
        ends = range(LENGTH_MS, media_ms + LENGTH_MS, HOP_MS)
        return {end: self._words_before(end) for end in ends if end - LENGTH_MS < media_ms}

    def _words_before(self, end_ms: int) -> tuple[str, ...]:
        return tuple(word for second in self.words[max(0, end_ms - LENGTH_MS) // 1000 : end_ms // 1000] for word in second)

    def due_ms(self, now: float, patience_s: float) -> int:
        """End (ms) of the newest window that should have been final ``patience_s`` ago; 0 if there is none."""
        reached = max((media_ms for confirmed_at, media_ms in self.confirmed if confirmed_at <= now - patience_s), default=0) - LATENESS_MS
        return max(0, reached // HOP_MS * HOP_MS) if reached >= LENGTH_MS else 0


class Traffic:
    """Sends one second of every session each ``1 / speed`` seconds until it is stopped, and then the end of each session.

    In every second session the audio lags behind the words, so the chunks with its words are acknowledged later than those of other
    sessions in the same partition. Finished and unfinished chunks then alternate in the partition, and a commit beyond an unfinished chunk
    would lose that chunk if its worker died.

    Args:
        kafka: Settings of the broker. The producer connects to it without a proxy.
        sessions: Number of sessions.
        modalities: The modalities of the sessions without lag.
        max_words: Most words in one second.
        speed: Media seconds per second.
        seed: Seed for the words.
        groups: Number of groups of sessions that begin one after the other.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        *,
        sessions: int,
        modalities: tuple[Modality, ...],
        max_words: int,
        speed: float,
        seed: int,
        groups: int = 1,
    ) -> None:
        self._topics = Topics(kafka.topic_prefix)
        self._producer = KafkaProducer(**kafka_options(kafka), reconnect_backoff_max_ms=500, acks="all")
        self._random = random.Random(seed)
        self._max_words = max_words
        self._speed = speed
        names = (f"{kafka.topic_prefix}{number}" for number in range(sessions))
        lagging = (Modality.TEXT, Modality.AUDIO)
        self.sessions = [
            Session(
                SessionKey("bench", name.replace(".", "-")),
                *((lagging, LAG_S) if number % 2 else (modalities, 0)),
                group=number * groups // sessions,
            )
            for number, name in enumerate(names)
        ]
        self._begun = 1

    def begin(self, group: int) -> None:
        """Let the sessions of a group begin, and of the groups before it."""
        self._begun = max(self._begun, group + 1)

    async def run(self, stop: asyncio.Event) -> None:
        """Send until ``stop`` is set, and return when the broker has everything."""
        began, second = time.monotonic(), 0
        while not stop.is_set():
            await asyncio.to_thread(self._send_second, second)
            second += 1
            await asyncio.sleep(max(0.0, began + second / self._speed - time.monotonic()))
        for session in self.sessions:
            seconds = len(session.words)
            for lagging_second in range(max(0, seconds - session.lag_s), seconds):
                self._send(session, session.modalities[-1], lagging_second)
        await self._end(self.sessions)
        for session in self.sessions:
            session.ended = True

    async def replay(self, sessions: Sequence[Session]) -> list[Session]:
        """Send these sessions again, as fast as possible and under new names; return when the broker has everything."""
        keys = [SessionKey(session.key.tenant, f"{session.key.session}-again") for session in sessions]
        twins = [replace(session, key=key, lag_s=0, confirmed=[]) for session, key in zip(sessions, keys, strict=True)]
        for twin in twins:
            self._send_start(twin)
        for second in range(max(len(twin.words) for twin in twins)):
            for twin in [twin for twin in twins if second < len(twin.words)]:
                for modality in twin.modalities:
                    self._send(twin, modality, second)
            # So that no modality falls far behind another, which would look like silence.
            await asyncio.to_thread(self._producer.flush)
        await self._end(twins)
        return twins

    async def _end(self, sessions: Sequence[Session]) -> None:
        """Send the ends of sessions once the broker has all their chunks.

        On a busy machine a small record may overtake large ones by more than `windows.end_grace_ms`.
        """
        await asyncio.to_thread(self._producer.flush)
        for session in sessions:
            self._send_end(session)
        await asyncio.to_thread(self._producer.flush)

    async def close(self) -> None:
        """Close the producer."""
        await asyncio.to_thread(self._producer.close)

    def _send_second(self, second: int) -> None:
        for session in [session for session in self.sessions if session.group < self._begun]:
            if session.began_s is None:
                session.began_s = second
                self._send_start(session)
            session.words.append([f"w{self._random.randrange(10_000)}" for _ in range(self._random.randint(0, self._max_words))])
            *punctual, last = session.modalities
            for modality in punctual:
                self._send(session, modality, second - session.began_s)
            if second - session.began_s >= session.lag_s:
                self._send(session, last, second - session.began_s - session.lag_s)

    def _send(self, session: Session, modality: Modality, second: int) -> None:
        value = encode_words(_with_times(session.words[second], second)) if modality is Modality.TEXT else HUM
        content_type = ContentType.WORDS if modality is Modality.TEXT else ContentType.PCM
        header = second_header(TrackKey(session.key, TRACK), modality, second, MEDIA_BEGAN_MS + second * 1000, content_type)
        key = str(session.key).encode()
        future = self._producer.send(self._topics.chunks(modality), key=key, value=value, headers=chunk_headers(header))
        if modality is session.modalities[-1]:
            future.add_callback(lambda _: session.confirmed.append((time.monotonic(), second * 1000 + 1000)))

    def _send_start(self, session: Session) -> None:
        self._send_event(session, SessionStart(0, (TrackPlan(TRACK, TRACK, session.modalities),)))

    def _send_end(self, session: Session) -> None:
        seconds = len(session.words)
        self._send_event(session, SessionEnd(0, seconds * 1000, (TrackEnd(TRACK, dict.fromkeys(session.modalities, seconds)),)))

    def _send_event(self, session: Session, event: SessionEvent) -> None:
        key, value, headers = session_record(KeyedSessionEvent(session.key, event), "benchmark", 0)
        self._producer.send(self._topics.sessions, key=key, value=value, headers=headers)


def _with_times(words: list[str], second: int) -> Iterator[Word]:
    step = 900 // max(1, len(words))
    for number, word in enumerate(words):
        start = second * 1000 + 50 + number * step
        yield Word(word, start, start + step - 50)
