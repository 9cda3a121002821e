"""The session cookie: signed by us, and over at its end."""

from __future__ import annotations

import base64
import json

import pytest

from stream.gateway.cookies import Cookies, CookieSession

NOW_MS = 1_800_000_000_000
OF_TOKEN = CookieSession("boss", NOW_MS + 60_000, "0123456789abcdef")
OF_ISSUER = CookieSession("anna", NOW_MS + 60_000, None, ("viewer",), frozenset({"acme"}))


@pytest.mark.parametrize("session", [OF_TOKEN, OF_ISSUER, CookieSession("anna", NOW_MS + 60_000, None, (), None)])
def test_what_is_written_is_read(session: CookieSession) -> None:
    cookies = Cookies("s" * 32)
    assert cookies.read(cookies.write(session), NOW_MS) == session
    assert Cookies("s" * 32).read(cookies.write(session), NOW_MS) == session


def test_it_is_over_at_its_end() -> None:
    cookies = Cookies(None)
    assert cookies.read(cookies.write(OF_TOKEN), OF_TOKEN.expires_at_ms - 1) is not None
    assert cookies.read(cookies.write(OF_TOKEN), OF_TOKEN.expires_at_ms) is None


def test_another_gateway_with_another_secret_does_not_know_it() -> None:
    assert Cookies(None).read(Cookies(None).write(OF_TOKEN), NOW_MS) is None


def test_a_changed_cookie_is_refused() -> None:
    cookies = Cookies(None)
    header, _, signature = cookies.write(OF_ISSUER).split(".")
    claims = {"sub": "anna", "exp": NOW_MS, "by": "issuer", "roles": ["admin"], "tenants": None}
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    assert cookies.read(f"{header}.{forged}.{signature}", NOW_MS) is None
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    assert cookies.read(f"{unsigned}.{forged}.", NOW_MS) is None


@pytest.mark.parametrize("value", ["", ".", "..", "a.b.c", "x" * 100_000, "é", "\x00"])
def test_what_is_no_cookie_is_refused(value: str) -> None:
    assert Cookies(None).read(value, NOW_MS) is None
