"""Verdicts of reviewers on results: they go to the topic ``feedback``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Controller, delete, post
from litestar.params import Parameter

from stream.domain.identity import check_name
from stream.domain.permission import Permission
from stream.domain.verdict import (
    Judgement,
    Span,
    SuspectJudgement,
    SuspectVerdict,
    Verdict,
    Withdrawal,
    new_verdict_id,
    session_of,
    suspect_record,
    verdict_record,
    withdrawal_record,
)
from stream.gateway.actors import actor_of
from stream.gateway.context import Gateway
from stream.gateway.guard import require
from stream.gateway.principal import Principal
from stream.gateway.problems import not_found, unavailable
from stream.kafka_admin.errors import BrokerError
from stream.sinks.problems import RedisUnusableError
from stream.sinks.sent_verdicts import UNDO_MS, SentVerdict

SOURCE = "sentistream/gateway"


class GivenVerdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a reviewer says. The rules are those of `stream.domain.verdict.Verdict`; role and time come from the gateway.

    Attributes:
        window_id: The window, as in its records.
        verdict: What is said of it.
        artefact: Name of the nuisance; needed for ``artefact`` and ``genuine``.
        span: What it is about; None for the whole window.
    """

    window_id: Annotated[str, msgspec.Meta(max_length=320)]
    verdict: Judgement
    artefact: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern="^[ -~]*$")] | None = None
    span: Span | None = None

    def __post_init__(self) -> None:
        Verdict(window_id=self.window_id, verdict=self.verdict, reviewer="reviewer", given_at_ms=0, artefact=self.artefact, span=self.span)


class SentVerdictView(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict that is in the topic.

    Attributes:
        id: Its ``ce_id``.
        undo_until_ms: Until when it can be taken back (Unix ms); None if it cannot, because Redis is away.
    """

    id: str
    undo_until_ms: int | None


class GivenSuspectVerdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a reviewer says of a suspected artefact."""

    artefact: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern="^[ -~]*$")]
    verdict: SuspectJudgement


class VerdictController(Controller):
    """``/api/v1/verdicts``."""

    path = "/api/v1/verdicts"
    guards = (require(Permission.REVIEW),)
    tags = ("verdicts",)

    @post("", summary="Say what is right or wrong with a result")
    async def give(self, gateway: Gateway, principal: Principal, data: GivenVerdict) -> SentVerdictView:
        """Answered when Kafka has the verdict. 503: it may or may not have it, so send it again: of two alike, one counts."""
        if not principal.sees(session_of(data.window_id).tenant):
            raise not_found("window")
        actor, verdict_id, now_ms = actor_of(principal), new_verdict_id(), gateway.hub.now_ms()
        verdict = Verdict(
            window_id=data.window_id,
            verdict=data.verdict,
            reviewer=check_name("reviewer", actor.role),
            given_at_ms=now_ms,
            artefact=data.artefact,
            span=data.span,
        )
        try:
            await gateway.desk.verdicts.send(*verdict_record(verdict, SOURCE, verdict_id))
        except BrokerError as error:
            raise unavailable(f"the verdict is not known to be sent: {error}; send it again") from None
        try:
            await gateway.desk.sent_verdicts.remember(verdict_id, SentVerdict(actor.pseudonym, data.window_id))
        except RedisUnusableError:
            return SentVerdictView(id=verdict_id, undo_until_ms=None)
        return SentVerdictView(id=verdict_id, undo_until_ms=now_ms + UNDO_MS)

    @post("/artefacts", summary="Say whether a suspect is an artefact")
    async def judge(self, gateway: Gateway, principal: Principal, data: GivenSuspectVerdict) -> SuspectVerdict:
        """It goes to the topic `feedback`. 503: it is not known to be there, so send it again: of two alike, one counts."""
        verdict = SuspectVerdict(
            artefact=data.artefact, verdict=data.verdict, reviewer=actor_of(principal).role, given_at_ms=gateway.hub.now_ms()
        )
        try:
            await gateway.desk.verdicts.send(*suspect_record(verdict, SOURCE))
        except BrokerError as error:
            raise unavailable(f"the verdict is not known to be sent: {error}; send it again") from None
        gateway.desk.verdict_counts.outdated()
        return verdict

    @delete("/{verdict_id:str}", summary="Take the own verdict back")
    async def take_back(
        self,
        gateway: Gateway,
        principal: Principal,
        verdict_id: Annotated[str, Parameter(pattern="^[0-9a-f]{32}$", description="The id that sending it has returned.")],
    ) -> None:
        """Within 10 s. A record in the topic says so; `sentistream reveal --feedback` then leaves the verdict out."""
        sent = await gateway.desk.sent_verdicts.find(verdict_id)
        if sent is None or sent.actor != actor_of(principal).pseudonym:
            raise not_found("verdict that you could take back: it is older than 10 s, or not yours")
        withdrawal = Withdrawal(verdict_id=verdict_id, window_id=sent.window_id, given_at_ms=gateway.hub.now_ms())
        try:
            await gateway.desk.verdicts.send(*withdrawal_record(withdrawal, SOURCE))
        except BrokerError as error:
            raise unavailable(f"the verdict may still stand: {error}; try again") from None
        await gateway.desk.sent_verdicts.forget(verdict_id)
