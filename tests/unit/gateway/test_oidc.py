"""Bearer tokens of an identity provider, made with real keys."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeySet, OctKey, OKPKey, RSAKey

from stream.config.gateway_settings import GatewaySettings
from stream.gateway.oidc import AGAIN_S, FRESH_S, LARGEST_KEYS, OLDEST_S, Issuer, IssuerKeys, KeysAwayError
from tests.fakes.clock import FakeClock
from tests.fakes.gateway import serving

ISSUER, AUDIENCE = "https://id.example", "sentistream"
RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})
OTHER = RSAKey.generate_key(2048, {"kid": "rsa"})


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    given = {"iss": ISSUER, "aud": AUDIENCE, "sub": "anna", "exp": now + 600, "iat": now, "roles": ["viewer"], "tenants": ["acme"]}
    return {name: value for name, value in (given | changed).items() if value is not None}


def token(key: Key = RSA, algorithm: str = "RS256", /, **changed: Any) -> str:
    return jwt.encode({"alg": algorithm, "kid": key.kid}, claims(**changed), key, algorithms=[algorithm])


def key_file(path: Path, *keys: Key) -> Path:
    path.write_text(json.dumps(KeySet(list(keys)).as_dict(private=False)))
    return path


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    keys = key_file(tmp_path / "jwks.json", RSA, EC, ED)
    settings = GatewaySettings(oidc_issuer=ISSUER, oidc_audience=AUDIENCE, oidc_jwks_file=keys)
    return Issuer(settings, IssuerKeys(keys, None))


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (RSA, "PS256"), (EC, "ES256"), (ED, "EdDSA")])
async def test_a_token_of_the_issuer_is_taken(issuer: Issuer, key: Key, algorithm: str) -> None:
    found = await issuer.check(token(key, algorithm))
    assert found is not None
    assert (found.name, found.roles) == ("anna", ("viewer",))
    assert found.tenants == frozenset({"acme"})


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another"},
        {"aud": None},
        {"exp": int(time.time()) - 3600},
        {"exp": None},
        {"nbf": int(time.time()) + 3600},
        {"sub": None},
        {"tenants": ["a/b"]},
        {"sub": "two\nlines"},
    ],
)
async def test_a_token_with_a_wrong_claim_is_refused(issuer: Issuer, changed: dict[str, Any]) -> None:
    assert await issuer.check(token(**changed)) is None


async def test_an_audience_among_several_is_enough(issuer: Issuer) -> None:
    assert await issuer.check(token(aud=["another", AUDIENCE])) is not None


async def test_another_key_of_the_same_name_is_refused(issuer: Issuer) -> None:
    assert await issuer.check(token(OTHER)) is None


async def test_a_token_without_a_signature_is_refused(issuer: Issuer) -> None:
    head, body, _ = token().split(".")
    assert await issuer.check(f"{head}.{body}.") is None
    none = jwt.encode({"alg": "none"}, claims(), None, algorithms=["none"])  # type: ignore[arg-type]
    assert await issuer.check(none) is None


async def test_a_public_key_is_no_shared_secret(issuer: Issuer) -> None:
    """The confusion of algorithms: whoever knows the public key could sign with it as if it were a secret."""
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "kid": "rsa"}, claims())]
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = hmac.digest(RSA.as_pem(private=False), signed, "sha256")
    forged = signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")
    assert await issuer.check(forged.decode()) is None


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "é.é.é", "e30.e30.", "x" * 100_000, "W10.e30.x", "MQ.e30.x"])
async def test_what_is_no_token_is_refused(issuer: Issuer, text: str) -> None:
    assert await issuer.check(text) is None


@pytest.mark.parametrize(
    ("given", "roles", "tenants"),
    [
        ({"roles": "viewer operator"}, ("viewer", "operator"), ["acme"]),
        ({"roles": None}, (), ["acme"]),
        ({"roles": 7}, (), ["acme"]),
        ({"tenants": ["*"]}, ("viewer",), None),
        ({"tenants": "acme,beta"}, ("viewer",), ["acme", "beta"]),
        ({"tenants": None}, ("viewer",), []),
    ],
    ids=str,
)
async def test_claims_become_roles_and_tenants(
    issuer: Issuer, given: dict[str, Any], roles: tuple[str, ...], tenants: list[str] | None
) -> None:
    found = await issuer.check(token(**given))
    assert found is not None
    assert found.roles == roles
    assert found.tenants == (None if tenants is None else frozenset(tenants))


async def test_a_claim_may_be_inside_of_another(tmp_path: Path) -> None:
    keys = key_file(tmp_path / "jwks.json", RSA)
    settings = GatewaySettings(oidc_issuer=ISSUER, oidc_audience=AUDIENCE, oidc_jwks_file=keys, oidc_roles_claim="realm_access.roles")
    found = await Issuer(settings, IssuerKeys(keys, None)).check(token(roles=None, realm_access={"roles": ["admin"]}))
    assert found is not None
    assert found.roles == ("admin",)


async def test_a_file_with_new_keys_is_read_again(tmp_path: Path) -> None:
    keys = IssuerKeys(key_file(tmp_path / "jwks.json", RSA), None)
    assert [key.kid for key in (await keys.get(None)).keys] == ["rsa"]
    key_file(tmp_path / "jwks.json", EC, ED)
    assert [key.kid for key in (await keys.get(None)).keys] == ["ec", "ed"]
    (tmp_path / "jwks.json").write_text("{}")
    assert [key.kid for key in (await keys.get(None)).keys] == ["ec", "ed"]


async def test_secrets_are_no_keys(tmp_path: Path) -> None:
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [OctKey.generate_key().as_dict(private=True)]}))
    with pytest.raises(KeysAwayError):
        await IssuerKeys(tmp_path / "jwks.json", None).get(None)


class Provider:
    """Serves keys, and counts how often."""

    def __init__(self, *keys: Key) -> None:
        self.content = json.dumps(KeySet(list(keys)).as_dict(private=False))
        self.status = 200
        self.asked = 0

    async def answer(self, _request: web.Request) -> web.Response:
        self.asked += 1
        return web.Response(text=self.content, status=self.status)


@asynccontextmanager
async def provided(provider: Provider, clock: FakeClock) -> AsyncIterator[IssuerKeys]:
    async with serving(provider.answer) as address:
        yield IssuerKeys(None, f"{address}/jwks", clock.monotonic)


async def test_keys_from_an_address_are_kept_and_renewed() -> None:
    provider, clock = Provider(RSA), FakeClock()
    async with provided(provider, clock) as keys:
        for _ in range(5):
            await keys.get("rsa")
        assert provider.asked == 1
        clock.wait(FRESH_S)
        await keys.get("rsa")
        assert provider.asked == 2


async def test_an_unknown_key_is_asked_for_but_not_all_the_time() -> None:
    provider, clock = Provider(RSA), FakeClock()
    async with provided(provider, clock) as keys:
        for _ in range(5):
            await keys.get("ec")
        assert provider.asked == 1
        provider.content = Provider(RSA, EC).content
        clock.wait(AGAIN_S)
        assert {key.kid for key in (await keys.get("ec")).keys} == {"rsa", "ec"}


async def test_keys_last_while_the_provider_is_away_but_not_for_ever() -> None:
    provider, clock = Provider(RSA), FakeClock()
    async with provided(provider, clock) as keys:
        await keys.get("rsa")
        provider.status = 500
        clock.wait(FRESH_S)
        await keys.get("rsa")
        clock.wait(OLDEST_S)
        with pytest.raises(KeysAwayError):
            await keys.get("rsa")


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"keys": []}', '{"keys": [1]}', " " * (LARGEST_KEYS + 1)], ids=lambda text: text[:12])
async def test_what_holds_no_keys_is_an_outage(content: str) -> None:
    provider, clock = Provider(RSA), FakeClock()
    provider.content = content
    async with provided(provider, clock) as keys:
        with pytest.raises(KeysAwayError):
            await keys.get("rsa")
