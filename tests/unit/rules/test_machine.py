"""The life of a rule: pending, raised, cleared and quiet, all in media time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from stream.domain.alert import AlertState
from stream.rules.condition import Condition
from stream.rules.machine import RuleState, step
from stream.rules.rule import Rule

HOP_MS = 2000
RAISED, CLEARED = AlertState.RAISED, AlertState.CLEARED
SYMBOLS = {"+": True, "-": False, "?": None}


def rule(*, for_ms: int = 0, keep_firing_for_ms: int = 0, cool_down_ms: int = 0) -> Rule:
    plain = Rule(name="r", title="t", text="t", when=Condition("score < 0.0"))
    return replace(plain, for_ms=for_ms, keep_firing_for_ms=keep_firing_for_ms, cool_down_ms=cool_down_ms)


def life(of: Rule, holds: str, ends: str | None = None) -> list[tuple[int, AlertState]]:
    """What happens at the ends of windows, in seconds. ``+-?``: the condition holds, does not hold, or the window does not say."""
    state: RuleState | None = None
    found: list[tuple[int, AlertState]] = []
    opposite = holds.translate(str.maketrans("+-", "-+"))
    for number, (now, over) in enumerate(zip(holds, ends or opposite, strict=True)):
        end_ms = 4000 + number * HOP_MS
        state, did = step(of, state, (end_ms - 4000, end_ms), holds=SYMBOLS[now], ends=SYMBOLS[over])
        if did is not None:
            found.append((end_ms // 1000, did))
    return found


@pytest.mark.parametrize(
    ("times", "holds", "expected"),
    [
        ({}, "-+-", [(6, RAISED), (8, CLEARED)]),
        ({}, "++++", [(4, RAISED)]),
        ({"for_ms": 4000}, "++-+++", [(14, RAISED)]),
        ({"for_ms": 4000}, "+?+", [(8, RAISED)]),
        ({"for_ms": 4000}, "+??", []),
        ({"keep_firing_for_ms": 4000}, "+--+---", [(4, RAISED), (16, CLEARED)]),
        ({"keep_firing_for_ms": 4000}, "+-?-", [(4, RAISED), (10, CLEARED)]),
        ({}, "+???-", [(4, RAISED), (12, CLEARED)]),
        ({"cool_down_ms": 4000}, "+-++", [(4, RAISED), (6, CLEARED), (10, RAISED)]),
        ({"cool_down_ms": 4000, "for_ms": 2000}, "++-++", [(6, RAISED), (8, CLEARED)]),
        ({"cool_down_ms": 4000, "for_ms": 2000}, "++-+++", [(6, RAISED), (8, CLEARED), (14, RAISED)]),
        ({}, "???", []),
        ({"for_ms": 4000}, "+" + 6 * "?" + "+", [(18, RAISED)]),
        ({"for_ms": 4000}, "+" + 7 * "?" + "+++", [(24, RAISED)]),
    ],
)
def test_a_rule_is_raised_and_cleared(times: dict[str, int], holds: str, expected: Sequence[tuple[int, AlertState]]) -> None:
    assert life(rule(**times), holds) == expected


def test_between_the_thresholds_nothing_happens() -> None:
    assert life(rule(), "+---+--", "----" + "--+") == [(4, RAISED), (16, CLEARED)]


def test_an_inactive_rule_leaves_no_state() -> None:
    assert step(rule(), None, (0, 4000), holds=False, ends=True) == (None, None)
    assert step(rule(), None, (0, 4000), holds=None, ends=None) == (None, None)


def test_the_state_says_since_when_the_condition_holds() -> None:
    state, _ = step(rule(for_ms=2000), None, (1000, 5000), holds=True, ends=False)
    state, did = step(rule(for_ms=2000), state, (3000, 7000), holds=True, ends=False)
    assert did is RAISED
    assert state is not None
    assert (state.since_ms, state.raised_ms) == (1000, 7000)
