"""How the service is: what works, how old the data is, and how much there is to do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

import msgspec
from litestar import Controller, get

from stream.aio.service_monitor import OngoingProblem
from stream.domain.permission import Permission
from stream.domain.worker_beat import WorkerBeat
from stream.gateway.context import Gateway
from stream.gateway.disclosure import Disclosed
from stream.gateway.guard import require
from stream.gateway.principal import Principal
from stream.gateway.service_health import SERVICES
from stream.gateway.views import SessionPhase
from stream.sinks.alert_queue import QueueCounts
from stream.sinks.problems import RedisUnusableError

Answer = TypeVar("Answer")

LONGEST_S = 3.0
"""The answer comes within this time, whatever is away."""
SILENT_MS = 20_000
"""A worker whose last beat is older is stuck, cut off, or dead."""


class ServiceView(msgspec.Struct, frozen=True, kw_only=True):
    """A service that the gateway needs.

    Attributes:
        problem: What is wrong and what to do, for people; empty if nothing is.
        since_ms: Since when (Unix ms).
        lasting: Whether waiting cannot help.
    """

    name: str
    ok: bool
    problem: str = ""
    since_ms: int | None = None
    lasting: bool = False


class WorkerView(msgspec.Struct, frozen=True, kw_only=True):
    """A worker.

    Attributes:
        silent_ms: How long ago it last said how it is.
        ok: Whether it has said so lately and can work.
        overload: Why its results come late or lack media; empty while it keeps up.
    """

    worker: str
    ok: bool
    silent_ms: int
    since_ms: int
    partitions: int | None
    windows: int
    reasons: dict[str, str]
    overload: str = ""


class TruthView(msgspec.Struct, frozen=True, kw_only=True):
    """How often the phrase that explanations name first really has the largest effect.

    Attributes:
        rate: Share of the checked windows; None if none was checked.
        windows: Windows that were checked, since the workers' start.
    """

    rate: float | None
    windows: int


class HealthView(msgspec.Struct, frozen=True, kw_only=True):
    """How the service is. What Redis knows is None while it is away.

    Attributes:
        ok: Whether every service can be used, a worker works, none is behind, and nothing waits.
        at_ms: When it was looked at (Unix ms).
        sessions: Number of sessions by state.
        newest_result_at_ms: When the newest result came; None if there is none.
        viewers: Open live streams of this gateway.
        queue: The moderation queue.
        decisions_wait: Why decisions do not reach Kafka now; empty if they do.
    """

    ok: bool
    at_ms: int
    services: tuple[ServiceView, ...]
    workers: tuple[WorkerView, ...] | None
    sessions: dict[SessionPhase, int]
    newest_result_at_ms: int | None
    viewers: int
    queue: QueueCounts | None
    word_truth: TruthView | None
    decisions_wait: str = ""


class HealthController(Controller):
    """``/api/v1/health``."""

    path = "/api/v1/health"
    tags = ("operation",)

    @get("", summary="How the service is", guards=[require(Permission.OPERATE)])
    async def health(self, gateway: Gateway, principal: Principal) -> HealthView:
        """Answers within three seconds, also while services are away: they are named then."""
        desk, hub = gateway.desk, gateway.hub
        problems, beats, queue = await asyncio.gather(
            desk.checks.problems(), _known(desk.beats.all()), _known(_queue_counts(gateway, principal))
        )
        services = tuple(_service(name, problems.get(name)) for name in SERVICES)
        workers = None if beats is None else tuple(_worker(beat, beats[0]) for beat in beats[1])
        seen = [session for session in hub.sessions() if principal.sees(session.key.tenant)]
        phases = [hub.state(session, Disclosed.to(principal)).state for session in seen]
        waiting = desk.relay.problem or ""
        return HealthView(
            ok=all(service.ok for service in services)
            and any(worker.ok for worker in workers or ())
            and not any(worker.overload for worker in workers or ())
            and not waiting,
            at_ms=hub.now_ms(),
            services=services,
            workers=workers,
            sessions={phase: phases.count(phase) for phase in SessionPhase},
            newest_result_at_ms=max((session.last_result_at_ms for session in seen), default=None),
            viewers=hub.broadcast.viewers,
            queue=queue,
            word_truth=None if beats is None else _truth(beats[1]),
            decisions_wait=waiting,
        )


async def _known(asking: Awaitable[Answer]) -> Answer | None:
    """The answer of Redis; None if it does not answer in time."""
    try:
        async with asyncio.timeout(LONGEST_S):
            return await asking
    except (RedisUnusableError, TimeoutError):
        return None


async def _queue_counts(gateway: Gateway, principal: Principal) -> QueueCounts:
    queue = gateway.desk.queue
    return await queue.counts([tenant for tenant in await queue.tenants() if principal.sees(tenant)])


def _service(name: str, ongoing: OngoingProblem | None) -> ServiceView:
    if ongoing is None:
        return ServiceView(name=name, ok=True)
    problem = ongoing.problem
    return ServiceView(name=name, ok=False, problem=problem.text, since_ms=round(ongoing.since_s * 1000), lasting=problem.lasting)


def _worker(beat: WorkerBeat, now_ms: int) -> WorkerView:
    silent_ms = max(0, now_ms - beat.at_ms)
    return WorkerView(
        worker=beat.worker,
        ok=silent_ms < SILENT_MS and not beat.reasons,
        silent_ms=silent_ms,
        since_ms=beat.since_ms,
        partitions=beat.partitions,
        windows=beat.windows,
        reasons=beat.reasons,
        overload=beat.overload,
    )


def _truth(beats: Sequence[WorkerBeat]) -> TruthView:
    checked, right = sum(beat.claims_checked for beat in beats), sum(beat.claims_right for beat in beats)
    return TruthView(rate=right / checked if checked else None, windows=checked)
