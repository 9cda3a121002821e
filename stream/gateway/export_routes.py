"""A session as a file."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from litestar import Controller, get
from litestar.exceptions import TooManyRequestsException
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter

from stream.domain.alert import AlertRecord
from stream.domain.identity import SessionKey
from stream.domain.permission import Permission
from stream.domain.result import ExplanationRecord, Record
from stream.gateway.context import Gateway
from stream.gateway.counted_stream import CountedStream
from stream.gateway.disclosure import Disclosed
from stream.gateway.export.formats import MEDIA_TYPES, ExportFormat, export
from stream.gateway.guard import require, visible_session
from stream.gateway.principal import Principal
from stream.gateway.problems import RETRY_AFTER_S, not_found
from stream.sinks.reader import ResultReader

_SPEC = {200: ResponseSpec(bytes, generate_examples=False, media_type="application/jsonl", description="The file.")}


class ExportController(Controller):
    """``/api/v1/sessions/TENANT/SESSION/export``."""

    path = "/api/v1"
    guards = (require(Permission.SCORES),)
    tags = ("sessions",)

    @get("/sessions/{tenant:str}/{session:str}/export", summary="A session as a file", responses=_SPEC)
    async def export(
        self,
        gateway: Gateway,
        principal: Principal,
        tenant: str,
        session: str,
        kind: Annotated[ExportFormat, Parameter(query="format", description="`jsonl`, `csv` or `vcon`.")] = ExportFormat.JSONL,
    ) -> CountedStream:
        """All results of a session that are kept, as far as who asks may see them, piece by piece."""
        key = visible_session(principal, tenant, session)
        if await gateway.pages.active_at_ms(key) is None and not await gateway.pages.tracks(key):
            raise not_found("session")
        if gateway.exports.is_full(principal.account):
            detail = "as many exports as may be under way at once are: try again when one of them has ended"
            raise TooManyRequestsException(detail, headers={"Retry-After": str(RETRY_AFTER_S)})
        reader = ResultReader(gateway.settings.redis, [key])
        records = _disclosed(reader, Disclosed.to(principal))
        headers = {"Content-Disposition": f'attachment; filename="{_file_name(key, kind)}"', "Cache-Control": "private, no-store"}
        pieces = export(records, kind, key, round(time.time() * 1000))
        return CountedStream(pieces, gateway.exports.under_way(principal.account), media_type=MEDIA_TYPES[kind], headers=headers)


async def _disclosed(reader: ResultReader, disclosed: Disclosed) -> AsyncGenerator[Record, None]:
    """What the reader holds now, as far as somebody may see it."""
    async with reader, aclosing(reader.held()) as held:
        async for received in held:
            record = received.record
            if isinstance(record, AlertRecord):
                for alert in disclosed.of_alerts([record]):
                    yield alert
            else:
                yield disclosed.explanation(record) if isinstance(record, ExplanationRecord) else record


def _file_name(session: SessionKey, kind: ExportFormat) -> str:
    return f"{session.tenant}-{session.session}.{'vcon.json' if kind is ExportFormat.VCON else kind}"
