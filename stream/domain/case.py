"""Cases of the moderation queue: an alert, and what people have done about it.

Everything here is a pure function of a case's status, the person and the time. `stream.sinks.alert_queue` makes each step atomic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from stream.domain.alert import AlertRecord
from stream.domain.audit import AuditAction, digest
from stream.domain.decision import Decision

CLAIM_MS = 5 * 60_000
"""A claim lasts this long; claiming again extends it. A person who walks away does not keep a case from others for longer."""

UNDO_MS = 10_000
"""A decision may be withdrawn this long. It is published after that, so a withdrawn decision reaches nobody."""

LONGEST_SNOOZE_MS = 24 * 3_600_000


class CaseState(StrEnum):
    """Where a case stands."""

    OPEN = "open"
    CLAIMED = "claimed"
    SNOOZED = "snoozed"
    DECIDED = "decided"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts.

    Attributes:
        role: The person's role, which others may see.
        pseudonym: Tells two persons of one role apart. Not a name.
    """

    role: str
    pseudonym: str

    @classmethod
    def named(cls, role: str, name: str) -> Actor:
        """The actor behind a name, which goes no further."""
        return cls(role, digest(name.encode("utf-8"))[:12])


class CaseRefusedError(Exception):
    """A step that the case's status does not allow, as a sentence. `code` is for programs."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Claim(msgspec.Struct, frozen=True):
    """Who works on a case, and until when (Unix ms)."""

    role: str
    actor: str
    until_ms: int


class Mark(msgspec.Struct, frozen=True):
    """Who acknowledged a case, and when (Unix ms)."""

    role: str
    at_ms: int


class Decided(msgspec.Struct, frozen=True):
    """A decision, by whom, when (Unix ms), and its entry in the audit trail."""

    decision: Decision
    decision_id: str
    role: str
    actor: str
    at_ms: int
    audit_sequence: int = 0
    audit_hash: str = ""


class CaseStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """What people have done about an alert. A claim and a snooze end by themselves."""

    claim: Claim | None = None
    snoozed_until_ms: int = 0
    acknowledged: Mark | None = None
    decided: Decided | None = None

    def state(self, now_ms: int) -> CaseState:
        """Where the case stands at a time."""
        if self.decided is not None:
            return CaseState.DECIDED
        if self.claim_at(now_ms) is not None:
            return CaseState.CLAIMED
        return CaseState.SNOOZED if self.snoozed_until_ms > now_ms else CaseState.OPEN

    def claim_at(self, now_ms: int) -> Claim | None:
        """The claim, unless it has ended."""
        return self.claim if self.claim is not None and self.claim.until_ms > now_ms else None


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A case as pages and programs see it.

    Attributes:
        alert: The alert that raised it.
        raised_at_ms: Since when it waits (Unix ms).
        cleared_at_ms: When its condition ended; it waits for a decision all the same.
        claimed_by: Role of the person who works on it.
        mine: Whether that person is the one who asks.
        undo_until_ms: Until when its decision may be withdrawn.
        published: Whether its decision has reached the topic ``decisions``.
    """

    alert_id: str
    state: CaseState
    alert: AlertRecord
    raised_at_ms: int
    cleared_at_ms: int | None = None
    acknowledged_by: str | None = None
    acknowledged_at_ms: int | None = None
    claimed_by: str | None = None
    claimed_until_ms: int | None = None
    mine: bool = False
    snoozed_until_ms: int | None = None
    decision: Decision | None = None
    decision_id: str | None = None
    decided_by: str | None = None
    decided_at_ms: int | None = None
    undo_until_ms: int | None = None
    published: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What a permitted step changes, and what the audit trail says of it."""

    status: CaseStatus
    action: AuditAction
    detail: str = ""


Transition = Callable[[CaseStatus, int], Step | None]
"""From a status and the time (Unix ms), the step; None if nothing has to be changed. Raises `CaseRefusedError`."""


def claiming(actor: Actor, for_ms: int = CLAIM_MS) -> Transition:
    """Work on a case, or go on working on it. It wakes a snoozed case."""

    def step(status: CaseStatus, now_ms: int) -> Step:
        _require_undecided(status)
        _require_no_other(status, actor, now_ms)
        until_ms = now_ms + for_ms
        claimed = msgspec.structs.replace(status, claim=Claim(actor.role, actor.pseudonym, until_ms), snoozed_until_ms=0)
        return Step(claimed, AuditAction.CLAIMED, f"until_ms={until_ms}")

    return step


def releasing(actor: Actor, *, any_claim: bool = False) -> Transition:
    """Give a case back to the queue; with `any_claim` also another's."""

    def step(status: CaseStatus, now_ms: int) -> Step | None:
        if not any_claim:
            _require_no_other(status, actor, now_ms)
        if status.claim is None:
            return None
        return Step(msgspec.structs.replace(status, claim=None), AuditAction.RELEASED)

    return step


def acknowledging(actor: Actor) -> Transition:
    """Say that somebody has seen the alert."""

    def step(status: CaseStatus, now_ms: int) -> Step | None:
        _require_undecided(status)
        if status.acknowledged is not None:
            return None
        return Step(msgspec.structs.replace(status, acknowledged=Mark(actor.role, now_ms)), AuditAction.ACKNOWLEDGED)

    return step


def snoozing(actor: Actor, for_ms: int) -> Transition:
    """Put a case off. It gives up the own claim."""
    if not 0 < for_ms <= LONGEST_SNOOZE_MS:
        raise ValueError("a case can be snoozed for 1 minute to 24 hours")

    def step(status: CaseStatus, now_ms: int) -> Step:
        _require_undecided(status)
        _require_no_other(status, actor, now_ms)
        until_ms = now_ms + for_ms
        return Step(msgspec.structs.replace(status, claim=None, snoozed_until_ms=until_ms), AuditAction.SNOOZED, f"until_ms={until_ms}")

    return step


def deciding(actor: Actor, decision: Decision, decision_id: str) -> Transition:
    """Decide a case that one has claimed. The same decision again by the same person changes nothing, so a request may be repeated."""

    def step(status: CaseStatus, now_ms: int) -> Step | None:
        if status.decided is not None and (status.decided.actor, status.decided.decision) == (actor.pseudonym, decision):
            return None
        _require_undecided(status)
        _require_no_other(status, actor, now_ms)
        if status.claim_at(now_ms) is None:
            raise CaseRefusedError("not_claimed", "claim the case before you decide it; a claim ends after a while")
        decided = Decided(decision, decision_id, actor.role, actor.pseudonym, now_ms)
        status = msgspec.structs.replace(status, claim=None, snoozed_until_ms=0, decided=decided)
        return Step(status, AuditAction.DECIDED, f"sha256={digest(msgspec.json.encode(decision))}")

    return step


def withdrawing(actor: Actor) -> Transition:
    """Undo the own decision before it is published; the case is claimed again."""

    def step(status: CaseStatus, now_ms: int) -> Step:
        decided = status.decided
        if decided is None:
            raise CaseRefusedError("not_decided", "there is no decision to undo")
        if decided.actor != actor.pseudonym:
            raise CaseRefusedError("not_yours", f"only who decided can undo it; {_a(decided.role)} did")
        if now_ms >= decided.at_ms + UNDO_MS:
            raise CaseRefusedError("published", f"the decision is older than {UNDO_MS // 1000} s and final")
        claim = Claim(actor.role, actor.pseudonym, now_ms + CLAIM_MS)
        return Step(msgspec.structs.replace(status, decided=None, claim=claim), AuditAction.WITHDRAWN)

    return step


def showing_words(status: CaseStatus, _now_ms: int) -> Step:
    """The words of a case are shown to somebody: nothing changes but the trail."""
    return Step(status, AuditAction.WORDS_SHOWN)


def _require_undecided(status: CaseStatus) -> None:
    if status.decided is not None:
        raise CaseRefusedError("decided", f"{_a(status.decided.role)} has decided this case at {_clock(status.decided.at_ms)}")


def _require_no_other(status: CaseStatus, actor: Actor, now_ms: int) -> None:
    claim = status.claim_at(now_ms)
    if claim is not None and claim.actor != actor.pseudonym:
        raise CaseRefusedError("claimed", f"{_a(claim.role)} works on this case until {_clock(claim.until_ms)}")


def _clock(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M:%S UTC")


def _a(role: str) -> str:
    return f"{'an' if role[0].lower() in 'aeiou' else 'a'} {role}"
