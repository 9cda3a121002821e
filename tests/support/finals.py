"""Makes windows final in a sink under test."""

from __future__ import annotations

from stream.domain.delivery import FinaliseOutcome
from stream.domain.result import ScoreRecord
from stream.sinks.redis_sink import RedisSink
from tests.fakes.results import make_explanation


async def finalise(sink: RedisSink, score: ScoreRecord, token: int = 1, sentence: str = "Because.") -> FinaliseOutcome:
    """Make a window final with an explanation that fits it."""
    return await sink.finalise(score, make_explanation(score, sentence), token)
