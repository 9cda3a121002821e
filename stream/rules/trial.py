"""A trial of rules on windows that are final already: what would have been raised, and how often. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from stream.domain.alert import AlertRecord, AlertState
from stream.domain.result import ExplanationRecord, ScoreRecord
from stream.rules.evaluate import RuleSet, TrackRules
from stream.rules.rule import Rule


@dataclass(slots=True)
class RuleTrial:
    """What a rule found.

    Attributes:
        rule: The rule.
        windows: Windows that it looked at.
        held: Windows in which its condition holds.
        undecided: Windows that lack something that it names.
        raised: Alerts that it raised.
        cleared: Alerts that it cleared.
        lowest: Smallest value that it measured; None if it measured nothing.
        highest: Largest one.
    """

    rule: Rule
    windows: int = 0
    held: int = 0
    undecided: int = 0
    raised: int = 0
    cleared: int = 0
    lowest: float | None = None
    highest: float | None = None

    def measure(self, value: float | None) -> None:
        """Take a value into the range."""
        if value is not None:
            self.lowest = value if self.lowest is None else min(self.lowest, value)
            self.highest = value if self.highest is None else max(self.highest, value)


@dataclass(slots=True)
class Trial:
    """What the rules of a file find in the windows of a session.

    Attributes:
        windows: Windows that were looked at.
        media_ms: Media time of the session, over all its epochs.
        alerts: All alerts, in order of media time.
        rules: What each rule found, in the order of the file.
    """

    windows: int
    media_ms: int
    alerts: list[AlertRecord]
    rules: list[RuleTrial]
    per_hour: float = field(init=False)
    """Raised alerts in an hour of media."""

    def __post_init__(self) -> None:
        raised = sum(of_rule.raised for of_rule in self.rules)
        self.per_hour = round(raised * 3_600_000 / self.media_ms, 1) if self.media_ms else 0.0


def try_rules(rules: RuleSet, finals: Iterable[tuple[ScoreRecord, ExplanationRecord]]) -> Trial:
    """Evaluate rules on the final windows of one session; those of each track must be in order."""
    found = {rule.name: RuleTrial(rule) for rule in rules.book.rules}
    states: dict[str, TrackRules] = {}
    spans: dict[int, tuple[int, int]] = {}
    alerts: list[AlertRecord] = []
    windows = 0
    for score, explanation in finals:
        windows += 1
        start_ms, end_ms = spans.get(score.epoch, (score.start_ms, score.end_ms))
        spans[score.epoch] = min(start_ms, score.start_ms), max(end_ms, score.end_ms)
        evaluation = rules.evaluate(states.get(score.track), score, explanation)
        states[score.track] = evaluation.state
        alerts += evaluation.alerts
        for decision in evaluation.decisions:
            of_rule = found[decision.rule.name]
            of_rule.windows += 1
            of_rule.held += decision.holds is True
            of_rule.undecided += decision.holds is None
            of_rule.measure(decision.value)
    for alert in alerts:
        found[alert.rule].raised += alert.state is AlertState.RAISED
        found[alert.rule].cleared += alert.state is AlertState.CLEARED
    alerts.sort(key=lambda alert: (alert.epoch, alert.end_ms, alert.track))
    return Trial(windows, sum(end_ms - start_ms for start_ms, end_ms in spans.values()), alerts, list(found.values()))
