"""Try it in the browser: a visitor sends a recording, and watches it being scored."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, delete, get, post
from litestar.exceptions import HTTPException
from litestar.params import Parameter
from litestar.status_codes import HTTP_202_ACCEPTED, HTTP_409_CONFLICT

from stream.domain.identity import check_name
from stream.domain.permission import Permission
from stream.gateway.context import Gateway
from stream.gateway.guard import require
from stream.gateway.principal import Principal
from stream.gateway.problems import not_found
from stream.gateway.uploads import LARGEST_BYTES, Upload, UploadRefusedError, UploadState

DEFAULT_TENANT = "default"


class UploadView(msgspec.Struct, frozen=True, kw_only=True):
    """A recording on its way.

    Attributes:
        session: The session that it becomes.
        state: Where it stands.
        step: What takes a while just now.
        sent_ms: Media time that was sent.
        duration_ms: Length of the recording, if it states one.
        notices: What is absent or left out.
        problem: Why it failed; empty if it did not.
    """

    tenant: str
    session: str
    state: UploadState
    step: str
    sent_ms: int
    duration_ms: int | None
    notices: tuple[str, ...]
    problem: str


class UploadController(Controller):
    """``/api/v1/uploads``."""

    path = "/api/v1/uploads"
    guards = (require(Permission.SEND),)
    tags = ("uploads",)

    @post("", summary="Send a recording", status_code=HTTP_202_ACCEPTED, request_max_body_size=LARGEST_BYTES)
    async def send(
        self,
        request: Request[Any, Any, Any],
        gateway: Gateway,
        principal: Principal,
        ending: Annotated[str, Parameter(description="Ending of the file's name: `mp4`. The name itself is not sent.", max_length=8)],
        tenant: Annotated[str | None, Parameter(description="Whose session it becomes.", max_length=64)] = None,
    ) -> UploadView:
        """The body is the file. Answered when it has arrived; then it is examined, and sent at live pace. One at a time for each user."""
        if not gateway.settings.gateway.uploads:
            raise HTTPException("recordings cannot be sent here: set gateway.uploads", status_code=HTTP_409_CONFLICT)
        try:
            upload = await gateway.desk.uploads.take(principal.account, _tenant(principal, tenant), ending, request.stream())
        except UploadRefusedError as error:
            raise HTTPException(str(error), status_code=error.status) from None
        return _view(upload)

    @get("/{session:str}", summary="How far a recording is")
    async def progress(self, gateway: Gateway, principal: Principal, session: str) -> UploadView:
        """Of the own recordings that this gateway has received."""
        return _view(_own(gateway, principal, session))

    @delete("/{session:str}", summary="Stop sending a recording")
    async def stop(self, gateway: Gateway, principal: Principal, session: str) -> None:
        """Its session ends properly."""
        _own(gateway, principal, session).stop.set()


def _own(gateway: Gateway, principal: Principal, session: str) -> Upload:
    upload = gateway.desk.uploads.find(principal.account, session)
    if upload is None:
        raise not_found("upload")
    return upload


def _tenant(principal: Principal, wanted: str | None) -> str:
    """The tenant of the new session. Raises 404."""
    if wanted is None:
        wanted = DEFAULT_TENANT if principal.sees(DEFAULT_TENANT) or not principal.tenants else min(principal.tenants)
    try:
        check_name("tenant", wanted)
    except ValueError:
        raise not_found("tenant") from None
    if not principal.sees(wanted):
        raise not_found("tenant")
    return wanted


def _view(upload: Upload) -> UploadView:
    return UploadView(
        tenant=upload.key.tenant,
        session=upload.key.session,
        state=upload.state,
        step=upload.step,
        sent_ms=upload.sent_ms,
        duration_ms=upload.duration_ms,
        notices=upload.notices,
        problem=upload.problem,
    )
