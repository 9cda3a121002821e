"""Evaluates the rules on the final windows of a track, in order. Pure: the state before and the records of a window give the rest."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from stream.domain.alert import AlertRecord, AlertState
from stream.domain.result import ExplanationRecord, ScoreRecord
from stream.rules.alerts import Found, alert_of
from stream.rules.condition import context_of
from stream.rules.machine import RuleState, step
from stream.rules.rule import Rule, RuleBook
from stream.rules.track_history import TrackHistory
from stream.rules.variables import Seen, Value, values_of


class TrackRules(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept of a track between two windows. Redis holds it with the track's last final window.

    Attributes:
        epoch: Epoch of the session's media clock.
        end_ms: End of the last window.
        history: What rules know of the windows so far.
        rules: States of the rules that are not inactive, by name.
    """

    epoch: int
    end_ms: int
    history: TrackHistory = TrackHistory()
    rules: dict[str, RuleState] = {}


@dataclass(frozen=True, slots=True)
class Decision:
    """What a rule made of a window.

    Attributes:
        rule: The rule.
        holds: Whether its condition holds; None if the window does not say.
        value: What it measures; None where there is nothing to measure.
        state: Its state after the window; None if it is inactive.
        alert: The alert that the window raised or cleared, if it did.
    """

    rule: Rule
    holds: bool | None
    value: float | None
    state: RuleState | None
    alert: AlertRecord | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the rules say of a window.

    Attributes:
        state: What is kept for the next window.
        alerts: Alerts that were raised or cleared, in the order of the rules.
        decisions: One for each rule that looks at the track, in the order of the rules.
    """

    state: TrackRules
    alerts: tuple[AlertRecord, ...] = ()
    decisions: tuple[Decision, ...] = ()


class RuleSet:
    """The rules of a file, ready to be evaluated.

    Args:
        book: The rules.
    """

    def __init__(self, book: RuleBook) -> None:
        self.book = book
        self._variables = tuple(sorted({name for rule in book.rules for name in rule.variables}))

    def evaluate(self, before: TrackRules | None, score: ScoreRecord, explanation: ExplanationRecord) -> Evaluation:
        """The state after a window, and its alerts.

        Args:
            before: The state after the window before; None before the first. The state of another epoch counts as None. For a window that
                is in the state already, a replay, nothing happens.
            score: The window's score.
            explanation: Its explanation.
        """
        if before is None or before.epoch != score.epoch:
            before = TrackRules(score.epoch, score.start_ms)
        if score.end_ms <= before.end_ms and before.history.windows:
            return Evaluation(before)
        seen = Seen(score, explanation, before.history.after(score))
        values = values_of(seen, self._variables)
        decisions = tuple(
            self._decide(rule, before.rules.get(rule.name), seen, {name: values[name] for name in rule.variables})
            for rule in self.book.rules
            if rule.looks_at(score.track, score.role)
        )
        states = {decision.rule.name: decision.state for decision in decisions if decision.state is not None}
        alerts = tuple(decision.alert for decision in decisions if decision.alert is not None)
        return Evaluation(TrackRules(score.epoch, score.end_ms, seen.history, states), alerts, decisions)

    def _decide(self, rule: Rule, before: RuleState | None, seen: Seen, values: dict[str, Value]) -> Decision:
        # A rule that was changed begins anew: what its old text found says nothing about the new one.
        before = before if before is not None and before.version == rule.version else None
        value = None if rule.value is None else rule.value.number(values)
        own: dict[str, Value] = {"value": value, "threshold": rule.threshold, "clear_at": rule.clear_at}
        context = context_of(values | own)
        holds = rule.when.holds(context)
        ends = None if holds is None else not holds
        if rule.clear is not None:
            ends = rule.clear.holds(context)
        after, did = step(rule, before, (seen.score.start_ms, seen.score.end_ms), holds=holds, ends=ends)
        raised = before if did is AlertState.CLEARED else after
        if did is None or raised is None:
            return Decision(rule, holds, value, after, None)
        alert = alert_of(did, seen, Found(rule, values, value, raised), self.book.contest)
        return Decision(rule, holds, value, after, alert)


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(TrackRules)


def encode_track_rules(state: TrackRules) -> bytes:
    """JSON of a state; the same state always gives the same bytes."""
    return _ENCODER.encode(state)


def decode_track_rules(data: bytes | str) -> TrackRules:
    """Inverse of `encode_track_rules`. Raises ``msgspec.ValidationError`` or ``msgspec.DecodeError``."""
    return _DECODER.decode(data)
