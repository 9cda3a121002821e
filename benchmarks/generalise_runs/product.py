"""Sends recordings through the running product: an embedded stack with one worker.

The recordings of a speaker are one session, with pauses in which no window holds two of them: as in a conversation, the service has
heard the speaker before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from rich.progress import Progress

from benchmarks.generalise_runs.voices import Answer, Recording, WindowMean, conversations
from benchmarks.running_product import running_product
from stream.config.service_settings import KafkaSettings
from stream.config.settings import Settings
from stream.domain.identity import SessionKey
from stream.domain.kafka_records import chunk_headers, session_record
from stream.domain.media_format import MAX_CHUNK_MS, SAMPLE_RATE
from stream.domain.modality import Modality
from stream.domain.result import PartialRecord, ScoreRecord, SessionRecord
from stream.domain.session_events import KeyedSessionEvent
from stream.domain.topics import Topics
from stream.media.media_info import AudioSource
from stream.media.pcm import Samples
from stream.media.source import SourcePiece
from stream.produce.producer import RecordSender
from stream.produce.session import PlannedChunk, SentCounts, SessionPlan, TrackSetup, plan_records
from stream.sinks.reader import ResultReader

TENANT = "generalise"
SOUND = AudioSource(0)
"""What the only sound is called in its session."""

OPEN_SESSIONS = 24
"""Sessions that are sent and not yet scored: enough to fill the worker's batches, and few enough that none waits long."""

RECORDINGS = 40
"""Most recordings in a session, which then lasts some minutes."""

PAUSE_MS = 6_000
"""Least time between two recordings: longer than a window, so that no window holds two of them."""


async def answers(recordings: Sequence[Recording], progress: Progress, title: str, settings: Settings | None = None) -> list[Answer | None]:
    """The product's answers to recordings, in their order; `settings` name another model repository, for example."""
    async with running_product(TENANT, settings) as running, ResultReader(running.redis, tenant=TENANT) as reader:
        return await _Run(recordings, running.kafka).answers(reader, progress, title)


class _Run:
    def __init__(self, recordings: Sequence[Recording], kafka: KafkaSettings) -> None:
        self._recordings = recordings
        self._kafka = kafka
        self._sessions = {f"{number:05d}": own for number, own in enumerate(conversations(recordings, RECORDINGS, seed=0))}
        self._means: dict[str, dict[str, WindowMean]] = {}
        self._free = asyncio.Semaphore(OPEN_SESSIONS)

    async def answers(self, reader: ResultReader, progress: Progress, title: str) -> list[Answer | None]:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send_all())
            tasks.create_task(self._receive(reader, progress, title))
        found = {name: mean.answer() for means in self._means.values() for name, mean in means.items()}
        return [found[recording.name] for recording in self._recordings]

    async def _send_all(self) -> None:
        loop = asyncio.get_running_loop()
        # One thread, because the sender belongs to the thread that uses it.
        with ThreadPoolExecutor(1) as thread, RecordSender(self._kafka) as sender:
            for session, recordings in self._sessions.items():
                await self._free.acquire()
                samples = await loop.run_in_executor(thread, lambda own: [recording.samples() for recording in own], recordings)
                spans = _spans([own.shape[0] for own in samples])
                self._means[session] = {
                    recording.name: WindowMean(start_ms, end_ms) for recording, (start_ms, end_ms) in zip(recordings, spans, strict=True)
                }
                pieces = [piece for own, (start_ms, _) in zip(samples, spans, strict=True) for piece in _pieces(own, start_ms)]
                await loop.run_in_executor(thread, _send, sender, Topics(self._kafka.topic_prefix), session, pieces)
            await loop.run_in_executor(thread, sender.flush)

    async def _receive(self, reader: ResultReader, progress: Progress, title: str) -> None:
        left = len(self._sessions)
        bar = progress.add_task(title, total=len(self._recordings))
        async for received in reader:
            record = received.record
            if isinstance(record, ScoreRecord) and not isinstance(record, PartialRecord):
                for mean in self._means[record.session].values():
                    mean.add(record)
            if isinstance(record, SessionRecord):
                self._free.release()
                progress.advance(bar, len(self._sessions[record.session]))
                left -= 1
                if not left:
                    return


def _spans(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Start and end (ms) of recordings of some samples each, one after the other with pauses; each starts at a full second."""
    spans: list[tuple[int, int]] = []
    start_ms = 0
    for size in sizes:
        end_ms = start_ms + -(-size * 1000 // SAMPLE_RATE)
        spans.append((start_ms, end_ms))
        start_ms = -(-(end_ms + PAUSE_MS) // MAX_CHUNK_MS) * MAX_CHUNK_MS
    return spans


def _send(sender: RecordSender, topics: Topics, session: str, pieces: Sequence[SourcePiece]) -> None:
    """Send a session of sound alone, as fast as possible. Capture times are media times, so that no clock matters."""
    plan = SessionPlan(SessionKey(TENANT, session), (TrackSetup("speaker", "speaker", audio=SOUND),))
    sent = SentCounts(plan)
    sender.send(topics.sessions, *session_record(KeyedSessionEvent(plan.key, plan.start()), plan.source, 0))
    for record in plan_records(plan, pieces):
        if isinstance(record, PlannedChunk):
            header = record.header(plan, record.due_ms)
            sender.send(topics.chunks(record.modality), str(plan.key).encode("ascii"), record.payload, chunk_headers(header))
            sent.add(record)
    sender.send(topics.sessions, *session_record(KeyedSessionEvent(plan.key, sent.end()), plan.source, sent.media_ms))


def _pieces(samples: Samples, start_ms: int) -> Iterator[SourcePiece]:
    for second in range(-(-samples.shape[0] // SAMPLE_RATE)):
        own = samples[second * SAMPLE_RATE : (second + 1) * SAMPLE_RATE]
        duration_ms = -(-own.shape[0] * 1000 // SAMPLE_RATE)
        yield SourcePiece(Modality.AUDIO, SOUND, start_ms + second * MAX_CHUNK_MS, duration_ms, own.astype("<i2").tobytes())
