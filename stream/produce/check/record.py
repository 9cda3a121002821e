"""A record as it is read for the check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stream.produce.check.finding import Position


@dataclass(frozen=True, slots=True)
class SentRecord:
    """A record of an input topic.

    Attributes:
        at: Where it is.
        key: Its key.
        value: Its value.
        headers: Its headers, in order; a value may be None.
        timestamp_ms: Kafka's timestamp (Unix ms).
    """

    at: Position
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    timestamp_ms: int

    @property
    def attributes(self) -> Mapping[str, bytes]:
        """The headers that have a value, by name in lower case: workers do not distinguish case either."""
        return {name.lower(): value for name, value in self.headers if value is not None}


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """What is known of an input topic.

    Attributes:
        name: Its name.
        partitions: Number of its partitions.
        append_time: Whether the broker sets the timestamps of records, instead of their producer; None if unknown.
        retention_ms: How long the topic keeps records (ms); None if it keeps them for ever or if that is unknown.
        compacted: Whether the topic keeps only the last record of each key; None if unknown.
        max_record_bytes: Largest record that it takes; None if unknown.
    """

    name: str
    partitions: int
    append_time: bool | None = None
    retention_ms: int | None = None
    compacted: bool | None = None
    max_record_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class LogFacts:
    """What was read, and what was not.

    Attributes:
        topics: The input topics.
        read_ms: When the reading ended (Unix ms).
        records: Number of records that were looked at, of all sessions, by topic.
        covered_from_ms: Records before this time (Unix ms) were not read, or Kafka has deleted them; None if nothing is missing.
        to_end: Whether every partition was read to its end.
        aborted: Records of the session whose transaction was aborted.
        open: Records of the session whose transaction is still open.
        waiting_partitions: Partitions in which an open transaction holds back later records.
        unreadable: Records that could not be read, of any session; 0 where none was met.
        refused: Records of the session that workers have put into the dead letters or among the late chunks, by reason.
    """

    topics: Sequence[TopicFacts]
    read_ms: int
    records: Mapping[str, int]
    covered_from_ms: int | None = None
    to_end: bool = True
    aborted: int = 0
    open: int = 0
    waiting_partitions: Sequence[str] = ()
    unreadable: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
