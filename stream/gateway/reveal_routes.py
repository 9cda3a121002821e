"""What the probes of the live stream have shown, reviewers' verdicts on it, and the versions of the model."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
from litestar import Controller, get, post
from litestar.exceptions import HTTPException, PermissionDeniedException
from litestar.status_codes import HTTP_200_OK, HTTP_409_CONFLICT

from stream.domain.live_reveal import LiveReport
from stream.domain.permission import Permission
from stream.gateway.context import Gateway
from stream.gateway.guard import require
from stream.gateway.principal import Principal
from stream.gateway.problems import unavailable
from stream.model_repository.errors import VersionRefusedError
from stream.pipeline.model_versions import ModelVersions
from stream.serving.errors import ServingError
from stream.sinks.live_reveal import LiveRevealStore

LONGEST_S = 5.0
ROLL_BACK_S = 60.0


class VersionView(msgspec.Struct, frozen=True, kw_only=True):
    """A version of the model that is served.

    Attributes:
        in_force: Whether new sessions get it.
        open_epochs: Open sessions that keep it.
    """

    version: str
    digest: str
    in_force: bool
    open_epochs: int


class RevealView(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of artefacts.

    Attributes:
        report: What the live stream has shown; None if nothing was probed yet.
        verdicts: Number of reviewers' verdicts by artefact and kind; None while Kafka is away.
        versions: Served versions; None while Triton is away.
        previous: The version to which a rollback goes back; None if there is none.
    """

    report: LiveReport | None
    verdicts: Mapping[str, dict[str, int]] | None
    versions: tuple[VersionView, ...] | None
    previous: str | None


class RevealController(Controller):
    """``/api/v1/reveal``."""

    path = "/api/v1/reveal"
    guards = (require(Permission.OPERATE),)
    tags = ("operation",)

    @get("", summary="Suspected artefacts, verdicts on them, and versions of the model")
    async def reveal(self, gateway: Gateway) -> RevealView:
        """The parts that services cannot give now are None."""
        return await _view(gateway)

    @post("/rollback", summary="Go back to the version before", status_code=HTTP_200_OK, guards=[require(Permission.ADMINISTER)])
    async def roll_back(self, gateway: Gateway, principal: Principal) -> RevealView:
        """New sessions of all tenants get the version before; open ones keep theirs. So it needs a token for all tenants."""
        if principal.tenants is not None:
            raise PermissionDeniedException("a rollback changes the model of all tenants: it needs a token for all of them")
        try:
            async with asyncio.timeout(ROLL_BACK_S), ModelVersions(gateway.settings) as versions:
                await versions.roll_back()
        except VersionRefusedError as error:
            raise HTTPException(str(error), status_code=HTTP_409_CONFLICT) from None
        except (ServingError, TimeoutError) as error:
            raise unavailable(
                f"Triton: {error or 'no answer in time'}; nothing was changed, unless the version is shown as changed"
            ) from None
        return await _view(gateway)


async def _view(gateway: Gateway) -> RevealView:
    store = LiveRevealStore(gateway.redis, gateway.settings.reveal.hours)
    report = await store.report()
    verdicts, versions = await asyncio.gather(gateway.desk.verdict_counts.now(), _versions(gateway))
    return RevealView(
        report=report, verdicts=verdicts, versions=None if versions is None else versions[0], previous=versions and versions[1]
    )


async def _versions(gateway: Gateway) -> tuple[tuple[VersionView, ...], str | None] | None:
    try:
        async with asyncio.timeout(LONGEST_S), ModelVersions(gateway.settings) as versions:
            status = await versions.status()
    except (ServingError, TimeoutError):
        return None
    shown = (
        VersionView(version=version, digest=digest, in_force=version == status.in_force, open_epochs=status.open_epochs.get(version, 0))
        for version, digest in status.loaded.items()
    )
    return tuple(shown), status.previous
