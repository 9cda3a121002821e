"""The same client for programs without asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from stream.client.gateway import Gateway
from stream.client.subscription import Result, Subscription
from stream.domain.case import Case
from stream.domain.decision import Decision
from stream.gateway.views import Me, SessionState, WindowResult

Item = TypeVar("Item")


def subscribe_blocking(
    url: str,
    session: str | None = None,
    token: str | None = None,
    *,
    records: bool = False,
    after: str = "",
    ca_file: Path | None = None,
) -> Iterator[Result]:
    """As `stream.client.subscription.subscribe`, for a plain ``for`` loop. It holds no thread: while the loop works, nothing is read."""
    with asyncio.Runner() as runner:
        yield from _iterate(runner, aiter(Subscription(url, session, token, records=records, after=after, ca_file=ca_file)))


class BlockingGateway:
    """As `stream.client.gateway.Gateway`, without asyncio; a context manager. Not for several threads at once."""

    def __init__(self, url: str, token: str | None = None, *, ca_file: Path | None = None) -> None:
        self._gateway = Gateway(url, token, ca_file=ca_file)
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        """Nothing is sent before the first call."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Close all connections."""
        self._runner.run(self._gateway.close())
        self._runner.close()

    def me(self) -> Me:
        """Who the token stands for, and what it may do."""
        return self._run(self._gateway.me())

    def sessions(self, *, state: str | None = None) -> Iterator[SessionState]:
        """Every session, as it is now; of one state if it is named."""
        return _iterate(self._runner, self._gateway.sessions(state=state))

    def session(self, session: str) -> SessionState:
        """One session (``TENANT/SESSION``), as it is now."""
        return self._run(self._gateway.session(session))

    def windows(self, session: str, *, track: str | None = None) -> Iterator[WindowResult]:
        """The final windows of a session that the gateway still has; of one track if it is named."""
        return _iterate(self._runner, self._gateway.windows(session, track=track))

    def window(self, window_id: str) -> WindowResult:
        """One final window, by its id."""
        return self._run(self._gateway.window(window_id))

    def cases(self, *, state: str | None = None, severity: str | None = None) -> Iterator[Case]:
        """The cases of the moderation queue, the most urgent first."""
        return _iterate(self._runner, self._gateway.cases(state=state, severity=severity))

    def claim(self, alert_id: str) -> Case:
        """Work on a case. Raises `stream.client.errors.ProblemError` with the status 409 if somebody else does."""
        return self._run(self._gateway.claim(alert_id))

    def release(self, alert_id: str) -> Case:
        """Give a case back."""
        return self._run(self._gateway.release(alert_id))

    def decide(self, alert_id: str, decision: Decision) -> Case:
        """Decide a claimed case."""
        return self._run(self._gateway.decide(alert_id, decision))

    def export(self, session: str, kind: str = "jsonl") -> Iterator[bytes]:
        """The records of a session as a file, piece by piece."""
        return _iterate(self._runner, self._gateway.export(session, kind))

    def _run(self, call: Coroutine[Any, Any, Item]) -> Item:
        return self._runner.run(call)


def _iterate(runner: asyncio.Runner, items: AsyncIterator[Item]) -> Iterator[Item]:
    """The items, each read when it is asked for."""

    async def following() -> tuple[bool, Item | None]:
        try:
            return True, await anext(items)
        except StopAsyncIteration:
            return False, None

    async def end() -> None:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()

    try:
        while True:
            more, item = runner.run(following())
            if not more:
                return
            yield item  # type: ignore[misc]
    finally:
        runner.run(end())
