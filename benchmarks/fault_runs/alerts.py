"""The oracle of alerts: the rules are evaluated again, without a break, on the windows that became final."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stream.domain.alert import AlertRecord
from stream.domain.result import ExplanationRecord, ScoreRecord, encode_record
from stream.rules.evaluate import RuleSet, TrackRules
from stream.rules.read import read_rules

RULES = Path(__file__).with_name("rules.yaml")
"""The rules of all fault runs."""

Final = tuple[ScoreRecord, ExplanationRecord]


@dataclass(frozen=True, slots=True)
class AlertCounts:
    """How the alerts of a session compare with those that its windows must raise.

    Attributes:
        expected: Alerts that must exist.
        lost: Those that are missing in Redis or in Kafka.
        duplicated: Alerts that Redis holds more than once.
        different: Alerts that must not exist, and ids with several contents in Kafka, or with another content than the expected one.
    """

    expected: int
    lost: int
    duplicated: int
    different: int


def expected_alerts(finals: Iterable[Final]) -> dict[str, bytes]:
    """The alerts of a track by id, as JSON: one worker that sees all of its windows raises them."""
    rules = RuleSet(read_rules(RULES))
    state: TrackRules | None = None
    alerts: dict[str, bytes] = {}
    for final in finals:
        found = rules.evaluate(state, *final)
        state = found.state
        alerts |= {alert.alert_id: encode_record(alert) for alert in found.alerts}
    return alerts


def compare_alerts(expected: Mapping[str, bytes], in_redis: Sequence[AlertRecord], in_kafka: Mapping[str, set[bytes]]) -> AlertCounts:
    """Compare the alerts of a session.

    Args:
        expected: What `expected_alerts` returns.
        in_redis: What its stream in Redis holds.
        in_kafka: The distinct contents of its records in ``alerts``, by id.
    """
    held = Counter(alert.alert_id for alert in in_redis)
    contents: dict[str, set[bytes]] = {alert_id: set(records) for alert_id, records in in_kafka.items()}
    for alert in in_redis:
        contents.setdefault(alert.alert_id, set()).add(encode_record(alert))
    return AlertCounts(
        expected=len(expected),
        lost=sum(alert_id not in held or alert_id not in in_kafka for alert_id in expected),
        duplicated=sum(count - 1 for count in held.values()),
        different=sum(found != {expected.get(alert_id)} for alert_id, found in contents.items()),
    )
