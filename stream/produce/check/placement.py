"""Whether the records of a session are in the partition to which their key belongs, and which client has put them elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from stream.domain.partition import partition_of
from stream.produce.check.finding import Findings, Position
from stream.produce.check.partitioners import MURMUR2_SETTING, likely_partitioners
from stream.produce.check.record import SentRecord

OTHER_KEYS = 1000
"""Keys of other sessions in wrong partitions that are kept: they tell which partitioner was used."""


class PlacementCheck:
    """Notes in which partitions records are.

    Args:
        key: Key of the session that is checked.
        partitions: Number of partitions of each input topic.
    """

    def __init__(self, key: bytes, partitions: Mapping[str, int]) -> None:
        self._key = key
        self._partitions = partitions
        self._found: Counter[tuple[str, int]] = Counter()
        self._wrong: Counter[tuple[str, int]] = Counter()
        self._first_wrong: Position | None = None
        self._others: dict[bytes, tuple[bytes, int, int]] = {}

    def add(self, record: SentRecord) -> None:
        """Add a record with any key."""
        at, count = record.at, self._partitions.get(record.at.topic, 0)
        if record.key is None or not count:
            return
        wrong = at.partition != partition_of(record.key, count)
        if record.key == self._key:
            self._found[at.topic, at.partition] += 1
            if wrong:
                self._wrong[at.topic, at.partition] += 1
                self._first_wrong = self._first_wrong or at
        elif wrong and len(self._others) < OTHER_KEYS:
            self._others[record.key] = record.key, count, at.partition

    def report(self, findings: Findings) -> None:
        """Report records in a wrong partition, with the setting of the client that has probably sent them."""
        if not self._found:
            return
        if not self._wrong:
            partition = next(iter(self._found))[1]
            findings.good("wrong_partition", f"all records are in partition {partition}, where their key belongs")
            return
        placed = [(self._key, self._partitions[topic], partition) for topic, partition in self._wrong]
        likely = likely_partitioners([*placed, *self._others.values()]) or likely_partitioners(placed)
        used = ", ".join(map(str, sorted({partition for _, partition in self._found})))
        wanted = partition_of(self._key, max(self._partitions.values()))
        text = f"records are in partition {used}, but their key belongs to partition {wanted} (murmur2)"
        if likely:
            text += ", and where they are is where they would be put by " + ", or by ".join(partitioner.client for partitioner in likely)
        elif len(self._found) > len({topic for topic, _ in self._found}):
            text += ": records of one key are in several partitions of a topic, so the partitioner does not follow the key alone"
        fix = "; or ".join(f"{partitioner.client}: {partitioner.fix}" for partitioner in likely) or MURMUR2_SETTING
        findings.error("wrong_partition", text, fix, count=self._wrong.total(), example=self._first_wrong)
