"""Requests to the gateway: hostile ones, headers of every answer, tags, and logging in with a token of an identity provider."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

import stream.gateway.context
from stream.gateway.middleware import PROTECTION
from stream.local.redis_server import RedisServer
from stream.sinks.redis_sink import RedisSink
from tests.fakes.results import SESSION, make_score
from tests.support.finals import finalise
from tests.support.gateways import bearer, gateway_settings, make_access_file, running_gateway

ODD = (
    *(
        "",
        " ",
        "%00",
        "%ff",
        "..",
        "%2e%2e",
        "%2F",
        "a%2Fb",
        "x" * 3000,
        "%F0%9F%A4%96",
        "'",
        '"',
        "<script>",
        "a:b",
        "-1",
        "1e999",
        "null",
    ),
    *(
        "null",
        "[]",
        "{}",
        "%0d%0aX:1",
        "*",
        ",:",
        "a:0-" + "9" * 20,
        "customer:0-4000,customer:0-4000",
        "0:default/call-1",
        "9" * 30 + ":a/b",
    ),
)
PLACES = (
    *("/sessions/%s/x", "/sessions/default/%s", "/sessions/%s", f"/windows/{SESSION}/customer/%s", f"/windows/{SESSION}/%s/0-4000", "/%s"),
    *(f"/sessions/{SESSION}/windows?{name}=%s" for name in ("cursor", "track", "limit", "order")),
    *(f"/sessions?{name}=%s" for name in ("cursor", "state", "limit")),
    *("/stream?session=%s/x/y", "/stream?session=%s", "/stream?records=maybe%s"),
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    redis = RedisServer(tmp_path_factory.mktemp("redis"))
    await redis.start()
    settings = gateway_settings(redis.url, requests_per_minute=100_000)
    sink = RedisSink(settings.redis)
    await finalise(sink, make_score(4000))
    async with running_gateway(settings) as found:
        yield found
    await sink.close()
    await redis.stop()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("place", PLACES)
async def test_odd_requests_are_answered_with_a_problem(address: str, place: str) -> None:
    async with httpx.AsyncClient(base_url=address, verify=False) as client:
        for odd in ODD:
            async with client.stream("GET", "/api/v1" + place.replace("%s", odd)) as answer:
                assert answer.status_code < 500, odd
                if answer.status_code >= 400:
                    assert answer.headers["content-type"] == "application/problem+json", odd
                    assert json.loads(await answer.aread())["status"] == answer.status_code


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"{}", 400),
        (b'{"token": 1}', 400),
        (b'{"token": "x", "more": 1}', 400),
        (b"\xff\xfe", 400),
        (b"[" * 100_000, 400),
        (b'{"token": "\\udcff"}', 400),
        (b'"' + b"x" * 2_000_000 + b'"', 413),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_odd_bodies_are_answered_with_a_problem(address: str, body: bytes, status: int) -> None:
    async with httpx.AsyncClient(base_url=address, verify=False) as client:
        answer = await client.post("/api/v1/login", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["status"]) == (status, status)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "path",
    ["/", "/wall", f"/sessions/{SESSION}", "/assets/app.js", "/assets/none.js", "/none", "/api/v1/sessions", "/api/v1/none", "/live"],
)
async def test_every_answer_protects_the_browser(address: str, path: str) -> None:
    async with httpx.AsyncClient(base_url=address, verify=False) as client:
        answer = await client.get(path)
    assert {name: answer.headers[name] for name in PROTECTION} == PROTECTION
    policy = answer.headers["content-security-policy"]
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy
    assert "server" not in answer.headers


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", ["/", "/assets/app.js", f"/api/v1/windows/{SESSION}/customer/0-4000"])
async def test_what_has_not_changed_is_not_sent_again(address: str, path: str) -> None:
    async with httpx.AsyncClient(base_url=address, verify=False) as client:
        first = await client.get(path)
        again = await client.get(path, headers={"If-None-Match": first.headers["etag"]})
        other = await client.get(path, headers={"If-None-Match": '"another"'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert (other.status_code, other.content) == (200, first.content)


@pytest.mark.asyncio(loop_scope="module")
async def test_another_name_of_this_machine_gets_nothing(address: str) -> None:
    async with httpx.AsyncClient(base_url=address, verify=False) as client:
        for host in ("evil.example", "127.0.0.1.evil.example"):
            answer = await client.get("/api/v1/sessions", headers={"Host": host})
            assert answer.status_code == 403
            assert SESSION.session not in answer.text


def _slow_reader(address: str) -> socket.socket:
    """A connection that takes hardly anything before it is read."""
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    url = httpx.URL(address)
    reader.connect((url.host, url.port))
    reader.setblocking(False)
    return reader


async def _begun(reader: socket.socket, path: str, headers: dict[str, str]) -> None:
    """Ask for an answer, and read only its beginning."""
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(reader, "\r\n".join(lines).encode())
    assert (await loop.sock_recv(reader, 15)).startswith(b"HTTP/1.1 200")


async def test_exports_that_nobody_reads_do_not_take_all_connections_to_redis(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream.gateway.context, "EXPORTS_EACH", 2)
    tokens = make_access_file(tmp_path / "access.yaml", {"eve": ("wallboard", "*"), "ann": ("wallboard", "*")})
    settings = gateway_settings(server.url, access=tmp_path / "access.yaml")
    sink, path = RedisSink(settings.redis), f"/api/v1/sessions/{SESSION}/export"
    for number in range(1, 21):
        # More than the buffers between the gateway and a reader with a small one hold.
        await finalise(sink, make_score(2000 * number), sentence="x" * 400_000)
    await sink.close()
    async with running_gateway(settings, loaded=False) as address, httpx.AsyncClient(base_url=address, verify=False) as client:
        with ExitStack() as open_ones:
            for _ in range(2):
                await _begun(open_ones.enter_context(_slow_reader(address)), path, bearer(tokens["eve"]))
            refused = await client.get(path, headers=bearer(tokens["eve"]))
            assert (refused.status_code, refused.headers.get("retry-after")) == (429, "2")
            assert (await client.get(path, headers=bearer(tokens["ann"]))).status_code == 200
        async with asyncio.timeout(10):
            while (await client.get(path, headers=bearer(tokens["eve"]))).status_code != 200:
                await asyncio.sleep(0.1)


async def test_a_user_of_an_identity_provider_logs_in(server: RedisServer, tmp_path: Path) -> None:
    key = ECKey.generate_key("P-256", {"kid": "ec"})
    (tmp_path / "jwks.json").write_text(json.dumps(KeySet([key]).as_dict(private=False)))
    settings = gateway_settings(
        server.url, oidc_issuer="https://id.example", oidc_audience="sentistream", oidc_jwks_file=tmp_path / "jwks.json"
    )
    end_s = int(time.time()) + 600
    claims = {"iss": "https://id.example", "aud": "sentistream", "sub": "anna", "exp": end_s}
    claims |= {"roles": ["viewer", "unknown"], "tenants": ["acme"]}
    token = jwt.encode({"alg": "ES256", "kid": "ec"}, claims, key)
    async with running_gateway(settings, loaded=False) as address, httpx.AsyncClient(base_url=address, verify=False) as client:
        by_token = (await client.get("/api/v1/me", headers=bearer(token))).json()
        assert (by_token["name"], by_token["tenants"], by_token["permissions"]) == ("anna", ["acme"], ["alerts", "scores"])
        assert (await client.get("/api/v1/me")).status_code == 401
        login = await client.post("/api/v1/login", json={"token": token}, headers={"Origin": address})
        assert login.json()["expires_at_ms"] == end_s * 1000
        by_cookie = (await client.get("/api/v1/me")).json()
        assert (by_cookie["name"], by_cookie["permissions"]) == ("anna", ["alerts", "scores"])
        await client.post("/api/v1/logout", headers={"Origin": address})
        assert (await client.get("/api/v1/me")).status_code == 401
