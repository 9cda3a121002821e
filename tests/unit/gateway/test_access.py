"""Who is let in, and which writes another site may have made a browser send."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from litestar.exceptions import HTTPException
from pydantic import SecretStr

import stream.gateway.tokens
from stream.config.gateway_settings import GatewaySettings
from stream.domain.permission import ROLES, Permission
from stream.gateway.access import WRONG_PER_MINUTE, Access
from stream.gateway.cookies import NAME
from stream.gateway.principal import EVERYBODY, Principal
from tests.support.gateways import bearer, make_access_file

HERE = "192.0.2.1"


class House:
    """An access file with two tokens, and the access that it gives."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.path = folder / "access.yaml"
        self.tokens = make_access_file(self.path, {"boss": ("admin", "*"), "wall": ("wallboard", "acme")})
        self.now_s = 1_800_000_000.0
        self.access = Access(GatewaySettings.model_validate({"access": self.path, **settings}), lambda: self.now_s)

    async def cookie(self, name: str) -> dict[str, str]:
        principal = await self.access.of_token(self.tokens[name], HERE)
        return {NAME: self.access.session_cookie(principal)[0]}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The secrets that have cost a hash."""
    seen: list[str] = []
    matches = stream.gateway.tokens._matches

    def noted(known: str, secret: str) -> bool:
        seen.append(secret)
        return matches(known, secret)

    monkeypatch.setattr(stream.gateway.tokens, "_matches", noted)
    return seen


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


async def test_a_bearer_token_shows_who_asks(house: House) -> None:
    found = await house.access.identify(lower(bearer(house.tokens["wall"])), {}, HERE)
    assert found is not None
    assert (found.name, found.permissions, found.by_cookie) == ("wall", ROLES["wallboard"], False)
    assert found.sees("acme")
    assert not found.sees("other")


async def test_a_cookie_shows_who_asks_until_its_end(house: House) -> None:
    cookie = await house.cookie("boss")
    found = await house.access.identify({}, cookie, HERE)
    assert found is not None
    assert (found.name, found.tenants, found.by_cookie) == ("boss", None, True)
    assert found.permissions == frozenset(Permission)
    house.now_s += 12 * 3600
    assert await house.access.identify({}, cookie, HERE) is None


async def test_a_cookie_is_over_when_its_token_changes(house: House) -> None:
    cookie = await house.cookie("wall")
    house.path.write_text(house.path.read_text().replace("acme", "other"))
    house.access._tokens._looked_s = float("-inf")
    assert await house.access.identify({}, cookie, HERE) is None


async def test_gateways_with_the_same_secret_know_each_others_cookies(tmp_path: Path) -> None:
    house = House(tmp_path, secret="s" * 32)
    cookie = await house.cookie("boss")
    settings = GatewaySettings(access=house.path, secret=SecretStr("s" * 32))
    assert await Access(settings, lambda: house.now_s).identify({}, cookie, HERE) is not None
    assert await Access(GatewaySettings(access=house.path), lambda: house.now_s).identify({}, cookie, HERE) is None


async def test_a_stream_may_go_on_until_a_token_changes(house: House) -> None:
    principal = await house.access.of_token(house.tokens["wall"], HERE)
    still_allowed = house.access.still_allowed(principal)
    assert still_allowed()
    house.path.write_text("tokens:\n")
    house.access._tokens._looked_s = float("-inf")
    assert not still_allowed()


async def test_a_stream_may_not_outlive_its_cookie(house: House) -> None:
    principal = await house.access.identify({}, await house.cookie("wall"), HERE)
    assert principal is not None
    still_allowed = house.access.still_allowed(principal)
    assert still_allowed()
    house.now_s += 12 * 3600
    assert not still_allowed()


async def test_who_guesses_is_stopped_and_others_are_not(house: House) -> None:
    await house.access.of_token(house.tokens["boss"], HERE)
    codes = []
    for _ in range(WRONG_PER_MINUTE + 2):
        with pytest.raises(HTTPException) as caught:
            await house.access.of_token("sst~wall~guess", HERE)
        codes.append(caught.value.status_code)
    assert codes == [401] * WRONG_PER_MINUTE + [429] * 2
    assert (await house.access.of_token(house.tokens["boss"], HERE)).name == "boss"
    assert (await house.access.of_token(house.tokens["wall"], "192.0.2.2")).name == "wall"


async def test_who_guesses_many_at_once_costs_no_more_hashes(house: House, hashed: list[str]) -> None:
    tries = [house.access.of_token(f"sst~wall~guess-{number}", HERE) for number in range(3 * WRONG_PER_MINUTE)]
    codes = [answer.status_code for answer in await asyncio.gather(*tries, return_exceptions=True) if isinstance(answer, HTTPException)]
    assert sorted(codes) == [401] * WRONG_PER_MINUTE + [429] * 2 * WRONG_PER_MINUTE
    assert len(hashed) == WRONG_PER_MINUTE


async def test_a_right_token_is_hashed_once_however_many_send_it_at_once(house: House, hashed: list[str]) -> None:
    found = await asyncio.gather(*(house.access.of_token(house.tokens["wall"], HERE) for _ in range(3 * WRONG_PER_MINUTE)))
    assert {principal.name for principal in found} == {"wall"}
    assert len(hashed) == 1


async def test_without_tokens_everybody_here_is_let_in_but_by_no_strange_name() -> None:
    access = Access(GatewaySettings())
    for host in ("127.0.0.1:8080", "localhost:8080", "[::1]:8080", "LOCALHOST"):
        assert await access.identify({"host": host}, {}, HERE) is EVERYBODY
    for host in ("evil.example", "127.0.0.1.evil.example:8080", "", "localhost.evil", "[", "[::1", "localhost]"):
        with pytest.raises(HTTPException) as caught:
            await access.identify({"host": host}, {}, HERE)
        assert caught.value.status_code == 403


BY_COOKIE = Principal("boss", None, frozenset(Permission), by_cookie=True)
BY_TOKEN = Principal("boss", None, frozenset(Permission))
SAME, OTHER = "http://wall.example:8080", "https://evil.example"


@pytest.mark.parametrize(
    ("principal", "headers", "allowed"),
    [
        (BY_TOKEN, {"origin": OTHER, "sec-fetch-site": "cross-site"}, True),
        (BY_COOKIE, {"origin": SAME}, True),
        (BY_COOKIE, {"origin": SAME, "sec-fetch-site": "same-origin"}, True),
        (BY_COOKIE, {"origin": "https://proxy.example", "sec-fetch-site": "cross-site"}, True),
        (BY_COOKIE, {"origin": OTHER}, False),
        (BY_COOKIE, {"origin": "null"}, False),
        (BY_COOKIE, {"origin": "http://["}, False),
        (BY_COOKIE, {"origin": "null", "host": ""}, False),
        (BY_COOKIE, {"origin": OTHER, "sec-fetch-site": "cross-site"}, False),
        (BY_COOKIE, {"sec-fetch-site": "same-site"}, False),
        (BY_COOKIE, {"sec-fetch-site": "none"}, False),
        (BY_COOKIE, {"origin": "http://wall.example:9090"}, False),
        (BY_COOKIE, {}, False),
        (EVERYBODY, {"origin": OTHER}, False),
        (EVERYBODY, {"origin": SAME}, True),
        (EVERYBODY, {}, True),
        (None, {"origin": OTHER}, False),
        (None, {}, True),
    ],
)
def test_another_site_cannot_write(tmp_path: Path, principal: Principal | None, headers: dict[str, str], *, allowed: bool) -> None:
    access = House(tmp_path, trusted_origins="https://proxy.example").access
    headers = {"host": "wall.example:8080", **headers}
    for method in ("GET", "HEAD"):
        access.check_origin(method, headers, principal)
    for method in ("POST", "DELETE", "PUT", "PATCH"):
        if allowed:
            access.check_origin(method, headers, principal)
        else:
            with pytest.raises(HTTPException):
                access.check_origin(method, headers, principal)


def of_issuer(**given: object) -> Principal:
    return Principal("anna", frozenset({"acme"}), frozenset(), **given)  # type: ignore[arg-type]


async def test_a_cookie_of_an_issuers_user_has_the_roles_that_mean_something_here(house: House) -> None:
    groups = tuple(f"group-{number}" for number in range(1000))
    value, _ = house.access.session_cookie(of_issuer(roles=("viewer", *groups)))
    assert len(value) < 1000
    found = house.access._cookies.read(value, house.access.now_ms())
    assert found is not None
    assert found.roles == ("viewer",)


async def test_a_cookie_that_no_browser_keeps_is_refused_with_a_sentence(house: House) -> None:
    many = Principal("anna", frozenset(f"tenant-{number}" for number in range(1000)), frozenset(), roles=("viewer",))
    with pytest.raises(HTTPException, match="oidc_tenants_claim") as refused:
        house.access.session_cookie(many)
    assert refused.value.status_code == 400


def test_a_token_and_a_user_of_one_name_are_two_accounts() -> None:
    assert of_issuer().account != of_issuer(entry="fingerprint").account
