"""Errors as problem details."""

from __future__ import annotations

from litestar import Litestar, get
from litestar.testing import TestClient

from stream.gateway.problems import HANDLERS, MEDIA_TYPE, not_found


@get("/sessions")
async def sessions() -> None:
    raise not_found("session")


def test_an_address_that_does_not_exist_and_a_thing_that_does_not_exist_say_what_they_are() -> None:
    with TestClient(Litestar([sessions], exception_handlers=HANDLERS)) as client:
        nowhere, nothing = client.get("/nowhere"), client.get("/sessions")
    assert [nowhere.status_code, nothing.status_code] == [404, 404]
    assert nowhere.headers["content-type"].startswith(MEDIA_TYPE)
    assert nowhere.json()["detail"] == "there is no such address; / is the board, and /api/v1/openapi.json lists the API"
    assert nothing.json()["detail"] == "there is no such session"
