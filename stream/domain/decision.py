"""Decisions of people on alerts, with the fields of the statement of reasons of the EU's DSA transparency database.

The machine fills what it knows (`AlertRecord.statement`); the fields here are a person's. Policy and reason are needed for every decision,
and become ground and explanation of the statement where something is restricted.
"""

from __future__ import annotations

import datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from stream.domain.alert import Statement
from stream.domain.chunk import SCHEMA_VERSION
from stream.domain.identity import SessionKey
from stream.domain.kafka_records import Headers

DECISION_TYPE = "io.sentistream.decision"

Ground500 = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Reason2000 = Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]
Facts5000 = Annotated[str, msgspec.Meta(max_length=5_000)]
Keyword = Annotated[str, msgspec.Meta(pattern="^KEYWORD_[A-Z_]{1,72}$", max_length=80)]
Territory = Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")]
Link = Annotated[str, msgspec.Meta(pattern="^https?://[!-~]+$", max_length=500)]


class Outcome(StrEnum):
    """What a person did about an alert."""

    NO_ACTION = "no_action"
    """The alert is right, and nothing has to be done."""
    FALSE_ALARM = "false_alarm"
    """The alert is wrong."""
    ASSISTED = "assisted"
    """Somebody was helped or spoken to; nothing is restricted."""
    RESTRICTED = "restricted"
    """Content, money, service or an account is restricted: needs the fields of the statement of reasons."""


class Visibility(StrEnum):
    """Restriction of the visibility of content."""

    REMOVED = "DECISION_VISIBILITY_CONTENT_REMOVED"
    DISABLED = "DECISION_VISIBILITY_CONTENT_DISABLED"
    DEMOTED = "DECISION_VISIBILITY_CONTENT_DEMOTED"
    AGE_RESTRICTED = "DECISION_VISIBILITY_CONTENT_AGE_RESTRICTED"
    INTERACTION_RESTRICTED = "DECISION_VISIBILITY_CONTENT_INTERACTION_RESTRICTED"
    LABELLED = "DECISION_VISIBILITY_CONTENT_LABELLED"
    OTHER = "DECISION_VISIBILITY_OTHER"


class Monetary(StrEnum):
    """Restriction of payments."""

    SUSPENSION = "DECISION_MONETARY_SUSPENSION"
    TERMINATION = "DECISION_MONETARY_TERMINATION"
    OTHER = "DECISION_MONETARY_OTHER"


class Provision(StrEnum):
    """Restriction of the service."""

    PARTIAL_SUSPENSION = "DECISION_PROVISION_PARTIAL_SUSPENSION"
    TOTAL_SUSPENSION = "DECISION_PROVISION_TOTAL_SUSPENSION"
    PARTIAL_TERMINATION = "DECISION_PROVISION_PARTIAL_TERMINATION"
    TOTAL_TERMINATION = "DECISION_PROVISION_TOTAL_TERMINATION"


class Account(StrEnum):
    """Restriction of an account."""

    SUSPENDED = "DECISION_ACCOUNT_SUSPENDED"
    TERMINATED = "DECISION_ACCOUNT_TERMINATED"


class Ground(StrEnum):
    """Whether the law or the terms of the service are the ground."""

    ILLEGAL = "DECISION_GROUND_ILLEGAL_CONTENT"
    INCOMPATIBLE = "DECISION_GROUND_INCOMPATIBLE_CONTENT"


class Category(StrEnum):
    """Category of a statement."""

    ANIMAL_WELFARE = "STATEMENT_CATEGORY_ANIMAL_WELFARE"
    CONSUMER_INFORMATION = "STATEMENT_CATEGORY_CONSUMER_INFORMATION"
    CYBER_VIOLENCE = "STATEMENT_CATEGORY_CYBER_VIOLENCE"
    CYBER_VIOLENCE_AGAINST_WOMEN = "STATEMENT_CATEGORY_CYBER_VIOLENCE_AGAINST_WOMEN"
    DATA_PROTECTION = "STATEMENT_CATEGORY_DATA_PROTECTION_AND_PRIVACY_VIOLATIONS"
    SPEECH = "STATEMENT_CATEGORY_ILLEGAL_OR_HARMFUL_SPEECH"
    INTELLECTUAL_PROPERTY = "STATEMENT_CATEGORY_INTELLECTUAL_PROPERTY_INFRINGEMENTS"
    CIVIC_DISCOURSE = "STATEMENT_CATEGORY_NEGATIVE_EFFECTS_ON_CIVIC_DISCOURSE_OR_ELECTIONS"
    TERMS = "STATEMENT_CATEGORY_OTHER_VIOLATION_TC"
    MINORS = "STATEMENT_CATEGORY_PROTECTION_OF_MINORS"
    PUBLIC_SECURITY = "STATEMENT_CATEGORY_RISK_FOR_PUBLIC_SECURITY"
    SCAMS = "STATEMENT_CATEGORY_SCAMS_AND_FRAUD"
    SELF_HARM = "STATEMENT_CATEGORY_SELF_HARM"
    UNSAFE_PRODUCTS = "STATEMENT_CATEGORY_UNSAFE_AND_PROHIBITED_PRODUCTS"
    VIOLENCE = "STATEMENT_CATEGORY_VIOLENCE"


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a person decides. Everything below `reason` belongs to the statement of reasons, and to the outcome ``restricted`` alone.

    Attributes:
        outcome: What was done.
        policy: The law, policy or term that it follows.
        reason: Why.
        decision_facts: The facts, if the person changed the machine's draft of them.
        decision_ground_reference_url: Where the policy can be read.
        incompatible_content_illegal: Whether what the terms forbid is against the law as well.
        territorial_scope: Countries in which it holds (ISO 3166-1, two letters).
        application_date: From when it holds; None: from now on.
    """

    outcome: Outcome
    policy: Ground500
    reason: Reason2000
    decision_facts: Facts5000 | None = None
    decision_visibility: tuple[Visibility, ...] = ()
    decision_visibility_other: Ground500 | None = None
    decision_monetary: Monetary | None = None
    decision_monetary_other: Ground500 | None = None
    decision_provision: Provision | None = None
    decision_account: Account | None = None
    decision_ground: Ground | None = None
    decision_ground_reference_url: Link | None = None
    incompatible_content_illegal: bool = False
    category: Category | None = None
    category_specification: Annotated[tuple[Keyword, ...], msgspec.Meta(max_length=20)] = ()
    territorial_scope: Annotated[tuple[Territory, ...], msgspec.Meta(max_length=31)] = ()
    application_date: datetime.date | None = None
    end_date_visibility_restriction: datetime.date | None = None
    end_date_monetary_restriction: datetime.date | None = None
    end_date_service_restriction: datetime.date | None = None
    end_date_account_restriction: datetime.date | None = None

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise ValueError(problem)

    @property
    def restrictions(self) -> tuple[str, ...]:
        """All restrictions."""
        single = (self.decision_monetary, self.decision_provision, self.decision_account)
        return (*self.decision_visibility, *(one for one in single if one is not None))

    def _problem(self) -> str:
        if not self.policy.strip() or not self.reason.strip():
            return "a decision needs a policy and a reason"
        if self.outcome is not Outcome.RESTRICTED:
            stray = [name for name, value in _person_fields(self).items() if value]
            return f"{', '.join(stray)}: only with the outcome restricted" if stray else ""
        return self._restriction_problem() or self._date_problem()

    def _restriction_problem(self) -> str:
        if not self.restrictions:
            return "the outcome restricted needs decision_visibility, decision_monetary, decision_provision or decision_account"
        if self.decision_ground is None or self.category is None:
            return "the outcome restricted needs decision_ground and category"
        if (Visibility.OTHER in self.decision_visibility) != (self.decision_visibility_other is not None):
            return "decision_visibility_other goes together with DECISION_VISIBILITY_OTHER"
        if (self.decision_monetary is Monetary.OTHER) != (self.decision_monetary_other is not None):
            return "decision_monetary_other goes together with DECISION_MONETARY_OTHER"
        return "decision_visibility names a restriction twice" if len(set(self.decision_visibility)) < len(self.decision_visibility) else ""

    def _date_problem(self) -> str:
        ends = {
            "end_date_visibility_restriction": (self.end_date_visibility_restriction, bool(self.decision_visibility)),
            "end_date_monetary_restriction": (self.end_date_monetary_restriction, self.decision_monetary is not None),
            "end_date_service_restriction": (self.end_date_service_restriction, self.decision_provision is not None),
            "end_date_account_restriction": (self.end_date_account_restriction, self.decision_account is not None),
        }
        for name, (date, restricted) in ends.items():
            if date is not None and not restricted:
                return f"{name} needs a restriction of that kind"
            if date is not None and self.application_date is not None and date < self.application_date:
                return f"{name} must not be before application_date"
        return ""


_ALWAYS = {"outcome", "policy", "reason", "decision_facts"}


def _person_fields(decision: Decision) -> dict[str, Any]:
    return {name: getattr(decision, name) for name in decision.__struct_fields__ if name not in _ALWAYS}


class DecisionRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="decision"):
    """A decision as it is published in the topic ``decisions``.

    Attributes:
        decision_id: Also ``ce_id``: by it readers recognise a repeat.
        role: Role of the person, never a name.
        statement: The statement of reasons: the machine's fields with the person's. None unless something is restricted.
        contest: How the person concerned can contest it.
        audit_sequence: Number of the decision's entry in the tenant's audit trail.
        audit_hash: Hash of that entry. Whoever changes the trail later contradicts this record.
    """

    decision_id: str
    tenant: str
    session: str
    track: str
    window_id: str
    alert_id: str
    rule: str
    rule_version: str
    severity: str
    outcome: Outcome
    policy: str
    reason: str
    role: str
    decided_at_ms: int
    statement: dict[str, Any] | None
    contest: str
    audit_sequence: int
    audit_hash: str


def statement_of_reasons(decision: Decision, draft: Statement | None, decided_at_ms: int) -> dict[str, Any] | None:
    """The completed statement of reasons; None if nothing is restricted.

    Args:
        decision: What the person filled in.
        draft: What the machine filled in.
        decided_at_ms: When it was decided (Unix ms).
    """
    if decision.outcome is not Outcome.RESTRICTED or decision.decision_ground is None:
        return None
    machine = {name: value for name, value in msgspec.to_builtins(draft).items() if name not in {"policy", "contest"}} if draft else {}
    own = {name: value for name, value in msgspec.to_builtins(decision).items() if name not in {"outcome", "policy", "reason"}}
    illegal = decision.decision_ground is Ground.ILLEGAL
    ground = (
        {"illegal_content_legal_ground": decision.policy, "illegal_content_explanation": decision.reason}
        if illegal
        else {"incompatible_content_ground": decision.policy, "incompatible_content_explanation": decision.reason}
    )
    decided_on = datetime.datetime.fromtimestamp(decided_at_ms / 1000, datetime.UTC).date().isoformat()
    # A person decided, whatever the draft says.
    return machine | {"application_date": decided_on} | own | ground | {"automated_decision": "AUTOMATED_DECISION_NOT_AUTOMATED"}


def decision_message(record: DecisionRecord) -> tuple[bytes, bytes, Headers]:
    """Key (``tenant/session``), value and headers of a decision; a function of the record alone, so that a repeat is identical."""
    session = SessionKey(record.tenant, record.session)
    headers = {
        "ce_specversion": "1.0",
        "ce_id": record.decision_id,
        "ce_source": "sentistream/gateway",
        "ce_type": DECISION_TYPE,
        "ce_subject": record.session,
        "ce_time": datetime.datetime.fromtimestamp(record.decided_at_ms / 1000, datetime.UTC).isoformat(timespec="milliseconds"),
        "content-type": "application/json",
        "ce_tenant": record.tenant,
        "ce_schemaversion": SCHEMA_VERSION,
    }
    return str(session).encode("ascii"), msgspec.json.encode(record), [(name, text.encode("ascii")) for name, text in headers.items()]
