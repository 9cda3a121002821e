"""A rule: when it calls a person, and what it tells them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import msgspec

from stream.domain.alert import AlertMode, Severity
from stream.rules.condition import OWN_VARIABLES, Condition

CONTEST = "Ask the operator of this service to have a person review the decision."
"""How a decision can be contested, where a file of rules does not say it."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule of a file. All times are media time.

    Attributes:
        name: Its name, unique in the file.
        title: What happened, in a few words.
        text: The rule in words.
        when: The condition under which it is raised.
        clear: The condition under which it ends; None for "`when` does not hold".
        value: What it measures, if it measures something.
        threshold: The value at which it is raised: the variable ``threshold`` of its conditions.
        clear_at: The value at which it ends: the variable ``clear_at``.
        for_ms: How long `when` must hold before the rule is raised.
        keep_firing_for_ms: How long the condition of its end must hold before it ends.
        cool_down_ms: How long after its end it cannot be raised again.
        severity: How urgent it is.
        mode: ``shadow`` while it is on trial.
        roles: Roles of the tracks that it looks at; empty for all.
        tracks: Names of the tracks that it looks at; empty for all.
        respond: What to do.
        policy: The policy that it belongs to.
        category: The category that it proposes for a statement of reasons.
        line: Where it begins in its file.
    """

    name: str
    title: str
    text: str
    when: Condition
    clear: Condition | None = None
    value: Condition | None = None
    threshold: float | None = None
    clear_at: float | None = None
    for_ms: int = 0
    keep_firing_for_ms: int = 0
    cool_down_ms: int = 0
    severity: Severity = Severity.MEDIUM
    mode: AlertMode = AlertMode.LIVE
    roles: tuple[str, ...] = ()
    tracks: tuple[str, ...] = ()
    respond: str = ""
    policy: str | None = None
    category: str | None = None
    line: int | None = None

    def looks_at(self, track: str, role: str) -> bool:
        """Whether the rule looks at a track."""
        return (not self.roles or role in self.roles) and (not self.tracks or track in self.tracks)

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """The variables of windows that the rule names."""
        named = {name for part in (self.when, self.clear, self.value) if part is not None for name in part.variables}
        return tuple(sorted(named - set(OWN_VARIABLES)))

    @cached_property
    def version(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of everything that the rule says."""
        said = {name: value for name, value in vars(self).items() if name in self.__dataclass_fields__ and name != "line"}
        said |= {name: value.source for name, value in said.items() if isinstance(value, Condition)}
        return hashlib.sha256(msgspec.json.encode(said, order="sorted")).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class RuleBook:
    """The rules of a file.

    Attributes:
        rules: The rules, in the order of the file.
        contest: How a person can contest a decision that rests on an alert.
    """

    rules: tuple[Rule, ...] = ()
    contest: str = CONTEST
