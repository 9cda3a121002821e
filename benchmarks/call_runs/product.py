"""Sends one recording through the running product: an embedded stack with one worker."""

from __future__ import annotations

import asyncio

from benchmarks.call_runs.measures import ScoredWindow, scored
from benchmarks.running_product import running_product
from stream.config.settings import Settings
from stream.config.worker_settings import PolicySettings
from stream.domain.result import ExplanationRecord, PartialRecord, ScoreRecord, SessionRecord
from stream.produce.prepare import PreparedSession
from stream.produce.producer import produce_session
from stream.sinks.reader import ResultReader


async def windows_of(session: PreparedSession) -> list[ScoredWindow]:
    """Send a session as fast as possible; returns its final windows with a score.

    Raises:
        SourceError: Nothing in the file can be decoded.
        TranscriptError: The transcript cannot be sent.
    """
    # The call is measured with everybody's voice.
    everybody = Settings(policy=PolicySettings(roles={"agent": "all"}))
    async with running_product("call", everybody) as settings, ResultReader(settings.redis, [session.plan.key]) as reader:
        await asyncio.to_thread(produce_session, settings.kafka, session, speed=None)
        return await _received(reader)


async def _received(reader: ResultReader) -> list[ScoredWindow]:
    scores, explanations = [], []
    async for received in reader:
        match received.record:
            case PartialRecord():
                pass
            case ScoreRecord() as record:
                scores.append(record)
            case ExplanationRecord() as record:
                explanations.append(record)
            case SessionRecord():
                break
    return scored(scores, explanations)
