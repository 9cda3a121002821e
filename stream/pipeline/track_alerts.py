"""The alerts of one track: evaluates the rules on its windows, in the order in which they are published."""

from __future__ import annotations

from stream.domain.delivery import WindowAlerts
from stream.domain.result import ExplanationRecord, ScoreRecord
from stream.pipeline.metrics import Metrics
from stream.rules.evaluate import RuleSet, TrackRules, encode_track_rules


class TrackAlerts:
    """The rules of the worker, and their state on one track.

    Args:
        rules: The rules; None if the worker has none.
        before: Their state after the track's last final window, according to Redis.
        metrics: Counts the alerts of windows that have become final.
    """

    def __init__(self, rules: RuleSet | None, before: TrackRules | None, metrics: Metrics) -> None:
        self._rules = rules
        self._state = before
        self._metrics = metrics

    def of(self, score: ScoreRecord, explanation: ExplanationRecord) -> WindowAlerts | None:
        """The alerts of the track's next window, and the state after it; None without rules."""
        if self._rules is None:
            return None
        found = self._rules.evaluate(self._state, score, explanation)
        self._state = found.state
        return WindowAlerts(found.alerts, encode_track_rules(found.state))

    def count(self, alerts: WindowAlerts | None) -> None:
        """Count alerts that are in Redis now."""
        for alert in () if alerts is None else alerts.records:
            self._metrics.alerts.labels(alert.rule, alert.state, alert.severity, alert.mode).inc()
