"""The client of the live stream: reconnection, refusals, and what it makes of odd answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from itertools import islice

import pytest
from aiohttp import web

from stream.aio.backoff import Backoff
from stream.client import BlockingGateway, GatewayAwayError, GatewayError, ProblemError, Result, Subscription, subscribe, subscription
from stream.client.blocking import subscribe_blocking
from stream.domain.result import ExplanationRecord, ScoreRecord
from stream.gateway.views import Batch, Gap, SessionPhase, SessionState, Stale
from tests.fakes.gateway import batch_event, events, problem, serving
from tests.fakes.results import make_explanation, make_score

SCORES = [make_score(end_ms, 1.0) for end_ms in range(2000, 22_000, 2000)]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscription, "BACKOFF", Backoff(first_s=0.01, cap_s=0.02))


def batch_of(*numbers: int, explained: bool = True) -> Batch:
    scores = tuple(SCORES[number] for number in numbers)
    return Batch(at_ms=1, scores=scores, explanations=tuple(map(make_explanation, scores)) if explained else ())


async def take(results: Subscription, number: int) -> list[Result]:
    taken: list[Result] = []
    async with asyncio.timeout(10):
        async for result in results:
            taken.append(result)
            if len(taken) == number:
                break
    return taken


def ends(results: list[Result]) -> list[tuple[str, int]]:
    return [(type(r).__name__[0], r.end_ms) for r in results if isinstance(r, ScoreRecord | ExplanationRecord)]


async def test_a_cut_connection_continues_behind_the_last_event() -> None:
    asked: list[tuple[str | None, str | None]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append((request.headers.get("Last-Event-ID"), request.query.get("after")))
        if len(asked) == 1:
            # The second event is cut in the middle.
            return await events(request, batch_event("c:0-2000", batch_of(0)), batch_event("c:0-4000", batch_of(1))[:-5])
        if len(asked) in (2, 3):
            return problem(503, "Redis is away", Retry_After="0")
        return await events(request, b"retry: 1\n\n", batch_event("c:0-4000", batch_of(1)), cut=False)

    async with serving(handler) as url:
        results = subscribe(url, "default/call-1", after="start")
        assert ends(await take(results, 4)) == [("S", 2000), ("E", 2000), ("S", 4000), ("E", 4000)]
        assert results.position == "c:0-4000"
    assert asked == [(None, "start"), ("c:0-2000", None), ("c:0-2000", None), ("c:0-2000", None)]


async def test_what_a_gateway_repeats_is_not_yielded_again() -> None:
    number = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal number
        number += 1
        return await events(request, *(batch_event(f"c:{n}", batch_of(n)) for n in range(number)))

    async with serving(handler) as url:
        assert ends(await take(subscribe(url, "default/call-1"), 6)) == [(k, ms) for ms in (2000, 4000, 6000) for k in "SE"]


async def test_a_loop_that_was_left_is_continued_exactly() -> None:
    asked: list[str | None] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("Last-Event-ID"))
        number = int((asked[-1] or "c:0").removeprefix("c:"))
        return await events(request, batch_event(f"c:{number + 1}", batch_of(number, number + 1)), cut=False)

    async with serving(handler) as url:
        results = subscribe(url, "default/call-1")
        first = await take(results, 3)
        assert results.position == ""
        assert ends(first + await take(results, 1)) == [("S", 2000), ("E", 2000), ("S", 4000), ("E", 4000)]
        assert results.position == "c:1"
        assert ends(await take(results, 2)) == [("S", 6000), ("E", 6000)]
    assert asked == [None, "c:1"]


async def test_gaps_states_and_unknown_events() -> None:
    state = SessionState(tenant="default", session="call-1", state=SessionPhase.LIVE, last_result_at_ms=5, epoch=0)

    async def handler(request: web.Request) -> web.StreamResponse:
        assert dict(request.query) == {"records": "true"}
        pieces = (
            b'event: hello\ndata: {"server_time_ms": 1, "resumed": false}\n\n: ping\n\n',
            b'event: gap\ndata: {"reason": "slow"}\n\nevent: later\ndata: 1\n\n',
            b'event: stale\ndata: {"since_ms": 3, "reason": "away"}\n\n',
            batch_event("9", Batch(at_ms=1, sessions=(state,))),
        )
        return await events(request, *pieces, cut=False)

    async with serving(handler) as url:
        expected: list[Result] = [Gap(reason="slow"), Stale(since_ms=3, reason="away"), state]
        assert await take(subscribe(url, records=True), 3) == expected


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_a_refusal_is_an_error_with_a_sentence(status: int) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.headers["Authorization"] == "Bearer secret"
        return problem(status, "do this instead")

    async with serving(handler) as url:
        with pytest.raises(ProblemError, match="do this instead") as caught:
            await take(subscribe(url, "default/call-1", "secret"), 1)
    assert caught.value.problem.status == status
    assert "secret" not in str(caught.value)


async def test_a_refusal_after_a_reconnection_is_an_error_too() -> None:
    number = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal number
        number += 1
        return await events(request, batch_event("1", batch_of(0))) if number == 1 else problem(401, "log in again")

    async with serving(handler) as url:
        with pytest.raises(ProblemError, match="log in again"):
            await take(subscribe(url, "default/call-1"), 3)


async def test_a_first_connection_that_fails_is_an_error_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(GatewayAwayError, match=f"127.0.0.1:{port} does not answer"):
        await take(subscribe(f"http://127.0.0.1:{port}"), 1)


async def test_an_answer_of_another_server_is_told() -> None:
    async def page(_request: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>", content_type="text/html")

    async with serving(page) as url:
        with pytest.raises(GatewayError, match="is this a gateway"):
            await take(subscribe(url), 1)

    async def nonsense(request: web.Request) -> web.StreamResponse:
        return await events(request, b'event: batch\ndata: {"at_ms": "late"}\n\n')

    async with serving(nonsense) as url:
        with pytest.raises(GatewayError, match="not that of a gateway of this release"):
            await take(subscribe(url), 1)


async def test_a_redirect_is_not_followed_with_the_token() -> None:
    async def elsewhere(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "http://127.0.0.1:9/"})

    async with serving(elsewhere) as url:
        with pytest.raises(ProblemError, match="302"):
            await take(subscribe(url, token="secret"), 1)


@pytest.mark.parametrize("url", ["host:8080", "ftp://host", "http://", "https://user@host", "https://host?x=1"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="the address of a gateway"):
        next(iter(subscribe_blocking(url)))


def test_a_token_that_would_break_the_header_is_refused() -> None:
    with pytest.raises(ValueError, match="printable"), BlockingGateway("http://127.0.0.1:1", "a\nb"):
        pass


async def test_the_blocking_client_reconnects_and_pages() -> None:
    number = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal number
        if request.path.endswith("/sessions"):
            cursor = request.query.get("cursor")
            state = {"tenant": "default", "session": f"call-{cursor}", "state": "live", "last_result_at_ms": 1, "epoch": 0}
            return web.json_response({"items": [state], "next": {None: "1", "1": "2", "2": None}[cursor]})
        if request.path.endswith("/me"):
            return problem(401, "log in")
        number += 1
        return await events(request, batch_event(str(number), batch_of(number, explained=False)))

    def blocking(url: str) -> tuple[list[Result], list[str]]:
        stream: Iterator[Result] = subscribe_blocking(url, "default/call-1")
        with BlockingGateway(url) as gateway:
            with pytest.raises(ProblemError, match="log in"):
                gateway.me()
            return list(islice(stream, 3)), [state.session for state in gateway.sessions()]

    async with serving(handler) as url:
        taken, sessions = await asyncio.to_thread(blocking, url)
    assert taken == SCORES[1:4]
    assert sessions == ["call-None", "call-1", "call-2"]


def test_names_that_are_no_sessions_are_refused() -> None:
    with BlockingGateway("http://127.0.0.1:1") as gateway:
        for name in ("call-1", "a/b/c", "a/", "/"):
            with pytest.raises(ValueError, match="TENANT/SESSION"):
                gateway.session(name)
