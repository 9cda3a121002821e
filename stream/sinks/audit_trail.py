"""The audit trail of the moderation queue in Redis: read, checked and bounded. `stream.sinks.alert_queue` appends to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import msgspec

from stream.domain.audit import AuditAction, AuditEntry, AuditProblem, TrailCheck, TrailEnd, next_entry
from stream.sinks.connection import RedisConnection
from stream.sinks.keys import QueueNames, queue_names
from stream.sinks.queue_reading import entry_arguments, read_cases
from stream.sinks.queue_scripts import TRIM_TRAIL

MOST_ENTRIES = 100_000
"""Entries of a tenant's trail. Beyond it the oldest tenth is removed, which the trail itself says."""

PAGE = 200
"""Most entries that one call to Redis returns."""


@dataclass(frozen=True, slots=True)
class TrailReport:
    """Whether a tenant's audit trail is as it was written.

    Attributes:
        checked: Entries that were read.
        end: Newest entry, as it was noted.
        problems: Where the trail is not as it was written; empty if it is.
    """

    checked: int
    end: TrailEnd
    problems: tuple[AuditProblem, ...]


class AuditTrail:
    """Reads the trails of all tenants. Each call is tried once; all raise `stream.sinks.problems.RedisUnusableError`.

    Args:
        redis: The connection.
    """

    def __init__(self, redis: RedisConnection) -> None:
        self._redis = redis

    async def read(self, tenant: str, after: int = 0, limit: int = PAGE) -> list[AuditEntry]:
        """Entries of the trail with a sequence above `after`. Raises ``msgspec.MsgspecError`` if one was made unreadable: see `verify`."""
        entries = await self._entries(queue_names(tenant), after, limit)
        return [msgspec.json.decode(text, type=AuditEntry) for _, text in entries]

    async def verify(self, tenant: str) -> TrailReport:
        """Read the whole trail, and find entries that were changed, removed or added."""
        names = queue_names(tenant)
        read = (await read_cases(self._redis, names))[0]
        check, after, cut_noted = TrailCheck(read.cut), read.cut.sequence, read.cut.sequence == 0
        while page := await self._entries(names, after, PAGE, upto=read.end.sequence):
            for entry_id, text in page:
                sequence = int(entry_id.partition("-")[0])
                try:
                    entry = msgspec.json.decode(text, type=AuditEntry)
                except msgspec.MsgspecError:
                    check.unreadable(sequence)
                    continue
                check.check([entry])
                cut_noted |= (
                    entry.action is AuditAction.TRIMMED and entry.subject == str(read.cut.sequence) and entry.detail == read.cut.hash
                )
            after = int(page[-1][0].partition("-")[0])
        check.finish(read.end)
        problems = list(check.problems)
        if not cut_noted:
            problems.insert(0, AuditProblem(1, f"entries 1 to {read.cut.sequence} were removed, and no entry says so"))
        return TrailReport(check.checked, read.end, tuple(problems))

    async def trim(self, tenant: str) -> None:
        """Remove the oldest tenth of a trail that is full."""
        names = queue_names(tenant)
        read = (await read_cases(self._redis, names))[0]
        if read.end.sequence - read.cut.sequence <= MOST_ENTRIES:
            return
        last = read.cut.sequence + MOST_ENTRIES // 10
        entries = await self.read(tenant, last - 1, 1)
        if not entries:
            return
        cut = TrailEnd(entries[0].sequence, entries[0].hash)
        entry = next_entry(
            read.end, at_ms=read.now_ms, action=AuditAction.TRIMMED, subject=str(cut.sequence), role="system", actor="", detail=cut.hash
        )
        # If somebody is faster, the next change trims.
        args = [*entry_arguments(entry), cut.sequence, cut.hash]
        await self._redis.once(lambda redis: TRIM_TRAIL.run(redis, [names.audit, names.trail], args))

    async def _entries(self, names: QueueNames, after: int, limit: int, upto: int | None = None) -> list[tuple[str, str]]:
        last = "+" if upto is None else f"{upto}-0"
        page = await self._redis.once(lambda redis: redis.xrange(names.audit, f"({max(after, 0)}-0", last, count=min(limit, PAGE)))
        return [(str(entry_id), str(fields.get("entry", ""))) for entry_id, fields in cast(list[tuple[str, dict[str, str]]], page)]
