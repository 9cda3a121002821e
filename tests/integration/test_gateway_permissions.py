"""Every route of the gateway, tried by everybody: each role, nobody, and somebody of another tenant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from stream.domain.identity import SessionKey
from stream.domain.permission import ROLES, Permission
from stream.gateway.access import Access
from stream.gateway.app import OWN_DESCRIPTION, create_app
from stream.gateway.context import Gateway
from stream.gateway.desk import Desk
from stream.gateway.hub import Hub
from stream.gateway.page_routes import PAGE_PATHS
from stream.local.redis_server import RedisServer
from stream.sinks.connection import RedisConnection
from stream.sinks.redis_sink import RedisSink
from stream.sinks.result_pages import ResultPages
from tests.fakes.results import make_score
from tests.support.finals import finalise
from tests.support.gateways import bearer, gateway_settings, make_access_file, running_gateway

SECRET = SessionKey("acme", "secret-call")
ALERT = "acme/secret-call/customer/0-4000~upset"
CASE = "/api/v1/alerts/{tenant:str}/{session:str}/{track:str}/{alert:str}"
DECISION = {"outcome": "no_action", "policy": "3", "reason": "Fine."}
WINDOW = "acme/secret-call/customer/0-4000"


@dataclass(frozen=True)
class Row:
    """A route.

    Attributes:
        permission: Who may use it; None for everybody who is known.
        example: A path for it, below ``/api/v1``, about the tenant ``acme`` if it is about a tenant.
        public: Whether it is for everybody, known or not.
        foreign: What somebody gets who may use the route, but not see the tenant.
        body: What is sent.
        stream: Whether the answer does not end.
        of_all: Whether it is for those alone who may see all tenants.
    """

    permission: Permission | None
    example: str
    public: bool = False
    foreign: int = 200
    body: Any = None
    stream: bool = False
    of_all: bool = False


ROUTES = {
    "GET /api/v1/me": Row(None, "/me"),
    "POST /api/v1/login": Row(None, "/login", public=True, body={"token": "sst~nobody~x"}),
    "POST /api/v1/logout": Row(None, "/logout", public=True),
    "GET /api/v1/sessions": Row(Permission.SCORES, "/sessions"),
    "GET /api/v1/sessions/{tenant:str}/{session:str}": Row(Permission.SCORES, f"/sessions/{SECRET}", foreign=404),
    # It is running, so it is refused.
    "DELETE /api/v1/sessions/{tenant:str}/{session:str}": Row(Permission.ADMINISTER, f"/sessions/{SECRET}", foreign=404),
    "GET /api/v1/sessions/{tenant:str}/{session:str}/windows": Row(Permission.SCORES, f"/sessions/{SECRET}/windows", foreign=404),
    "GET /api/v1/sessions/{tenant:str}/{session:str}/alerts": Row(Permission.ALERTS, f"/sessions/{SECRET}/alerts", foreign=404),
    "GET /api/v1/sessions/{tenant:str}/{session:str}/export": Row(Permission.SCORES, f"/sessions/{SECRET}/export?format=csv", foreign=404),
    "GET /api/v1/windows/{tenant:str}/{session:str}/{track:str}/{window:str}": Row(Permission.SCORES, f"/windows/{WINDOW}", foreign=404),
    "GET /api/v1/stream": Row(Permission.SCORES, f"/stream?session={SECRET}", foreign=404, stream=True),
    "GET /api/v1/alerts": Row(Permission.ALERTS, "/alerts"),
    "GET /api/v1/queue": Row(Permission.ALERTS, "/queue"),
    "GET /api/v1/queue/{tenant:str}/audit": Row(Permission.ADMINISTER, "/queue/acme/audit", foreign=404),
    "GET /api/v1/queue/{tenant:str}/audit/verify": Row(Permission.ADMINISTER, "/queue/acme/audit/verify", foreign=404),
    f"GET {CASE}": Row(Permission.ALERTS, f"/alerts/{ALERT}", foreign=404),
    f"POST {CASE}/words": Row(Permission.WORDS, f"/alerts/{ALERT}/words", foreign=404),
    f"POST {CASE}/claim": Row(Permission.DECIDE, f"/alerts/{ALERT}/claim", foreign=404),
    f"POST {CASE}/release": Row(Permission.DECIDE, f"/alerts/{ALERT}/release", foreign=404),
    f"POST {CASE}/acknowledge": Row(Permission.DECIDE, f"/alerts/{ALERT}/acknowledge", foreign=404),
    f"POST {CASE}/snooze": Row(Permission.DECIDE, f"/alerts/{ALERT}/snooze", foreign=404, body={"minutes": 1}),
    f"POST {CASE}/decide": Row(Permission.DECIDE, f"/alerts/{ALERT}/decide", foreign=404, body=DECISION),
    f"POST {CASE}/undo": Row(Permission.DECIDE, f"/alerts/{ALERT}/undo", foreign=404),
    # There is no broker. The tenant is neither's, so that nothing is sent.
    "POST /api/v1/verdicts": Row(Permission.REVIEW, "/verdicts", foreign=404, body={"window_id": "third/a/b/0-1", "verdict": "right"}),
    "DELETE /api/v1/verdicts/{verdict_id:str}": Row(Permission.REVIEW, f"/verdicts/{'0' * 32}", foreign=404),
    "GET /api/v1/health": Row(Permission.OPERATE, "/health"),
    "GET /api/v1/reveal": Row(Permission.OPERATE, "/reveal"),
    "POST /api/v1/verdicts/artefacts": Row(Permission.REVIEW, "/verdicts/artefacts", foreign=400, body={"verdict": "unsure"}),
    "POST /api/v1/reveal/rollback": Row(Permission.ADMINISTER, "/reveal/rollback", foreign=403, of_all=True),
    "POST /api/v1/uploads": Row(Permission.SEND, "/uploads?ending=mp4", foreign=409),
    "GET /api/v1/uploads/{session:str}": Row(Permission.SEND, "/uploads/upload-1", foreign=404),
    "DELETE /api/v1/uploads/{session:str}": Row(Permission.SEND, "/uploads/upload-1", foreign=404),
}
"""By method and path, every route of the API. A route without a row fails the first test."""

OTHERS = {
    "GET /assets/{name:path}": "files of the page, without data",
    "GET /api/v1/openapi.json": "the description of the API, without data",
    "GET /api/v1/asyncapi.json": "the description of all records, without data",
    "GET /api/v1/schemas/{name:str}": "the description of a record, without data",
    "GET /live": "a word",
    "GET /ready": "a word, or a sentence without addresses",
} | {f"GET {path}": "the document of the page, without data" for path in PAGE_PATHS}
"""Routes for everybody, and why."""


@pytest.fixture
def app_routes(server: RedisServer) -> set[str]:
    settings = gateway_settings(server.url)
    redis = RedisConnection(settings.redis)
    app = create_app(Gateway(settings, redis, Hub(settings, redis), ResultPages(redis), Access(settings.gateway), Desk(settings, redis)))
    found = set()
    for route in app.routes:
        for method in getattr(route, "methods", ()):
            if method not in ("OPTIONS", "HEAD") and not route.path.startswith(OWN_DESCRIPTION):
                found.add(f"{method} {route.path}")
    return found


def test_every_route_has_a_row(app_routes: set[str]) -> None:
    assert app_routes == set(ROUTES) | set(OTHERS)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """A gateway with a session of ``acme``, and a token for each role at ``acme``, and one for an admin of another tenant."""
    folder: Path = tmp_path_factory.mktemp("gateway")
    redis = RedisServer(folder)
    await redis.start()
    tokens = make_access_file(
        folder / "access.yaml",
        {role: (role, "acme") for role in ROLES}
        | {f"foreign-{role}": (role, "other") for role in ROLES}
        | {f"all-{role}": (role, "*") for role in ROLES},
    )
    settings = gateway_settings(redis.url, access=folder / "access.yaml", requests_per_minute=100_000)
    sink = RedisSink(settings.redis)
    await finalise(sink, make_score(4000, 0.5, session=SECRET))
    async with running_gateway(settings, loaded=False) as address:
        async with httpx.AsyncClient(base_url=address, verify=False) as client:
            # Once recognised, a token is taken however many wrong ones come from the same address.
            for token in tokens.values():
                assert (await client.get("/api/v1/me", headers=bearer(token))).status_code == 200
        await _until_listed(address, tokens["admin"])
        yield address, tokens
    await sink.close()
    await redis.stop()


async def _until_listed(address: str, token: str) -> None:
    async with httpx.AsyncClient(base_url=address, verify=False) as client, asyncio.timeout(10):
        while "secret-call" not in (await client.get("/api/v1/sessions", headers=bearer(token))).text:
            await asyncio.sleep(0.05)


async def status(address: str, name: str, row: Row, headers: dict[str, str]) -> tuple[int, str]:
    method = name.partition(" ")[0]
    async with (
        httpx.AsyncClient(base_url=address, verify=False) as client,
        client.stream(method, f"/api/v1{row.example}", headers=headers, json=row.body) as response,
    ):
        text = "" if row.stream and response.status_code == 200 else (await response.aread()).decode()
        return response.status_code, text


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ROUTES)
async def test_a_role_may_do_what_its_permissions_say(house: tuple[str, dict[str, str]], name: str) -> None:
    address, tokens = house
    row = ROUTES[name]
    for role, permissions in ROLES.items():
        code, text = await status(address, name, row, bearer(tokens[f"all-{role}" if row.of_all else role]))
        allowed = row.public or row.permission is None or row.permission in permissions
        assert (code == 403) == (not allowed), (role, code, text)
        assert code < 500, (role, text)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ROUTES)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer("sst~admin~wrong"),
        bearer("x.y.z"),
        {"Authorization": "Basic YWRtaW46YWRtaW4="},
        {"Cookie": "sentistream_session=eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."},
    ],
    ids=["nothing", "a wrong secret", "no token of ours", "another scheme", "an unsigned cookie"],
)
async def test_nobody_gets_in_without_a_token(house: tuple[str, dict[str, str]], name: str, headers: dict[str, str]) -> None:
    address, _ = house
    row = ROUTES[name]
    code, text = await status(address, name, row, headers)
    assert code in ((200, 204, 401, 429) if row.public else (401, 429)), text
    assert "secret-call" not in text


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ROUTES)
async def test_another_tenant_does_not_exist(house: tuple[str, dict[str, str]], name: str) -> None:
    address, tokens = house
    row = ROUTES[name]
    if row.public:
        return
    for role, permissions in ROLES.items():
        code, text = await status(address, name, row, bearer(tokens[f"foreign-{role}"]))
        allowed = row.permission is None or row.permission in permissions
        assert code == (row.foreign if allowed else 403), (role, text)
        assert "secret-call" not in text
        assert "acme" not in text


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", [name for name in ROUTES if not name.startswith("GET")])
@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {}],
    ids=["another origin", "cross-site", "same-site", "no browser"],
)
async def test_another_site_cannot_write_with_the_cookie(house: tuple[str, dict[str, str]], name: str, headers: dict[str, str]) -> None:
    address, tokens = house
    async with httpx.AsyncClient(base_url=address, verify=False) as client:
        await client.post("/api/v1/login", json={"token": tokens["admin"]}, headers={"Origin": address})
        assert (await client.get("/api/v1/me")).status_code == 200
        row = ROUTES[name]
        answer = await client.request(name.partition(" ")[0], f"/api/v1{row.example}", headers=headers, json=row.body)
        assert answer.status_code == 403
