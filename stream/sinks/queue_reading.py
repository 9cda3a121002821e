"""Reads cases of the moderation queue together with the end of the audit trail, all of one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import msgspec

from stream.domain.alert import AlertRecord
from stream.domain.audit import AuditEntry, TrailEnd
from stream.domain.case import UNDO_MS, Actor, Case, CaseStatus
from stream.sinks.connection import RedisConnection
from stream.sinks.keys import QueueNames
from stream.sinks.queue_scripts import READ_CASES
from stream.sinks.scripts import Argument


@dataclass(frozen=True, slots=True)
class ReadCase:
    """A case as it was read, with the time and the ends of the trail at that moment."""

    now_ms: int
    end: TrailEnd
    cut: TrailEnd
    alert: AlertRecord | None
    status: CaseStatus
    cleared_at_ms: int | None
    raised_at_ms: int
    unpublished: bool

    def as_case(self, asking: Actor | None) -> Case | None:
        """The case for whoever asks."""
        if self.alert is None:
            return None
        claim, decided = self.status.claim_at(self.now_ms), self.status.decided
        acknowledged, snoozed_ms = self.status.acknowledged, self.status.snoozed_until_ms
        own = claim is not None and asking is not None and claim.actor == asking.pseudonym
        undoable = decided is not None and self.unpublished and self.now_ms < decided.at_ms + UNDO_MS
        return Case(
            alert_id=self.alert.alert_id,
            state=self.status.state(self.now_ms),
            alert=self.alert,
            raised_at_ms=self.raised_at_ms,
            cleared_at_ms=self.cleared_at_ms,
            acknowledged_by=None if acknowledged is None else acknowledged.role,
            acknowledged_at_ms=None if acknowledged is None else acknowledged.at_ms,
            claimed_by=None if claim is None else claim.role,
            claimed_until_ms=None if claim is None else claim.until_ms,
            mine=own,
            snoozed_until_ms=snoozed_ms if snoozed_ms > self.now_ms else None,
            decision=None if decided is None else decided.decision,
            decision_id=None if decided is None else decided.decision_id,
            decided_by=None if decided is None else decided.role,
            decided_at_ms=None if decided is None else decided.at_ms,
            undo_until_ms=decided.at_ms + UNDO_MS if decided is not None and undoable else None,
            published=decided is not None and not self.unpublished,
        )


async def read_cases(redis: RedisConnection, names: QueueNames, alert_ids: Sequence[str] = ()) -> list[ReadCase]:
    """Cases as they are at one moment. Without ids, one answer with the time and the trail alone."""
    keys = [names.alerts, names.statuses, names.cleared, names.added, names.unpublished, names.trail]
    answer = cast(list[str], await redis.once(lambda client: READ_CASES.run(client, keys, list(alert_ids))))
    now_ms, sequence, newest, cut, cut_hash = answer[:5]
    end = TrailEnd(int(sequence), newest) if sequence else TrailEnd()
    start = TrailEnd(int(cut), cut_hash) if cut else TrailEnd()
    rows = [answer[first : first + 5] for first in range(5, len(answer), 5)] or [["", "", "", "", ""]]
    return [
        ReadCase(
            int(now_ms),
            end,
            start,
            msgspec.json.decode(alert, type=AlertRecord) if alert else None,
            msgspec.json.decode(status, type=CaseStatus) if status else CaseStatus(),
            int(cleared) if cleared else None,
            int(float(raised)) if raised else 0,
            bool(unpublished),
        )
        for alert, status, cleared, raised, unpublished in rows
    ]


def entry_arguments(entry: AuditEntry) -> list[Argument]:
    """What the scripts need of an entry."""
    return [entry.sequence, entry.before, msgspec.json.encode(entry), entry.hash]
