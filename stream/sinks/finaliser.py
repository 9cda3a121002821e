"""Makes windows final in Redis: one atomic step for each window, one round trip for many of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.exceptions import NoScriptError

from stream.aio.batcher import Batcher
from stream.config.service_settings import RedisSettings
from stream.domain.clock_skew import encode_skews
from stream.domain.context import CONTEXT_KEPT, ContextFeatures, encode_context
from stream.domain.delivery import FinaliseOutcome, WindowAlerts
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.result import ExplanationRecord, ScoreRecord, encode_record
from stream.domain.track_scores import encode_scores
from stream.explain.changes import scores_after
from stream.sinks.connection import RedisClient, RedisConnection
from stream.sinks.keys import session_names, track_names
from stream.sinks.problems import RedisProblem, diagnosis
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
        self,
        score: ScoreRecord,
        explanation: ExplanationRecord,
        token: int,
        contribution: ContextFeatures | None,
        alerts: WindowAlerts | None,
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
            of_session.alerts,
        ]
        before: list[Argument] = [token, score.epoch, score.end_ms, score.track]
        before += [self._settings.stream_length, self._settings.result_ttl_s, of_session.nudge]
        contribution_json = b"" if contribution is None else encode_context(contribution)
        scores = scores_after(score, explanation)
        scores_json = b"" if scores is None else encode_scores(scores)
        after: list[Argument] = [
            skews_json,
            score_json,
            explanation_json,
            contribution_json,
            CONTEXT_KEPT,
            score.model.version,
            scores_json,
        ]
        raised, rules_json = ((), b"") if alerts is None else alerts
        after += [rules_json, len(raised), *map(encode_record, raised)]
        after += [part for pair in latest.items() for part in pair]
        return await self._batcher.answer(_Call(keys, before, after))

    async def _finalise_together(self, calls: Sequence[_Call]) -> list[FinaliseOutcome]:
        """Make several windows final in one round trip.

        1. Call the script for each window. From the second attempt on, the calls are marked as possible repeats: an earlier attempt may
           have taken effect although its answer was lost.
        2. A server that has restarted, or a node of a cluster that is new to the session, does not know the script. Repeat the calls that
           did not find it, with its text.
        3. Raise the first error that is left: an outage leads to another attempt.
        4. If replicas are to confirm the windows, wait for them. Those that do not lead to another attempt as well.
        """

        async def attempt(redis: RedisClient, failures: int) -> list[str]:
            # 1.
            answers, confirmed = await self._evaluate(redis, "EVALSHA", FINALISE.sha, calls, may_repeat=failures > 0)
            # 2.
            unknown = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            if unknown:
                repeated = [calls[index] for index in unknown]
                again, confirmed_again = await self._evaluate(redis, "EVAL", FINALISE.text, repeated, may_repeat=failures > 0)
                confirmed = confirmed and confirmed_again
                for index, answer in zip(unknown, again, strict=True):
                    answers[index] = answer
            # 3.
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            # 4.
            if not confirmed:
                raise diagnosis(RedisProblem.UNCONFIRMED).as_error(str(self._redis.address))
            return cast(list[str], answers)

        return [FinaliseOutcome(answer) for answer in await self._redis.waiting_out(attempt)]

    async def _evaluate(
        self, redis: RedisClient, command: str, script: str, calls: Sequence[_Call], *, may_repeat: bool
    ) -> tuple[list[str | Exception], bool]:
        """Call a script for each window in one round trip; on a cluster, in one for each node.

        Errors are returned among the answers. Redis-py would raise an error that quotes the command, and with it the words of the window,
        which must not get into the log.

        Returns:
            The answers, and whether as many replicas as wanted have everything that was written here.
        """
        wanted = self._settings.confirm_replicas
        nodes = await _nodes(redis, calls) if wanted else []
        async with redis.pipeline(transaction=False) as pipe:
            for call in calls:
                # Not pipe.evalsha: redis-py bars it in pipelines of a cluster, although the keys of each call are in one slot.
                pipe.execute_command(command, script, len(call.keys), *call.keys, *call.before, int(may_repeat), *call.after)
            for node in nodes:
                # On the connection of the calls: WAIT counts the replicas that have what was written on its own connection.
                options = {} if node is None else {"target_nodes": node}
                pipe.execute_command("WAIT", wanted, round(self._settings.timeout_s * 500), **options)
            answers: list[Any] = await pipe.execute(raise_on_error=False)
        counts = answers[len(calls) :]
        confirmed = all(isinstance(count, int) and count >= wanted for count in counts)
        # A call that was redirected meanwhile went out on another connection.
        return answers[: len(calls)], confirmed and (not wanted or nodes == await _nodes(redis, calls))


async def _nodes(redis: RedisClient, calls: Sequence[_Call]) -> list[ClusterNode | None]:
    """The nodes of a cluster that have the keys of the calls; None stands for the only server."""
    if not isinstance(redis, RedisCluster):
        return [None]
    await redis.initialize()
    return list(dict.fromkeys(redis.get_node_from_key(call.keys[0]) for call in calls))
