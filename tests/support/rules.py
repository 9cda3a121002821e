"""Alert rules for tests whose windows count words."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from stream.domain.alert import AlertRecord
from stream.domain.result import ExplanationRecord, ScoreRecord
from stream.rules.evaluate import RuleSet, TrackRules
from stream.rules.read import read_rules

RULES_FILE = Path(__file__).with_name("rules.yaml")


def rule_set() -> RuleSet:
    """The rules."""
    return RuleSet(read_rules(RULES_FILE))


def alerts_of(finals: Iterable[tuple[ScoreRecord, ExplanationRecord]]) -> list[AlertRecord]:
    """The alerts of a track whose windows one worker sees without a break."""
    rules = rule_set()
    state: TrackRules | None = None
    alerts: list[AlertRecord] = []
    for final in finals:
        found = rules.evaluate(state, *final)
        state = found.state
        alerts += found.alerts
    return alerts
