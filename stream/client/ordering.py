"""Turns batches into results: in order, and each once. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from stream.domain.alert import AlertRecord
from stream.domain.result import ExplanationRecord, PartialRecord, ScoreRecord, SessionRecord
from stream.gateway.views import Batch, SessionState

Record = ScoreRecord | ExplanationRecord | AlertRecord | PartialRecord | SessionRecord

REMEMBERED = 4096
"""Results that are known again when they come once more: more than a gateway repeats after a gap."""


class Ordering:
    """Remembers the newest results of the followed sessions."""

    def __init__(self) -> None:
        self._seen: dict[Hashable, None] = {}

    def results(self, batch: Batch) -> Iterator[Record | SessionState]:
        """The new results of a batch as they arose: a score, its explanation, its alerts; then what is still open, and the states."""
        for record in self._records(batch):
            if not self._is_repeat(record):
                yield record
        yield from batch.sessions

    def _records(self, batch: Batch) -> Iterator[Record]:
        windows = {score.window_id for score in batch.scores}
        for score in batch.scores:
            yield score
            yield from (explanation for explanation in batch.explanations if explanation.window_id == score.window_id)
            yield from (alert for alert in batch.alerts if alert.window_id == score.window_id)
        yield from (explanation for explanation in batch.explanations if explanation.window_id not in windows)
        yield from (alert for alert in batch.alerts if alert.window_id not in windows)
        yield from batch.partials
        yield from batch.summaries

    def _is_repeat(self, record: Record) -> bool:
        identity = _identity(record)
        known = identity in self._seen
        self._seen.pop(identity, None)
        self._seen[identity] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return known


def _identity(record: Record) -> Hashable:
    """What two copies of one result have in common, and no two results."""
    match record:
        case PartialRecord():
            return "partial", record.window_id, record.revision
        case ScoreRecord():
            return "score", record.window_id
        case ExplanationRecord():
            return "explanation", record.window_id
        case AlertRecord():
            return "alert", record.alert_id
        case SessionRecord():
            return "summary", record.tenant, record.session, record.epoch, record.windows
