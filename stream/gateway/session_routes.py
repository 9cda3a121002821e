"""Snapshots and history: sessions and their windows."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, delete, get
from litestar.exceptions import ClientException
from litestar.params import Parameter
from litestar.status_codes import HTTP_200_OK

from stream.domain.identity import SessionKey, TrackKey
from stream.domain.permission import Permission
from stream.gateway.context import Gateway
from stream.gateway.disclosure import Disclosed
from stream.gateway.erasure import erase
from stream.gateway.guard import require, visible_session
from stream.gateway.principal import Principal
from stream.gateway.problems import not_found, unavailable
from stream.gateway.session_state import LiveSession
from stream.gateway.views import HISTORY, Page, SessionPhase, SessionState, WindowResult
from stream.sinks.forget import ForgetReport
from stream.sinks.reader import ResultReader
from stream.sinks.result_pages import format_positions, parse_positions

MOST = 500
"""Most items of a page."""

Limit = Annotated[int, Parameter(ge=1, le=MOST, description="Most items.")]
Cursor = Annotated[str | None, Parameter(description="`next` of the page before.", max_length=4096)]


class SessionController(Controller):
    """``/api/v1/sessions`` and ``/api/v1/windows``."""

    path = "/api/v1"
    guards = (require(Permission.SCORES),)
    tags = ("sessions",)

    @get("/sessions", summary="Sessions, the one with the newest result first")
    async def sessions(
        self,
        *,
        gateway: Gateway,
        principal: Principal,
        phase: Annotated[SessionPhase | None, Parameter(query="state", description="Only sessions in this state.")] = None,
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> Page[SessionState]:
        """The sessions of the tenants of who asks that had a result in the last 24 hours."""
        hub = gateway.hub
        if not hub.loaded:
            raise unavailable(hub.stale.reason or "the gateway is still reading results from Redis; try again")
        disclosed, behind = Disclosed.to(principal), None if cursor is None else _place(cursor)
        found: list[SessionState] = []
        for session in hub.sessions():
            place = (-session.last_result_at_ms, session.key)
            if not principal.sees(session.key.tenant) or (behind is not None and place <= behind):
                continue
            shown = hub.state(session, disclosed)
            if phase is None or shown.state is phase:
                found.append(shown)
            if len(found) > limit:
                break
        last = found[limit - 1] if len(found) > limit else None
        following = None if last is None else f"{last.last_result_at_ms}:{last.tenant}/{last.session}"
        return Page(items=tuple(found[:limit]), next=following, stale_since_ms=hub.stale.since_ms)

    @get("/sessions/{tenant:str}/{session:str}", summary="One session")
    async def session(self, *, gateway: Gateway, principal: Principal, tenant: str, session: str) -> SessionState:
        """The state of a session, also of one that is no longer listed."""
        key = visible_session(principal, tenant, session)
        found = gateway.hub.session(key) or await _unlisted(gateway, key)
        return gateway.hub.state(found, Disclosed.to(principal))

    @delete(
        "/sessions/{tenant:str}/{session:str}",
        summary="Erase a session",
        status_code=HTTP_200_OK,
        guards=[require(Permission.ADMINISTER)],
    )
    async def erase(self, *, gateway: Gateway, principal: Principal, tenant: str, session: str) -> ForgetReport:
        """As `sentistream forget`, without a count of what runs out in Kafka. A session that is running is refused with 409."""
        return await erase(gateway, visible_session(principal, tenant, session))

    @get("/sessions/{tenant:str}/{session:str}/windows", summary="The final windows of a session")
    async def windows(
        self,
        *,
        gateway: Gateway,
        principal: Principal,
        tenant: str,
        session: str,
        track: Annotated[str | None, Parameter(description="Only windows of this track.", max_length=64)] = None,
        order: Annotated[str, Parameter(description="`newest` or `oldest` first.", pattern="^(newest|oldest)$")] = "newest",
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[WindowResult]:
        """Score and explanation of each window, of all tracks in one order."""
        key = visible_session(principal, tenant, session)
        tracks = await gateway.pages.tracks(key)
        if not tracks and await gateway.pages.active_at_ms(key) is None:
            raise not_found("session")
        if track is not None and track not in tracks:
            raise not_found("track")
        try:
            positions = parse_positions(cursor or "")
        except ValueError as error:
            raise ClientException(f"cursor: {error}") from None
        wanted = tracks if track is None else [track]
        page = await gateway.pages.windows(key, wanted, positions, limit=limit, newest_first=order == "newest")
        disclosed = Disclosed.to(principal)
        items = (WindowResult(score=score, explanation=explanation) for score, explanation in page.windows)
        return Page(items=tuple(map(disclosed.window, items)), next=None if page.next is None else format_positions(page.next))

    @get("/windows/{tenant:str}/{session:str}/{track:str}/{window:str}", summary="One final window")
    async def window(self, *, gateway: Gateway, principal: Principal, tenant: str, session: str, track: str, window: str) -> WindowResult:
        """A window by its id, without its quotes: TENANT/SESSION/TRACK/EPOCH-END."""
        key = visible_session(principal, tenant, session)
        try:
            (entry,) = parse_positions(f"{track}:{window}").values()
            found = await gateway.pages.window(TrackKey(key, track), entry)
        except ValueError:
            found = None
        if found is None:
            raise not_found("window")
        return Disclosed.to(principal).window(WindowResult(score=found[0], explanation=found[1]))


def _place(cursor: str) -> tuple[int, SessionKey]:
    """The place of a session in the list. Raises 400."""
    at_ms, _, name = cursor.partition(":")
    try:
        if not (at_ms.isascii() and at_ms.isdecimal() and len(at_ms) <= 15):
            raise ValueError
        return -int(at_ms), SessionKey.parse(name)
    except ValueError:
        raise ClientException("cursor: pass on `next` of the page before") from None


async def _unlisted(gateway: Gateway, key: SessionKey) -> LiveSession:
    """A session that the hub does not list, from Redis. Raises 404."""
    active_at_ms = await gateway.pages.active_at_ms(key)
    if active_at_ms is None:
        raise not_found("session")
    found = LiveSession(key)
    async with ResultReader(gateway.settings.redis, [key], tail=HISTORY) as reader:
        async for received in reader.held():
            found.add(received.record, active_at_ms)
    return found
