"""Writes results to Redis. Each window becomes final exactly once: outages are waited out, and repeats are recognised."""

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
"""The cap bounds how long results wait after Redis is back; jitter spreads the workers that all waited for it."""

MARK_ACTIVE_EVERY_S = 10.0
"""A session is marked as active no more often than this: once for each window would double the writes. Readers tolerate it, see
`stream.sinks.reader.OVERLAP_MS`."""

PAGE = 500
"""Final windows read in one call: Redis serves nobody else meanwhile, so a long session is read in parts."""

FINALISE_BATCH = 64
FINALISE_DELAY_S = 0.002
"""Up to so many windows, of different tracks, that become final within this time share one round trip to Redis."""


@dataclass(frozen=True, slots=True)
class _FinaliseCall:
    """A call of `FINALISE`: its keys, and its arguments before and after the flag that says whether the call may be a repeat."""

    keys: list[str]
    before: list[Argument]
    after: list[Argument]


class RedisSink:
    """The result store of a worker. Every method except `ping` and `put_partial` waits out an outage, until it is cancelled.

    Args:
        settings: Where Redis is, and how long results live.
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
        self._batcher = Batcher(self._finalise_together, shape=lambda _: None, max_size=FINALISE_BATCH, delay_s=FINALISE_DELAY_S)

    async def close(self) -> None:
        """Close all connections."""
        self._batcher.close()
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
        """Make a window final in one atomic step, unless it is final already or the session belongs to another worker.

        The rules, and their reasons, are in `stream.sinks.scripts.FINALISE`. A call that took effect although its answer was lost returns
        `FinaliseOutcome.ACCEPTED` when it is repeated.

        Args:
            score: The window's score.
            explanation: Its explanation.
            token: The worker's fencing token.
            contribution: The window's contribution to the context of later windows; None if it contributes nothing.

        Returns:
            `FinaliseOutcome.FENCED` if the session has seen a higher token, `FinaliseOutcome.REPLAYED` if (epoch, end_ms) is not above
            the track's last final window.
        """
        session, track = SessionKey(score.tenant, score.session), _track(score)
        of_session, of_track = session_names(session), track_names(track)
        score_json, explanation_json, skews_json = encode_record(score), encode_record(explanation), encode_skews(score.sync)
        latest: dict[str, Argument] = {"window_id": score.window_id, "score": score.score, "label": score.label}
        latest |= {"confidence": score.confidence, "sentence": explanation.sentence, "record": score_json, "explanation": explanation_json}
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
        contribution_json = b"" if contribution is None else encode_context(contribution)
        fields = [part for pair in latest.items() for part in pair]
        after: list[Argument] = [skews_json, score_json, explanation_json, contribution_json, CONTEXT_KEPT, *fields]
        outcome = await self._batcher.answer(_FinaliseCall(keys, before, after))
        if outcome is not FinaliseOutcome.FENCED and self._is_mark_due(session):
            await self._waiting_out(lambda _: self._mark_active(session))
        return outcome

    async def _finalise_together(self, calls: Sequence[_FinaliseCall]) -> list[FinaliseOutcome]:
        """Make several windows final in one round trip.

        1. Call the script for each window. From the second attempt on, the calls are marked as possible repeats: an earlier attempt may
           have taken effect although its answer was lost.
        2. Redis forgets its scripts when it restarts. Load the script, and repeat the calls that did not find it.
        3. Raise the first error that is left: an outage leads to another attempt.
        """

        async def call(attempt: int) -> list[str]:
            # 1.
            answers = await self._evaluate(calls, may_repeat=attempt > 0)
            # 2.
            unknown = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            if unknown:
                await self._redis.script_load(FINALISE)
                again = await self._evaluate([calls[index] for index in unknown], may_repeat=attempt > 0)
                for index, answer in zip(unknown, again, strict=True):
                    answers[index] = answer
            # 3.
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            return cast(list[str], answers)

        return [FinaliseOutcome(answer) for answer in await self._waiting_out(call)]

    async def _evaluate(self, calls: Sequence[_FinaliseCall], *, may_repeat: bool) -> list[str | Exception]:
        """Call the script for each window in one round trip.

        Errors are returned among the answers. Redis-py would raise an error that quotes the command, and with it the words of the window,
        which must not get into the log.
        """
        async with self._redis.pipeline(transaction=False) as pipe:
            for call in calls:
                arguments = (*call.keys, *call.before, int(may_repeat), *call.after)
                pipe.evalsha(self._finalise.sha, len(call.keys), *arguments)
            return cast("list[str | Exception]", await pipe.execute(raise_on_error=False))

    async def put_partial(self, partial: PartialRecord) -> None:
        """Write the partial result of an open window, unless the track has a newer final window or a newer partial result.

        It is tried once: during an outage, waiting partial results would pile up, and the next one replaces them all. Raises
        ``redis.exceptions.RedisError``.
        """
        session = SessionKey(partial.tenant, partial.session)
        of_session = session_names(session)
        written = await self._put_partial(
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
        if written and self._is_mark_due(session):
            await self._mark_active(session)

    async def last_final(self, track: TrackKey) -> LastFinal | None:
        """The track's last final window; None if no window is final."""
        state, fields = session_names(track.session).state, [f"last:{track.track}", f"sync:{track.track}"]
        last, sync = cast(list[str | None], await self._waiting_out(lambda _: self._redis.hmget(state, fields)))
        if last is None:
            return None
        epoch, end_ms, _ = last.split("-")
        return LastFinal(int(epoch), int(end_ms), {} if sync is None else decode_skews(sync))

    async def latest(self, track: TrackKey) -> ScoreRecord | None:
        """The record of the track's last final window; None if no window is final."""
        record = await self._waiting_out(lambda _: self._redis.hget(track_names(track).latest, "record"))
        return None if record is None else cast(ScoreRecord, decode_record(record))

    async def context(self, session: SessionKey, epoch: int) -> list[ContextFeatures]:
        """What the newest final windows of an epoch contribute to later ones, those of all tracks."""
        tracks = await self._waiting_out(lambda _: self._redis.smembers(session_names(session).tracks))
        stored = [features for track in sorted(map(str, tracks)) for features in await self._context(TrackKey(session, track))]
        return [features for features in stored if features.epoch == epoch]

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
            declared: The epoch that the clock's producer declares.
            media_start_at_ms: Wall clock at which its media began.
            within_ms: Tolerance: a clock whose media began at most this much later is the same clock.
            after: The epoch that the clock turned out not to belong to; the new number is higher.

        Returns:
            All assignments of the session, in order.
        """
        args: list[Argument] = [declared, media_start_at_ms, within_ms, after, self._settings.result_ttl_s]
        state = session_names(session).state
        pairs = cast(list[str], await self._waiting_out(lambda _: self._begin_epoch(keys=[state], args=args)))
        return _assignments(dict(zip(pairs[::2], pairs[1::2], strict=True)))

    async def restore_assignment(self, session: SessionKey, assignment: EpochAssignment) -> None:
        """Restore an assignment, unless its epoch has an assignment."""
        state, value = session_names(session).state, f"{assignment.declared}:{assignment.media_start_at_ms}"
        await self._waiting_out(lambda _: self._redis.hsetnx(state, f"epoch:{assignment.epoch}", value))

    async def token(self, session: SessionKey) -> int:
        """The highest fencing token that the session has seen; 0 before the first."""
        return int(await self._waiting_out(lambda _: self._redis.hget(session_names(session).state, "token")) or 0)

    async def holds(self, score: ScoreRecord) -> bool:
        """Whether the window is in its track's stream."""
        entry_id = f"{score.epoch}-{score.end_ms}"
        return bool(await self._waiting_out(lambda _: self._redis.xrange(track_names(_track(score)).scores, entry_id, entry_id)))

    async def finals(self, session: SessionKey) -> list[ScoreRecord]:
        """Final windows of all tracks and epochs of a session that are still in the streams; those of a track in order."""
        tracks = await self._waiting_out(lambda _: self._redis.smembers(session_names(session).tracks))
        return [final for track in sorted(map(str, tracks)) for final in await self._finals(TrackKey(session, track))]

    async def put_summary(self, record: SessionRecord) -> None:
        """Write a session's summary, unless there is a summary of a later epoch or of more windows."""
        session = SessionKey(record.tenant, record.session)
        names = session_names(session)
        keys = [names.summary, names.state, names.tracks]
        args: list[Argument] = [record.epoch, record.windows, self._settings.result_ttl_s, names.nudge, encode_record(record)]
        # Mark it as active first: a reader that finds sessions by this mark must not miss a session that only has a summary.
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
        return time.monotonic() - self._marked_at.get(session, float("-inf")) >= MARK_ACTIVE_EVERY_S

    async def _mark_active(self, session: SessionKey) -> None:
        """Add the session to the active sessions with the present time, and remove sessions whose results have expired."""
        now_ms = time.time() * 1000
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.zadd(SESSIONS, {str(session): round(now_ms)})
            pipe.zremrangebyscore(SESSIONS, "-inf", round(now_ms - self._settings.result_ttl_s * 1000))
            await pipe.execute()
        # The marks are in order of time, so that those that no longer delay anything are forgotten from the front.
        self._marked_at.pop(session, None)
        self._marked_at[session] = time.monotonic()
        while self._is_mark_due(oldest := next(iter(self._marked_at))):
            del self._marked_at[oldest]

    async def _waiting_out(self, call: Callable[[int], Awaitable[Answer]]) -> Answer:
        """Repeat a call until Redis answers, so that an outage loses nothing. The call receives the number of failed attempts."""
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
