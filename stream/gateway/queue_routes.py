"""The moderation queue: cases, what people do about them, and the audit trail."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated
from uuid import uuid4

import msgspec
from litestar import Controller, get, post
from litestar.di import Provide
from litestar.exceptions import ClientException, HTTPException
from litestar.params import Parameter
from litestar.status_codes import HTTP_200_OK, HTTP_409_CONFLICT

from stream.domain.alert import Severity
from stream.domain.audit import AuditEntry, AuditProblem
from stream.domain.case import (
    Case,
    CaseRefusedError,
    CaseState,
    Transition,
    acknowledging,
    claiming,
    deciding,
    releasing,
    showing_words,
    snoozing,
    withdrawing,
)
from stream.domain.decision import Decision
from stream.domain.identity import check_name
from stream.domain.permission import Permission
from stream.explain.text_view import alert_without_text
from stream.gateway.actors import actor_of
from stream.gateway.context import Gateway
from stream.gateway.guard import require, visible_session
from stream.gateway.principal import Principal
from stream.gateway.problems import not_found
from stream.gateway.views import Page
from stream.sinks.alert_queue import QueueCounts

MOST = 200
LONGEST_ID = 320

Cursor = Annotated[str, Parameter(description="`next` of the page before.", max_length=1000)]
Limit = Annotated[int, Parameter(ge=1, le=MOST, description="Most items.")]
Window = Annotated[str, Parameter(description="The last part of the alert's id: EPOCH-END~RULE.", max_length=LONGEST_ID)]


class Snooze(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For how long a case is put off."""

    minutes: Annotated[int, msgspec.Meta(ge=1, le=1440)]


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a tenant's audit trail is as it was written.

    Attributes:
        intact: Whether no entry was changed, removed or added.
        checked: Entries that were read.
        sequence: Number of the newest entry.
        hash: Its hash. Note it elsewhere: then nobody can replace the whole trail unnoticed.
        problems: Where it is not as it was written.
    """

    intact: bool
    checked: int
    sequence: int
    hash: str
    problems: tuple[AuditProblem, ...]


@dataclass(frozen=True, slots=True)
class AlertPlace:
    """An alert of a tenant that whoever asks sees."""

    tenant: str
    alert_id: str


def alert_place(principal: Principal, tenant: str, session: str, track: str, alert: Window) -> AlertPlace:
    """The alert of a path. Raises 404."""
    return AlertPlace(_visible(principal, tenant), f"{tenant}/{session}/{track}/{alert}")


CASE = "/alerts/{tenant:str}/{session:str}/{track:str}/{alert:str}"
DECIDE = (require(Permission.DECIDE),)


class QueueController(Controller):
    """``/api/v1/alerts`` and ``/api/v1/queue``.

    Cases come without the words that were said; showing those is an act of its own, which the trail notes.
    """

    path = "/api/v1"
    guards = (require(Permission.ALERTS),)
    tags = ("alerts",)
    dependencies: Mapping[str, Provide] = {"place": Provide(alert_place, sync_to_thread=False)}

    @get("/alerts", summary="Cases of the moderation queue")
    async def cases(
        self,
        gateway: Gateway,
        principal: Principal,
        *,
        session: Annotated[str | None, Parameter(description="All cases of this session: TENANT/SESSION.", max_length=129)] = None,
        standing: Annotated[CaseState, Parameter(query="state", description="Only cases in this state.")] = CaseState.OPEN,
        severity: Annotated[Severity | None, Parameter(description="Only cases of this severity.")] = None,
        cursor: Cursor = "",
        limit: Limit = 50,
    ) -> Page[Case]:
        """By severity, then age; decided ones by their time, the newest first. Those of a session in the order of their ids."""
        queue = gateway.desk.queue
        if session is not None:
            key = visible_session(principal, *session.split("/", 1)) if "/" in session else None
            of_session = [] if key is None else await queue.of_session(key, actor_of(principal))
            return Page(items=tuple(map(_without_words, of_session)))
        try:
            found, following = await queue.page(
                await _tenants(gateway, principal), standing, severity=severity, cursor=cursor, limit=limit, asking=actor_of(principal)
            )
        except ValueError as error:
            raise ClientException(f"cursor: {error}") from None
        return Page(items=tuple(map(_without_words, found)), next=following)

    @get("/queue", summary="How full the queue is")
    async def counts(self, gateway: Gateway, principal: Principal) -> QueueCounts:
        """The numbers of cases by state, alerts in the last hour, and the age of the oldest open case."""
        return await gateway.desk.queue.counts(await _tenants(gateway, principal))

    @get("/queue/{tenant:str}/audit", summary="The audit trail", guards=[require(Permission.ADMINISTER)])
    async def audit(
        self,
        gateway: Gateway,
        principal: Principal,
        tenant: str,
        after: Annotated[int, Parameter(ge=0, le=2**53, description="Only entries with a higher number.")] = 0,
        limit: Limit = 100,
    ) -> Page[AuditEntry]:
        """Who did what, entry after entry. It quotes nothing and names nobody."""
        trail = gateway.desk.queue.trail
        try:
            entries = await trail.read(_visible(principal, tenant), after, limit)
        except msgspec.MsgspecError:
            detail = "an entry of the trail cannot be read, because it was changed: audit/verify says where"
            raise HTTPException(detail, status_code=HTTP_409_CONFLICT) from None
        return Page(items=tuple(entries), next=str(entries[-1].sequence) if len(entries) == limit else None)

    @get("/queue/{tenant:str}/audit/verify", summary="Whether the audit trail was changed", guards=[require(Permission.ADMINISTER)])
    async def verify(self, gateway: Gateway, principal: Principal, tenant: str) -> Verification:
        """Read the whole trail and check its chain of hashes."""
        report = await gateway.desk.queue.trail.verify(_visible(principal, tenant))
        return Verification(
            intact=not report.problems,
            checked=report.checked,
            sequence=report.end.sequence,
            hash=report.end.hash,
            problems=report.problems,
        )

    @get(CASE, summary="One case")
    async def case(self, gateway: Gateway, principal: Principal, place: AlertPlace) -> Case:
        """A case by the id of its alert."""
        found = await gateway.desk.queue.case(place.tenant, place.alert_id, actor_of(principal))
        if found is None:
            raise not_found("alert")
        return _without_words(found)

    @post(f"{CASE}/words", summary="A case with its words", status_code=HTTP_200_OK, guards=[require(Permission.WORDS)])
    async def words(self, gateway: Gateway, principal: Principal, place: AlertPlace) -> Case:
        """The words of its evidence, redacted. The audit trail notes who saw them."""
        return await _changed(gateway, principal, place, showing_words)

    @post(f"{CASE}/claim", summary="Work on a case", status_code=HTTP_200_OK, guards=[*DECIDE])
    async def claim(self, gateway: Gateway, principal: Principal, place: AlertPlace) -> Case:
        """For five minutes nobody else can; claiming again extends it. 409 says who has it, and until when."""
        return await _change(gateway, principal, place, claiming(actor_of(principal)))

    @post(f"{CASE}/release", summary="Give a case back", status_code=HTTP_200_OK, guards=[*DECIDE])
    async def release(self, gateway: Gateway, principal: Principal, place: AlertPlace) -> Case:
        """The own claim; with the permission `administer` also another's."""
        step = releasing(actor_of(principal), any_claim=principal.may(Permission.ADMINISTER))
        return await _change(gateway, principal, place, step)

    @post(f"{CASE}/acknowledge", summary="Say that somebody has seen it", status_code=HTTP_200_OK, guards=[*DECIDE])
    async def acknowledge(self, gateway: Gateway, principal: Principal, place: AlertPlace) -> Case:
        """It stays in the queue."""
        return await _change(gateway, principal, place, acknowledging(actor_of(principal)))

    @post(f"{CASE}/snooze", summary="Put a case off", status_code=HTTP_200_OK, guards=[*DECIDE])
    async def snooze(self, gateway: Gateway, principal: Principal, place: AlertPlace, data: Snooze) -> Case:
        """It comes back by itself."""
        step = snoozing(actor_of(principal), data.minutes * 60_000)
        return await _change(gateway, principal, place, step)

    @post(f"{CASE}/decide", summary="Decide a case", status_code=HTTP_200_OK, guards=[*DECIDE])
    async def decide(self, gateway: Gateway, principal: Principal, place: AlertPlace, data: Decision) -> Case:
        """Only who has claimed it can. It can be undone for 10 s; then it is published in the topic `decisions`, at least once."""
        return await _change(gateway, principal, place, deciding(actor_of(principal), data, uuid4().hex))

    @post(f"{CASE}/undo", summary="Undo the own decision", status_code=HTTP_200_OK, guards=[*DECIDE])
    async def undo(self, gateway: Gateway, principal: Principal, place: AlertPlace) -> Case:
        """Within 10 s. The decision reaches nobody; the trail keeps both acts."""
        return await _change(gateway, principal, place, withdrawing(actor_of(principal)))


async def _change(gateway: Gateway, principal: Principal, place: AlertPlace, step: Transition) -> Case:
    return _without_words(await _changed(gateway, principal, place, step))


async def _changed(gateway: Gateway, principal: Principal, place: AlertPlace, step: Transition) -> Case:
    try:
        found = await gateway.desk.queue.change(place.tenant, place.alert_id, actor_of(principal), step)
    except CaseRefusedError as error:
        raise HTTPException(str(error), status_code=HTTP_409_CONFLICT) from None
    if found is None:
        raise not_found("alert")
    return found


async def _tenants(gateway: Gateway, principal: Principal) -> Collection[str]:
    return [tenant for tenant in await gateway.desk.queue.tenants() if principal.sees(tenant)]


def _visible(principal: Principal, tenant: str) -> str:
    """A tenant that they see. Raises 404."""
    try:
        check_name("tenant", tenant)
    except ValueError:
        raise not_found("alert") from None
    if not principal.sees(tenant):
        raise not_found("alert")
    return tenant


def _without_words(case: Case) -> Case:
    decision = None if case.decision is None else msgspec.structs.replace(case.decision, decision_facts=None)
    return msgspec.structs.replace(case, alert=alert_without_text(case.alert), decision=decision)
