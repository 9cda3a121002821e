"""The life of a rule on one track: inactive → pending → raised → cleared, and a time in which it keeps quiet. Pure.

It moves on with each window of the track. All times are ends of windows in media time, so a replay decides the same.
"""

from __future__ import annotations

import msgspec

from stream.domain.alert import AlertState
from stream.rules.rule import Rule

STALE_MS = 15_000
"""A pending rule begins again if no window for this long has said that its condition holds: two angry words ten minutes apart are no
anger that lasts."""


class RuleState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a rule stands on a track. A rule that is inactive has no state.

    Attributes:
        version: `Rule.version` of the rule that this is the state of.
        since_ms: Start of the first window in which the condition held; None if it is not pending or raised.
        first_ms: End of that window: from here on `Rule.for_ms` counts.
        held_ms: End of the newest window in which the condition held, while it is pending.
        raised_ms: End of the window with which it was raised; None if it is not raised.
        clearing_ms: End of the first of the newest windows in a row in which the condition of its end holds; None if it does not.
        quiet_until_ms: Media time before which it is not looked at again.
    """

    version: str
    since_ms: int | None = None
    first_ms: int | None = None
    held_ms: int | None = None
    raised_ms: int | None = None
    clearing_ms: int | None = None
    quiet_until_ms: int | None = None


Step = tuple[RuleState | None, AlertState | None]
"""The state after a window, and what the window did."""


def step(rule: Rule, state: RuleState | None, span: tuple[int, int], *, holds: bool | None, ends: bool | None) -> Step:
    """The state of a rule after a window.

    Args:
        rule: The rule.
        state: Its state before; None if it is inactive.
        span: Start and end of the window.
        holds: Whether its condition holds in the window; None if the window does not say.
        ends: Whether the condition of its end holds, likewise.
    """
    if state is None:
        state = RuleState(rule.version)
    if state.raised_ms is not None:
        return _raised(rule, state, span[1], ends=ends)
    if state.quiet_until_ms is not None:
        if span[1] < state.quiet_until_ms:
            return state, None
        state = RuleState(rule.version)
    if holds is None:
        return (None if state.since_ms is None else state), None
    if not holds:
        return None, None
    return _holding(rule, state, span)


def _holding(rule: Rule, state: RuleState, span: tuple[int, int]) -> Step:
    start_ms, end_ms = span
    since_ms, first_ms = state.since_ms, state.first_ms
    if since_ms is None or first_ms is None or end_ms - (state.held_ms or end_ms) > STALE_MS:
        since_ms, first_ms = start_ms, end_ms
    if end_ms - first_ms < rule.for_ms:
        return RuleState(rule.version, since_ms, first_ms, held_ms=end_ms), None
    return RuleState(rule.version, since_ms, first_ms, raised_ms=end_ms), AlertState.RAISED


def _raised(rule: Rule, state: RuleState, end_ms: int, *, ends: bool | None) -> Step:
    if ends is None:
        return state, None
    if not ends:
        return msgspec.structs.replace(state, clearing_ms=None), None
    clearing_ms = end_ms if state.clearing_ms is None else state.clearing_ms
    if end_ms - clearing_ms < rule.keep_firing_for_ms:
        return msgspec.structs.replace(state, clearing_ms=clearing_ms), None
    quiet = RuleState(rule.version, quiet_until_ms=end_ms + rule.cool_down_ms) if rule.cool_down_ms else None
    return quiet, AlertState.CLEARED
