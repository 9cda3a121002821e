"""Makes windows final in Redis: one atomic step for each window, one round trip for many of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from redis.exceptions import NoScriptError

from stream.aio.batcher import Batcher
from stream.config.settings import RedisSettings
from stream.domain.clock_skew import encode_skews
from stream.domain.context import CONTEXT_KEPT, ContextFeatures, encode_context
from stream.domain.delivery import FinaliseOutcome
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.result import ExplanationRecord, ScoreRecord, encode_record
from stream.sinks.connection import RedisClient, RedisConnection
from stream.sinks.keys import session_names, track_names
from stream.sinks.scripts import FINALISE, Argument

BATCH = 64
DELAY_S = 0.002
"""Windows of different tracks that become final within this time share one round trip to Redis, at most `BATCH` of them."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A call of `FINALISE`: its keys, and its arguments before and after the flag that says whether the call may be a repeat."""

    keys: list[str]
    before: list[Argument]
    after: list[Argument]


class Finaliser:
    """Calls `FINALISE` for windows, and waits out outages.

    Args:
        redis: The connection.
        settings: How long results live, and how many.
    """

    def __init__(self, redis: RedisConnection, settings: RedisSettings) -> None:
        self._redis = redis
        self._settings = settings
        self._batcher = Batcher(self._finalise_together, shape=lambda _: None, max_size=BATCH, delay_s=DELAY_S)

    def close(self) -> None:
        """Cancel all windows that are not final yet."""
        self._batcher.close()

    async def finalise(
        self, score: ScoreRecord, explanation: ExplanationRecord, token: int, contribution: ContextFeatures | None
    ) -> FinaliseOutcome:
        """As `stream.sinks.redis_sink.RedisSink.finalise`."""
        track = TrackKey(SessionKey(score.tenant, score.session), score.track)
        of_session, of_track = session_names(track.session), track_names(track)
        score_json, explanation_json, skews_json = encode_record(score), encode_record(explanation), encode_skews(score.sync)
        latest: dict[str, Argument] = {"window_id": score.window_id}
        numbers = {"score": score.score, "label": score.label, "confidence": score.confidence}
        latest |= {name: value for name, value in numbers.items() if value is not None}
        latest |= {"sentence": explanation.sentence, "record": score_json, "explanation": explanation_json}
        keys = [
            of_session.state,
            of_session.tracks,
            of_track.scores,
            of_track.explanations,
            of_track.latest,
            of_track.partial,
            of_track.context,
        ]
        before: list[Argument] = [token, score.epoch, score.end_ms, score.track]
        before += [self._settings.stream_length, self._settings.result_ttl_s, of_session.nudge]
        contribution_json = b"" if contribution is None else encode_context(contribution)
        fields = [part for pair in latest.items() for part in pair]
        after: list[Argument] = [skews_json, score_json, explanation_json, contribution_json, CONTEXT_KEPT, *fields]
        return await self._batcher.answer(_Call(keys, before, after))

    async def _finalise_together(self, calls: Sequence[_Call]) -> list[FinaliseOutcome]:
        """Make several windows final in one round trip.

        1. Call the script for each window. From the second attempt on, the calls are marked as possible repeats: an earlier attempt may
           have taken effect although its answer was lost.
        2. A server that has restarted, or a node of a cluster that is new to the session, does not know the script. Repeat the calls that
           did not find it, with its text.
        3. Raise the first error that is left: an outage leads to another attempt.
        """

        async def attempt(redis: RedisClient, failures: int) -> list[str]:
            # 1.
            answers = await _evaluate(redis, "EVALSHA", FINALISE.sha, calls, may_repeat=failures > 0)
            # 2.
            unknown = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            if unknown:
                again = await _evaluate(redis, "EVAL", FINALISE.text, [calls[index] for index in unknown], may_repeat=failures > 0)
                for index, answer in zip(unknown, again, strict=True):
                    answers[index] = answer
            # 3.
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            return cast(list[str], answers)

        return [FinaliseOutcome(answer) for answer in await self._redis.waiting_out(attempt)]


async def _evaluate(redis: RedisClient, command: str, script: str, calls: Sequence[_Call], *, may_repeat: bool) -> list[str | Exception]:
    """Call a script for each window in one round trip; on a cluster, in one for each node.

    Errors are returned among the answers. Redis-py would raise an error that quotes the command, and with it the words of the window,
    which must not get into the log.
    """
    async with redis.pipeline(transaction=False) as pipe:
        for call in calls:
            # Not pipe.evalsha: redis-py bars it in pipelines of a cluster, although the keys of each call are in one slot.
            pipe.execute_command(command, script, len(call.keys), *call.keys, *call.before, int(may_repeat), *call.after)
        return cast("list[str | Exception]", await pipe.execute(raise_on_error=False))
