"""Snapshots and history of a gateway, for asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from stream.client.connection import Connection
from stream.domain.case import Case
from stream.domain.decision import Decision
from stream.gateway.views import Me, Page, SessionState, WindowResult

Item = TypeVar("Item")


class Gateway:
    """An async context manager. Its methods raise `stream.client.errors.GatewayError`.

    Args:
        url: Where the gateway is: ``https://host``.
        token: Bearer token; None where the gateway lets everybody in.
        ca_file: PEM file of the authority that signed the gateway's certificate; None for the system's authorities.
    """

    def __init__(self, url: str, token: str | None = None, *, ca_file: Path | None = None) -> None:
        self.connection = Connection(url, token, ca_file)

    async def __aenter__(self) -> Self:
        """Nothing is sent before the first call."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Close all connections."""
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self.connection.close()

    async def me(self) -> Me:
        """Who the token stands for, and what it may do."""
        return await self.connection.get(Me, "me")

    async def sessions(self, *, state: str | None = None) -> AsyncIterator[SessionState]:
        """Every session, as it is now.

        Args:
            state: ``live``, ``quiet`` or ``ended``; None for all.
        """
        async for found in self._pages(Page[SessionState], "sessions", state=state):
            yield found

    async def session(self, session: str) -> SessionState:
        """One session (``TENANT/SESSION``), as it is now."""
        return await self.connection.get(SessionState, "sessions", *_parts(session, 2))

    async def windows(self, session: str, *, track: str | None = None) -> AsyncIterator[WindowResult]:
        """The final windows of a session that the gateway still has, each with its explanation.

        Args:
            session: ``TENANT/SESSION``.
            track: Only those of one track.
        """
        async for found in self._pages(Page[WindowResult], "sessions", *_parts(session, 2), "windows", track=track):
            yield found

    async def window(self, window_id: str) -> WindowResult:
        """One final window, by its id (``TENANT/SESSION/TRACK/EPOCH-END``)."""
        return await self.connection.get(WindowResult, "windows", *_parts(window_id, 4))

    async def cases(self, *, state: str | None = None, severity: str | None = None) -> AsyncIterator[Case]:
        """The cases of the moderation queue, the most urgent first.

        Args:
            state: ``open``, ``claimed``, ``snoozed`` or ``decided``; None as the gateway does it: open ones.
            severity: Only cases of this severity.
        """
        async for found in self._pages(Page[Case], "alerts", state=state, severity=severity):
            yield found

    async def claim(self, alert_id: str) -> Case:
        """Work on a case. Raises `stream.client.errors.ProblemError` with the status 409 if somebody else does."""
        return await self.connection.request(Case, "POST", "alerts", *_parts(alert_id, 4), "claim")

    async def release(self, alert_id: str) -> Case:
        """Give a case back."""
        return await self.connection.request(Case, "POST", "alerts", *_parts(alert_id, 4), "release")

    async def decide(self, alert_id: str, decision: Decision) -> Case:
        """Decide a claimed case."""
        return await self.connection.request(Case, "POST", "alerts", *_parts(alert_id, 4), "decide", body=decision)

    async def export(self, session: str, kind: str = "jsonl") -> AsyncIterator[bytes]:
        """The records of a session (``TENANT/SESSION``) as a file, piece by piece: ``jsonl``, ``csv`` or ``vcon``."""
        path = ("sessions", *_parts(session, 2), "export")
        async with self.connection.open("GET", *path, query={"format": kind}, endless=True) as response:
            async for piece in response.content.iter_any():
                yield piece

    async def _pages(self, kind: type[Page[Item]], *path: str, **query: Any) -> AsyncIterator[Item]:
        """The items of all pages."""
        cursor: str | None = None
        while True:
            page = await self.connection.get(kind, *path, **query, cursor=cursor)
            for item in page.items:
                yield item
            if page.next is None or page.next == cursor:
                return
            cursor = page.next


def _parts(name: str, number: int) -> list[str]:
    parts = name.split("/")
    if len(parts) != number or not all(parts):
        raise ValueError(f"a name of {number} parts is needed: {'TENANT/SESSION' if number == 2 else 'TENANT/SESSION/TRACK/EPOCH-END'}")
    return parts
