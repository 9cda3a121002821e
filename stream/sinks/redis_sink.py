"""Writes results to Redis: each window becomes final at most once, and none is lost."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import structlog
from redis.exceptions import NoScriptError

from stream.aio.backoff import Backoff
from stream.aio.batcher import Batcher
from stream.aio.outage import wait_out
from stream.config.settings import RedisSettings
from stream.domain.clock_skew import decode_skews, encode_skews
from stream.domain.context import CONTEXT_KEPT, ContextFeatures, decode_context, encode_context
from stream.domain.delivery import FinaliseOutcome, LastFinal
from stream.domain.epoch import EpochAssignment, SessionEpochs
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.result import ExplanationRecord, PartialRecord, ScoreRecord, SessionRecord, decode_record, encode_record
from stream.sinks.connection import connect, is_outage
from stream.sinks.keys import FENCE, SESSIONS, session_names, track_names
from stream.sinks.scripts import BEGIN_EPOCH, FINALISE, NEXT_FENCE, PUT_PARTIAL, PUT_SUMMARY

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")
Argument = bytes | str | int | float

BACKOFF = Backoff(first_s=0.05, cap_s=2.0)
ACTIVE_EVERY_S = 10.0
"""A session is moved to the end of the list of active sessions no more often than this."""

PAGE = 500
"""Final windows read in one call."""

FINALS_TOGETHER = 64
FINALS_WAIT_S = 0.002
"""Windows of different tracks that are published within this time share one round trip to Redis."""


@dataclass(frozen=True, slots=True)
class _Final:
    """A call of `FINALISE`: its keys, and its arguments before and after the flag that says whether the call may be a repeat."""

    keys: list[str]
    before: list[Argument]
    after: list[Argument]


class RedisSink:
    """The result store of a worker. Every method but `ping` and `put_partial` waits out an outage, until it is cancelled.

    Args:
        settings: Where Redis is, how long results live.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._marked_at: dict[SessionKey, float] = {}
        self._redis = connect(settings)
        self._finalise = self._redis.register_script(FINALISE)
        self._put_partial = self._redis.register_script(PUT_PARTIAL)
        self._begin_epoch = self._redis.register_script(BEGIN_EPOCH)
        self._put_summary = self._redis.register_script(PUT_SUMMARY)
        self._next_token = self._redis.register_script(NEXT_FENCE)
        self._finals_batch = Batcher(self._finalise_together, shape=lambda _: None, max_size=FINALS_TOGETHER, delay_s=FINALS_WAIT_S)

    async def close(self) -> None:
        """Close all connections."""
        self._finals_batch.close()
        await self._redis.aclose()
        await self._redis.connection_pool.aclose()

    async def ping(self) -> None:
        """Check once that Redis answers. Raises ``redis.exceptions.RedisError``."""
        await self._redis.ping()

    async def next_token(self) -> int:
        """A fencing token, higher than any before."""
        return int(await self._waiting_out(lambda _: self._next_token(keys=[FENCE])))

    async def finalise(
        self, score: ScoreRecord, explanation: ExplanationRecord, token: int, contribution: ContextFeatures | None = None
    ) -> FinaliseOutcome:
        """Make a window final in one atomic step, unless it is already or the session belongs to another worker.

        Refused as `FinaliseOutcome.FENCED` if `token` is below the highest that the session has seen, as `FinaliseOutcome.REPLAYED` if
        (epoch, end_ms) is not above the track's last final window. A call that took effect although its answer was lost returns
        `FinaliseOutcome.ACCEPTED` when it is repeated. The window's contribution to the context of later windows is stored with it.
        """
        session, track = SessionKey(score.tenant, score.session), _track(score)
        of_session, of_track = session_names(session), track_names(track)
        body, why, sync = encode_record(score), encode_record(explanation), encode_skews(score.sync)
        latest: dict[str, Argument] = {"window_id": score.window_id, "score": score.score, "label": score.label}
        latest |= {"confidence": score.confidence, "sentence": explanation.sentence, "record": body, "explanation": why}
        keys = [
            of_session.state,
            of_session.tracks,
            of_track.scores,
            of_track.explanations,
            of_track.latest,
            of_track.partial,
            of_track.context,
        ]
        settings = self._settings
        before: list[Argument] = [token, score.epoch, score.end_ms, score.track]
        before += [settings.stream_length, settings.result_ttl_s, of_session.nudge]
        kept = b"" if contribution is None else encode_context(contribution)
        fields = [part for pair in latest.items() for part in pair]
        outcome = await self._finals_batch.answer(_Final(keys, before, [sync, body, why, kept, CONTEXT_KEPT, *fields]))
        if outcome is not FinaliseOutcome.FENCED and self._is_mark_due(session):
            await self._waiting_out(lambda _: self._mark_active(session))
        return outcome

    async def _finalise_together(self, finals: Sequence[_Final]) -> list[FinaliseOutcome]:
        async def call(attempt: int) -> list[str]:
            answers = await self._evaluate(finals, may_repeat=attempt > 0)
            unknown = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            if unknown:
                await self._redis.script_load(FINALISE)
                again = await self._evaluate([finals[index] for index in unknown], may_repeat=attempt > 0)
                for index, answer in zip(unknown, again, strict=True):
                    answers[index] = answer
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            return cast(list[str], answers)

        return [FinaliseOutcome(answer) for answer in await self._waiting_out(call)]

    async def _evaluate(self, finals: Sequence[_Final], *, may_repeat: bool) -> list[str | Exception]:
        """Call the script for each window in one round trip.

        Errors are returned among the answers. The error that redis-py would raise for a pipeline quotes the command, and with it what was
        said.
        """
        async with self._redis.pipeline(transaction=False) as pipe:
            for final in finals:
                arguments = (*final.keys, *final.before, int(may_repeat), *final.after)
                pipe.evalsha(self._finalise.sha, len(final.keys), *arguments)
            return cast("list[str | Exception]", await pipe.execute(raise_on_error=False))

    async def put_partial(self, partial: PartialRecord) -> None:
        """Show the partial result of an open window, unless the track has a newer final window or a newer partial result.

        It is tried once: the next partial result is as good as this one. Raises ``redis.exceptions.RedisError``.
        """
        session = SessionKey(partial.tenant, partial.session)
        of_session = session_names(session)
        shown = await self._put_partial(
            keys=[of_session.state, of_session.tracks, track_names(_track(partial)).partial],
            args=[
                partial.epoch,
                partial.end_ms,
                partial.track,
                self._settings.result_ttl_s,
                of_session.nudge,
                partial.revision,
                encode_record(partial),
            ],
        )
        if shown and self._is_mark_due(session):
            await self._mark_active(session)

    async def last_final(self, track: TrackKey) -> LastFinal | None:
        """The track's last final window, None if it has none."""
        state, fields = session_names(track.session).state, [f"last:{track.track}", f"sync:{track.track}"]
        last, sync = cast(list[str | None], await self._waiting_out(lambda _: self._redis.hmget(state, fields)))
        if last is None:
            return None
        epoch, end_ms, _ = last.split("-")
        return LastFinal(int(epoch), int(end_ms), {} if sync is None else decode_skews(sync))

    async def latest(self, track: TrackKey) -> ScoreRecord | None:
        """The record of the track's last final window, None if there is none."""
        record = await self._waiting_out(lambda _: self._redis.hget(track_names(track).latest, "record"))
        return None if record is None else cast(ScoreRecord, decode_record(record))

    async def context(self, session: SessionKey, epoch: int) -> list[ContextFeatures]:
        """What the newest final windows of an epoch contribute to later ones, those of all tracks."""
        tracks = await self._waiting_out(lambda _: self._redis.smembers(session_names(session).tracks))
        found = [features for track in sorted(map(str, tracks)) for features in await self._context(TrackKey(session, track))]
        return [features for features in found if features.epoch == epoch]

    async def epochs(self, session: SessionKey) -> SessionEpochs:
        """The session's epochs."""
        state = cast(dict[str, str], await self._waiting_out(lambda _: self._redis.hgetall(session_names(session).state)))
        finals = [int(value.partition("-")[0]) for field, value in state.items() if field.startswith("last:")]
        return SessionEpochs(_assignments(state), max(finals, default=-1))

    async def begin_epoch(
        self, session: SessionKey, declared: int, media_start_at_ms: int, within_ms: int, after: int
    ) -> tuple[EpochAssignment, ...]:
        """Give a media clock that has started again an epoch number of its own, in one atomic step, unless it has one.

        Args:
            session: The session.
            declared: The epoch that its producer declares.
            media_start_at_ms: Wall clock at which its media began.
            within_ms: Tolerance: a clock whose media began at most this much later is the same clock.
            after: The epoch that it turned out not to belong to; the new number is higher.

        Returns:
            All assignments of the session, in order.
        """
        args: list[Argument] = [declared, media_start_at_ms, within_ms, after, self._settings.result_ttl_s]
        state = session_names(session).state
        pairs = cast(list[str], await self._waiting_out(lambda _: self._begin_epoch(keys=[state], args=args)))
        return _assignments(dict(zip(pairs[::2], pairs[1::2], strict=True)))

    async def restore_assignment(self, session: SessionKey, assignment: EpochAssignment) -> None:
        """Put an assignment back, unless its epoch has one."""
        state, value = session_names(session).state, f"{assignment.declared}:{assignment.media_start_at_ms}"
        await self._waiting_out(lambda _: self._redis.hsetnx(state, f"epoch:{assignment.epoch}", value))

    async def token(self, session: SessionKey) -> int:
        """The highest fencing token that the session has seen; 0 where there is none."""
        return int(await self._waiting_out(lambda _: self._redis.hget(session_names(session).state, "token")) or 0)

    async def holds(self, score: ScoreRecord) -> bool:
        """Whether the window is in its track's stream."""
        entry_id = f"{score.epoch}-{score.end_ms}"
        return bool(await self._waiting_out(lambda _: self._redis.xrange(track_names(_track(score)).scores, entry_id, entry_id)))

    async def finals(self, session: SessionKey) -> list[ScoreRecord]:
        """Final windows of all tracks and epochs of a session, each track's in order, as far as the streams reach back."""
        tracks = await self._waiting_out(lambda _: self._redis.smembers(session_names(session).tracks))
        return [final for track in sorted(map(str, tracks)) for final in await self._finals(TrackKey(session, track))]

    async def put_summary(self, record: SessionRecord) -> None:
        """Write a session's summary, unless a summary of a later epoch or of more windows is there."""
        session = SessionKey(record.tenant, record.session)
        names = session_names(session)
        keys = [names.summary, names.state, names.tracks]
        args: list[Argument] = [record.epoch, record.windows, self._settings.result_ttl_s, names.nudge, encode_record(record)]
        # The list of active sessions first: a reader that starts from it must not miss a session that only has a summary.
        await self._waiting_out(lambda _: self._mark_active(session))
        await self._waiting_out(lambda _: self._put_summary(keys=keys, args=args))

    async def _finals(self, track: TrackKey) -> list[ScoreRecord]:
        stream, start, finals = track_names(track).scores, "-", list[ScoreRecord]()
        while True:
            page = await self._page(stream, start)
            records = (decode_record(fields["record"]) for _, fields in page)
            finals += [record for record in records if isinstance(record, ScoreRecord)]
            if len(page) < PAGE:
                return finals
            start = f"({page[-1][0]}"

    async def _context(self, track: TrackKey) -> list[ContextFeatures]:
        stored = await self._waiting_out(lambda _: self._redis.lrange(track_names(track).context, 0, -1))
        return [decode_context(item) for item in stored]

    async def _page(self, stream: str, start: str) -> list[tuple[str, dict[str, str]]]:
        page = await self._waiting_out(lambda _: self._redis.xrange(stream, min=start, count=PAGE))
        return cast(list[tuple[str, dict[str, str]]], page or [])

    def _is_mark_due(self, session: SessionKey) -> bool:
        return time.monotonic() - self._marked_at.get(session, float("-inf")) >= ACTIVE_EVERY_S

    async def _mark_active(self, session: SessionKey) -> None:
        """Move the session to the end of the list of active sessions, and remove those whose results have expired."""
        now_ms = time.time() * 1000
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.zadd(SESSIONS, {str(session): round(now_ms)})
            pipe.zremrangebyscore(SESSIONS, "-inf", round(now_ms - self._settings.result_ttl_s * 1000))
            await pipe.execute()
        self._marked_at.pop(session, None)
        self._marked_at[session] = time.monotonic()
        while self._is_mark_due(oldest := next(iter(self._marked_at))):
            del self._marked_at[oldest]

    async def _waiting_out(self, call: Callable[[int], Awaitable[Answer]]) -> Answer:
        """Repeat a call, which is given the number of failed attempts, until Redis answers: an outage loses nothing."""
        return await wait_out(call, is_outage=is_outage, backoff=BACKOFF, on_outage=_log_outage, on_recovery=_log_recovery)


def _log_outage(error: Exception, failures: int) -> None:
    if failures == 1:
        log.warning("redis_unavailable", error=type(error).__name__)


def _log_recovery(failures: int) -> None:
    log.info("redis_available", attempts=failures + 1)


def _assignments(state: dict[str, str]) -> tuple[EpochAssignment, ...]:
    fields = [(int(field.removeprefix("epoch:")), value.split(":")) for field, value in state.items() if field.startswith("epoch:")]
    return tuple(EpochAssignment(epoch, int(declared), int(media_start_at_ms)) for epoch, (declared, media_start_at_ms) in sorted(fields))


def _track(record: ScoreRecord) -> TrackKey:
    return TrackKey(SessionKey(record.tenant, record.session), record.track)
