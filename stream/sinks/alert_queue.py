"""The moderation queue in Redis: one for each tenant, filled from alerts, worked on by people, with an audit trail.

Every change of a case and its entry in the trail are one atomic step. A step is computed here from what was read, and refused by Redis if
somebody else was faster; then it is computed again. Times are Redis's, so gateways need no common clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import msgspec

from stream.config.service_settings import RedisSettings
from stream.domain.alert import AlertMode, AlertRecord, AlertState, Severity
from stream.domain.audit import AuditAction, digest, next_entry
from stream.domain.case import UNDO_MS, Actor, Case, CaseRefusedError, CaseState, Step, Transition
from stream.domain.identity import SessionKey
from stream.sinks.audit_trail import AuditTrail
from stream.sinks.connection import RedisClient, RedisConnection
from stream.sinks.keys import QUEUES, QueueNames, queue_names
from stream.sinks.queue_place import RANKS, QueuePlace
from stream.sinks.queue_reading import ReadCase, entry_arguments, read_cases
from stream.sinks.queue_scripts import ADD_CASE, CHANGE_CASE, CLEAR_CASE, COUNT_CASES, LIST_CASES, REMOVE_CASES
from stream.sinks.scripts import Argument

MOST_CASES = 10_000
"""Cases of a tenant, decided ones included. Further alerts are not added; their number is part of `QueueCounts`."""

ATTEMPTS = 50
"""How often a change is computed again because somebody else was faster."""

PAGE = 200
"""Most entries that one call to Redis returns."""


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """How full the queue is.

    Attributes:
        open: Cases that nobody works on.
        claimed: Cases that somebody works on.
        snoozed: Cases that were put off.
        decided: Decided cases that are still kept.
        unpublished: Decisions that have not reached the topic ``decisions`` yet.
        raised_last_hour: Alerts raised in the last hour.
        left_out: Alerts that were not added, because the queue was full; an estimate within 1 %.
        oldest_open_ms: Age of the oldest open case; None if none is open.
    """

    open: int = 0
    claimed: int = 0
    snoozed: int = 0
    decided: int = 0
    unpublished: int = 0
    raised_last_hour: int = 0
    left_out: int = 0
    oldest_open_ms: int | None = None


class AlertQueue:
    """Reads and changes the queues. Each call is tried once; all raise `stream.sinks.problems.RedisUnusableError`.

    Args:
        settings: Where Redis is, and how long it keeps results: cases live as long.
        redis: The connection to use; None for one of its own.
    """

    def __init__(self, settings: RedisSettings, redis: RedisConnection | None = None) -> None:
        self._redis = redis or RedisConnection(settings)
        self._own = redis is None
        self.trail = AuditTrail(self._redis)
        self._kept_s = settings.result_ttl_s

    async def close(self) -> None:
        """Close its own connection."""
        if self._own:
            await self._redis.close()

    # Filling.

    async def feed(self, alerts: Iterable[AlertRecord]) -> int:
        """Add raised live alerts and mark cleared ones, each once, however often and by whomever they are fed. Returns how many were new.

        Alerts of rules that are on trial (``shadow``) call nobody, so they are not added.
        """
        live = [alert for alert in alerts if alert.mode is AlertMode.LIVE]
        # First: a queue whose tenant is not listed would be seen by nobody, also if Redis goes away between the two.
        if tenants := {alert.tenant for alert in live if alert.state is AlertState.RAISED}:
            await self._redis.once(lambda redis: redis.sadd(QUEUES, *tenants))
        added = await asyncio.gather(*(self._add(alert) for alert in live if alert.state is AlertState.RAISED))
        await asyncio.gather(*(self._clear(alert) for alert in live if alert.state is AlertState.CLEARED))
        return sum(added)

    async def _add(self, alert: AlertRecord) -> bool:
        names = queue_names(alert.tenant)
        args: list[Argument] = [
            alert.alert_id,
            msgspec.json.encode(alert),
            RANKS[alert.severity],
            "" if alert.at_ms is None else alert.at_ms,
            MOST_CASES,
            self._kept_s * 1000,
        ]

        async def call(redis: RedisClient) -> str:
            answer = str(await ADD_CASE.run(redis, [names.alerts, names.added, names.waiting, names.left_out], args))
            if answer == "added":
                await self._renew(redis, names)
            return answer

        return await self._redis.once(call) == "added"

    async def _clear(self, alert: AlertRecord) -> None:
        names = queue_names(alert.tenant)
        args: list[Argument] = [alert.raised_id, "" if alert.at_ms is None else alert.at_ms]
        await self._redis.once(lambda redis: CLEAR_CASE.run(redis, [names.alerts, names.cleared], args))

    # Reading.

    async def now_ms(self) -> int:
        """The time of Redis (Unix ms)."""
        seconds, micros = await self._redis.once(lambda redis: redis.time())
        return int(seconds) * 1000 + int(micros) // 1000

    async def tenants(self) -> list[str]:
        """The tenants that have a queue."""
        return sorted(str(tenant) for tenant in await self._redis.once(lambda redis: redis.smembers(QUEUES)))

    async def case(self, tenant: str, alert_id: str, asking: Actor | None = None) -> Case | None:
        """A case; None if there is none of this id."""
        return (await read_cases(self._redis, queue_names(tenant), [alert_id]))[0].as_case(asking)

    async def page(
        self,
        tenants: Collection[str],
        state: CaseState,
        *,
        severity: Severity | None = None,
        cursor: str = "",
        limit: int = 50,
        asking: Actor | None = None,
    ) -> tuple[list[Case], str | None]:
        """Cases of one state: by severity, then age; decided ones by their time, the newest first.

        Args:
            tenants: Whose queues; they are merged.
            state: Which cases.
            severity: Only these.
            cursor: Where to begin: what the page before returned.
            limit: Most cases to return.
            asking: Who asks, see `Case.mine`.

        Returns:
            The cases, and the cursor of the next page; None at the end. Raises ``ValueError`` for a cursor that no page has returned.
        """
        place = QueuePlace.parse(cursor)
        if severity is not None and state is not CaseState.DECIDED:
            place = place.within(severity)
        cases: list[Case] = []
        while True:
            wanted = min(limit - len(cases), PAGE)
            places = [one for tenant in tenants for one in await self._list(tenant, state, place, wanted + 1)]
            places.sort(key=lambda one: one[1], reverse=state is CaseState.DECIDED)
            places.sort(key=lambda one: one[0])
            found = await self._cases(places[:wanted], asking)
            if places:
                place = replace(place, first=str(places[:wanted][-1][0]), after=places[:wanted][-1][1])
            cases += [case for case in found if severity in (None, case.alert.severity)]
            more = len(places) > wanted
            if not more or len(cases) == limit:
                return cases, place.cursor if more else None

    async def of_session(self, session: SessionKey, asking: Actor | None = None) -> list[Case]:
        """All cases of a session, in the order of their ids."""
        names, prefix = queue_names(session.tenant), f"{session}/"
        ids = sorted(str(one) for one in await self._redis.once(lambda redis: redis.hkeys(names.alerts)) if str(one).startswith(prefix))
        reads = await read_cases(self._redis, names, ids) if ids else []
        return [case for read in reads if (case := read.as_case(asking)) is not None]

    async def counts(self, tenants: Collection[str]) -> QueueCounts:
        """How full the queues are, all of them together."""
        totals, oldest = [0] * 7, -1
        for tenant in tenants:
            names = queue_names(tenant)
            keys = [names.waiting, names.claims, names.snoozes, names.decided, names.unpublished, names.added, names.left_out]
            answer = [int(number) for number in await self._redis.once(_counting(keys))]
            totals = [total + own for total, own in zip(totals, answer, strict=False)]
            oldest = max(oldest, answer[7])
        waiting, claimed, snoozed, decided, unpublished, left_out, raised = totals
        return QueueCounts(
            open=waiting - claimed - snoozed,
            claimed=claimed,
            snoozed=snoozed,
            decided=decided,
            unpublished=unpublished,
            raised_last_hour=raised,
            left_out=left_out,
            oldest_open_ms=None if oldest < 0 else oldest,
        )

    # Changing.

    async def change(self, tenant: str, alert_id: str, actor: Actor, transition: Transition) -> Case | None:
        """Take a step on a case, see `stream.domain.case`; None if there is no such case. Raises `CaseRefusedError`.

        A call whose answer was lost may be repeated: claims are extended, and a decision that stands already changes nothing.
        """
        names = queue_names(tenant)
        for _ in range(ATTEMPTS):
            read = (await read_cases(self._redis, names, [alert_id]))[0]
            if read.alert is None:
                return None
            step = transition(read.status, read.now_ms)
            if step is None:
                return read.as_case(actor)
            outcome = await self._apply(names, read, read.alert, actor, step)
            if outcome == "published":
                raise CaseRefusedError("published", f"the decision is older than {UNDO_MS // 1000} s and final")
            if outcome != "moved":
                await self.trail.trim(tenant)
                return await self.case(tenant, alert_id, actor)
        raise CaseRefusedError("busy", "too many people change this queue at once: try again")

    async def _apply(self, names: QueueNames, read: ReadCase, alert: AlertRecord, actor: Actor, step: Step) -> str:
        entry = next_entry(
            read.end,
            at_ms=read.now_ms,
            action=step.action,
            subject=alert.alert_id,
            role=actor.role,
            actor=actor.pseudonym,
            detail=step.detail,
        )
        status = step.status
        if step.action is AuditAction.DECIDED and status.decided is not None:
            decided = msgspec.structs.replace(status.decided, audit_sequence=entry.sequence, audit_hash=entry.hash)
            status = msgspec.structs.replace(status, decided=decided)
        decided_at = "" if status.decided is None else status.decided.at_ms
        args: list[Argument] = [
            alert.alert_id,
            *entry_arguments(entry),
            msgspec.json.encode(status),
            "" if status.claim is None else status.claim.until_ms,
            status.snoozed_until_ms or "",
            decided_at,
            decided_at + UNDO_MS if step.action is AuditAction.DECIDED and isinstance(decided_at, int) else "",
            RANKS[alert.severity],
            int(step.action is AuditAction.WITHDRAWN),
        ]
        keys = [
            *(names.alerts, names.statuses, names.waiting, names.claims, names.snoozes, names.decided),
            *(names.unpublished, names.audit, names.trail, names.added),
        ]

        async def call(redis: RedisClient) -> str:
            outcome = str(await CHANGE_CASE.run(redis, keys, args))
            await self._renew(redis, names)
            return outcome

        return await self._redis.once(call)

    # Removing.

    async def forget(self, session: SessionKey) -> int:
        """Erase the cases of a session. The trail keeps its entries, which quote nothing, and notes the erasure. Returns how many."""
        names, prefix = queue_names(session.tenant), f"{session}/"
        ids = [str(one) for one in await self._redis.once(lambda redis: redis.hkeys(names.alerts)) if str(one).startswith(prefix)]
        for _ in range(ATTEMPTS):
            read = (await read_cases(self._redis, names))[0]
            entry = next_entry(
                read.end,
                at_ms=read.now_ms,
                action=AuditAction.ERASED,
                subject=digest(str(session).encode("ascii")),
                role="system",
                actor="",
                detail=f"{len(ids)} cases",
            )
            if not ids or await self._remove(names, ids, entry_arguments(entry)) == "changed":
                return len(ids)
        raise CaseRefusedError("busy", "too many people change this queue at once: try again")

    async def prune(self, tenant: str) -> int:
        """Remove cases that are older than Redis keeps results, but none whose decision is unpublished. Returns how many."""
        names = queue_names(tenant)
        before_ms = (await read_cases(self._redis, names))[0].now_ms - self._kept_s * 1000
        old = await self._redis.once(lambda redis: redis.zrangebyscore(names.added, "-inf", before_ms, start=0, num=PAGE))
        reads = await read_cases(self._redis, names, [str(one) for one in old]) if old else []
        ids = [str(one) for one, read in zip(old, reads, strict=True) if not read.unpublished]
        if ids:
            await self._remove(names, ids, ["", "", "", ""])
        return len(ids)

    async def _cases(self, places: Sequence[tuple[int, str, str]], asking: Actor | None) -> list[Case]:
        """The cases of places, in their order; one call for each tenant."""
        found: dict[str, Case] = {}
        for tenant in {tenant for _, _, tenant in places}:
            ids = [alert_id for _, alert_id, own in places if own == tenant]
            for read in await read_cases(self._redis, queue_names(tenant), ids):
                if (case := read.as_case(asking)) is not None:
                    found[case.alert_id] = case
        return [found[alert_id] for _, alert_id, _ in places if alert_id in found]

    async def _remove(self, names: QueueNames, ids: list[str], entry: list[Argument]) -> str:
        keys = [
            *(names.audit, names.trail, names.alerts, names.statuses, names.cleared),
            *(names.added, names.waiting, names.claims, names.snoozes, names.decided, names.unpublished),
        ]
        return str(await self._redis.once(lambda redis: REMOVE_CASES.run(redis, keys, [*entry, *ids])))

    # Calls.

    async def _renew(self, redis: RedisClient, names: QueueNames) -> None:
        """Cases outlive the retention by a day, so that they are removed by `prune`, never by halves."""
        async with redis.pipeline(transaction=False) as pipe:
            for key in names.expiring:
                pipe.expire(key, self._kept_s + 86_400)
            await pipe.execute()

    async def _list(self, tenant: str, state: CaseState, place: QueuePlace, most: int) -> list[tuple[int, str, str]]:
        """Place, alert id and tenant of the next cases of one queue."""
        names = queue_names(tenant)
        keys = [names.waiting, names.claims, names.snoozes, names.decided]
        args: list[Argument] = [state.value, place.first, place.after, place.last, most]
        found = cast(list[str], await self._redis.once(lambda redis: LIST_CASES.run(redis, keys, args)))
        return [(int(where), alert_id, tenant) for alert_id, where in zip(found[::2], found[1::2], strict=True)]


def _counting(keys: list[str]) -> Callable[[RedisClient], Awaitable[Any]]:
    return lambda redis: COUNT_CASES.run(redis, keys, [len(RANKS)])
