"""Writes results to Redis. Each window becomes final exactly once: outages are waited out, and repeats are recognised."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import cast

from stream.config.service_settings import RedisSettings
from stream.domain.clock_skew import decode_skews
from stream.domain.consent import ConsentStatement
from stream.domain.context import ContextFeatures, decode_context
from stream.domain.delivery import FinaliseOutcome, LastFinal, WindowAlerts
from stream.domain.epoch import EpochAssignment, SessionEpochs
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.result import ExplanationRecord, PartialRecord, ScoreRecord, SessionRecord, decode_record, encode_record
from stream.domain.service_problem import ServiceProblem
from stream.domain.track_scores import decode_scores
from stream.sinks.active_sessions import ActiveSessions
from stream.sinks.connection import RedisConnection
from stream.sinks.examine import RedisHealth
from stream.sinks.finaliser import Finaliser
from stream.sinks.keys import FENCE, MODELS, session_names, track_names
from stream.sinks.scripts import BEGIN_EPOCH, ERASE_STATE, NEXT_FENCE, PIN_VERSION, PUT_CONSENTS, PUT_PARTIAL, PUT_SUMMARY, Argument

PAGE = 500
"""Final windows read in one call: Redis serves nobody else meanwhile, so a long session is read in parts."""


ERASURE_KEPT_S = 30 * 24 * 3600
"""How long Redis knows that a session was erased: longer than topics keep chunks."""


class RedisSink:
    """The result store of a worker: `stream.pipeline.ports.ResultStore` on Redis.

    Every method except `ping`, `problem` and `put_partial` waits out an outage, until it is cancelled.

    Args:
        settings: Where Redis is, and how long results live.
        logs: Whether to log what calls wait for; False if a monitor asks for the `problem`.
    """

    def __init__(self, settings: RedisSettings, *, logs: bool = True) -> None:
        self._settings = settings
        self._redis = RedisConnection(settings, logs=logs)
        self._health = RedisHealth(self._redis)
        self._active = ActiveSessions(self._redis, settings.result_ttl_s)
        self._finaliser = Finaliser(self._redis, settings)

    async def close(self) -> None:
        """Close all connections."""
        self._finaliser.close()
        await self._redis.close()

    async def ping(self) -> None:
        """Check once that Redis answers. Raises `stream.sinks.problems.RedisUnusableError`."""
        await self._redis.once(lambda redis: redis.ping())

    async def problem(self) -> ServiceProblem | None:
        """Check once, without waiting for an outage to pass: return why Redis cannot be used now, or None if it can."""
        return await self._health.problem()

    async def next_token(self) -> int:
        """A fencing token, higher than any before."""
        return int(await self._redis.waiting_out(lambda redis, _: NEXT_FENCE.run(redis, [FENCE], [])))

    async def finalise(
        self,
        score: ScoreRecord,
        explanation: ExplanationRecord,
        token: int,
        contribution: ContextFeatures | None = None,
        alerts: WindowAlerts | None = None,
    ) -> FinaliseOutcome:
        """Make a window final in one atomic step, unless it is final already or the session belongs to another worker.

        The rules, and their reasons, are in `stream.sinks.scripts.FINALISE`. A call that took effect although its answer was lost returns
        `FinaliseOutcome.ACCEPTED` when it is repeated.

        Args:
            score: The window's score.
            explanation: Its explanation.
            token: The worker's fencing token.
            contribution: The window's contribution to the context of later windows; None if it contributes nothing.
            alerts: The window's alerts, and the state of the rules after it; None if there are no rules.

        Returns:
            `FinaliseOutcome.FENCED` if the session has seen a higher token, `FinaliseOutcome.REPLAYED` if (epoch, end_ms) is not above
            the track's last final window.
        """
        session = SessionKey(score.tenant, score.session)
        outcome = await self._finaliser.finalise(score, explanation, token, contribution, alerts)
        if outcome is not FinaliseOutcome.FENCED and self._active.is_due(session):
            await self._active.mark(session)
        return outcome

    async def put_partial(self, partial: PartialRecord) -> None:
        """Write the partial result of an open window, unless the track has a newer final window or a newer partial result.

        It is tried once: during an outage, waiting partial results would pile up, and the next one replaces them all. Raises
        `stream.sinks.problems.RedisUnusableError`.
        """
        session = SessionKey(partial.tenant, partial.session)
        of_session = session_names(session)
        keys = [of_session.state, of_session.tracks, track_names(_track(partial)).partial]
        args: list[Argument] = [partial.epoch, partial.end_ms, partial.track, self._settings.result_ttl_s, of_session.nudge]
        args += [partial.revision, encode_record(partial)]
        written = await self._redis.once(lambda redis: PUT_PARTIAL.run(redis, keys, args))
        if written and self._active.is_due(session):
            await self._active.mark_once(session)

    async def last_final(self, track: TrackKey) -> LastFinal | None:
        """The track's last final window; None if no window is final."""
        state, fields = session_names(track.session).state, [f"{name}:{track.track}" for name in ("last", "sync", "scored", "rules")]
        last, sync, scored, rules = cast(list[str | None], await self._redis.waiting_out(lambda redis, _: redis.hmget(state, fields)))
        if last is None:
            return None
        epoch, end_ms, _ = last.split("-")
        skews = {} if sync is None else decode_skews(sync)
        return LastFinal(int(epoch), int(end_ms), skews, None if scored is None else decode_scores(scored), rules)

    async def latest(self, track: TrackKey) -> ScoreRecord | None:
        """The record of the track's last final window; None if no window is final."""
        record = await self._redis.waiting_out(lambda redis, _: redis.hget(track_names(track).latest, "record"))
        return None if record is None else cast(ScoreRecord, decode_record(record))

    async def context(self, session: SessionKey, epoch: int) -> list[ContextFeatures]:
        """The contributions of the epoch's newest final windows, from all tracks."""
        tracks = await self._redis.waiting_out(lambda redis, _: redis.smembers(session_names(session).tracks))
        stored = [features for track in sorted(map(str, tracks)) for features in await self._context(TrackKey(session, track))]
        return [features for features in stored if features.epoch == epoch]

    async def epochs(self, session: SessionKey) -> SessionEpochs:
        """The session's epochs."""
        state = cast(dict[str, str], await self._redis.waiting_out(lambda redis, _: redis.hgetall(session_names(session).state)))
        finals = [int(value.partition("-")[0]) for field, value in state.items() if field.startswith("last:")]
        return SessionEpochs(_assignments(state), max(finals, default=-1), _consents(state), "erased" in state)

    async def put_consents(self, session: SessionKey, epoch: int, statements: Sequence[ConsentStatement]) -> Sequence[ConsentStatement]:
        """Keep what was said about consent in an epoch, in one atomic step, unless it is kept already; return all of this epoch."""
        args: list[Argument] = [self._settings.result_ttl_s]
        for track, media_ms, granted, from_ms in statements:
            args += [f"consent:{epoch}:{track}:{media_ms}:{int(granted)}", from_ms]
        state = session_names(session).state
        pairs = cast(list[str], await self._redis.waiting_out(lambda redis, _: PUT_CONSENTS.run(redis, [state], args)))
        return _consents(dict(zip(pairs[::2], pairs[1::2], strict=True))).get(epoch, ())

    async def begin_epoch(
        self, session: SessionKey, declared: int, media_start_at_ms: int, within_ms: int, after: int
    ) -> tuple[EpochAssignment, ...]:
        """Give a media clock that has started again its own epoch number, in one atomic step, unless it has one.

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
        pairs = cast(list[str], await self._redis.waiting_out(lambda redis, _: BEGIN_EPOCH.run(redis, [state], args)))
        return _assignments(dict(zip(pairs[::2], pairs[1::2], strict=True)))

    async def promoted_version(self) -> str | None:
        """The version of the model that new epochs get; None if none was ever promoted."""
        return cast(str | None, await self._redis.waiting_out(lambda redis, _: redis.hget(MODELS, "current")))

    async def pin_version(self, session: SessionKey, epoch: int, version: str) -> str:
        """Pin an epoch to a version of the model in one atomic step, unless it is pinned; return the version that it keeps."""
        state = session_names(session).state
        args: list[Argument] = [epoch, version, self._settings.result_ttl_s]
        return str(await self._redis.waiting_out(lambda redis, _: PIN_VERSION.run(redis, [state], args)))

    async def mark_erased(self, session: SessionKey, at_ms: int) -> None:
        """Replace a session's state by the note that it was erased, so that no worker takes up what is left of it in Kafka."""
        state, kept_s = session_names(session).state, max(ERASURE_KEPT_S, self._settings.result_ttl_s)
        await self._redis.waiting_out(lambda redis, _: ERASE_STATE.run(redis, [state], [at_ms, kept_s]))

    async def restore_assignment(self, session: SessionKey, assignment: EpochAssignment) -> None:
        """Restore an assignment, unless its epoch has an assignment."""
        state, value = session_names(session).state, f"{assignment.declared}:{assignment.media_start_at_ms}"
        await self._redis.waiting_out(lambda redis, _: redis.hsetnx(state, f"epoch:{assignment.epoch}", value))

    async def token(self, session: SessionKey) -> int:
        """The highest fencing token that the session has seen; 0 before the first."""
        return int(await self._redis.waiting_out(lambda redis, _: redis.hget(session_names(session).state, "token")) or 0)

    async def holds(self, score: ScoreRecord) -> bool:
        """Whether the window is in its track's stream."""
        entry_id = f"{score.epoch}-{score.end_ms}"
        return bool(await self._redis.waiting_out(lambda redis, _: redis.xrange(track_names(_track(score)).scores, entry_id, entry_id)))

    async def finals(self, session: SessionKey) -> list[ScoreRecord]:
        """Final windows of all tracks and epochs of a session that are still in the streams; the windows of each track are in order."""
        tracks = await self._redis.waiting_out(lambda redis, _: redis.smembers(session_names(session).tracks))
        return [final for track in sorted(map(str, tracks)) for final in await self._finals(TrackKey(session, track))]

    async def put_summary(self, record: SessionRecord) -> None:
        """Write a session's summary, unless there is a summary of a later epoch or of more windows."""
        session = SessionKey(record.tenant, record.session)
        names = session_names(session)
        keys = [names.summary, names.state, names.tracks]
        args: list[Argument] = [record.epoch, record.windows, self._settings.result_ttl_s, names.nudge, encode_record(record)]
        # Mark it as active first: a reader that finds sessions by this mark must not miss a session that only has a summary.
        await self._active.mark(session)
        await self._redis.waiting_out(lambda redis, _: PUT_SUMMARY.run(redis, keys, args))

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
        stored = await self._redis.waiting_out(lambda redis, _: redis.lrange(track_names(track).context, 0, -1))
        return [decode_context(item) for item in stored]

    async def _page(self, stream: str, start: str) -> list[tuple[str, dict[str, str]]]:
        page = await self._redis.waiting_out(lambda redis, _: redis.xrange(stream, min=start, count=PAGE))
        return cast(list[tuple[str, dict[str, str]]], page or [])


def _assignments(state: dict[str, str]) -> tuple[EpochAssignment, ...]:
    fields = [(int(field.removeprefix("epoch:")), value.split(":")) for field, value in state.items() if field.startswith("epoch:")]
    return tuple(EpochAssignment(epoch, int(declared), int(media_start_at_ms)) for epoch, (declared, media_start_at_ms) in sorted(fields))


def _consents(state: dict[str, str]) -> dict[int, tuple[ConsentStatement, ...]]:
    found: dict[int, list[ConsentStatement]] = defaultdict(list)
    for field, from_ms in sorted(state.items()):
        name, _, rest = field.partition(":")
        if name == "consent":
            epoch, track, media_ms, granted = rest.split(":")
            found[int(epoch)].append(ConsentStatement(track, int(media_ms), granted == "1", int(from_ms)))
    return {epoch: tuple(statements) for epoch, statements in found.items()}


def _track(record: ScoreRecord) -> TrackKey:
    return TrackKey(SessionKey(record.tenant, record.session), record.track)
