"""Static tokens: recognised, forgotten when their entry goes, and never by a wrong secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.gateway.access_file import AccessFileError, parse_expiry
from stream.gateway.tokens import CACHED, LOOK_S, TokenStore, new_token
from tests.fakes.clock import FakeClock
from tests.support.gateways import make_access_file

NOW_MS = 1_800_000_000_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def test_a_token_is_recognised_and_then_recalled_without_its_hash(tmp_path: Path) -> None:
    token = make_access_file(tmp_path / "a.yaml", {"wall": ("wallboard", "acme")})["wall"]
    store = TokenStore(tmp_path / "a.yaml")
    assert store.recall(token, NOW_MS) is None
    entry = await store.verify(token, NOW_MS)
    assert entry is not None
    assert (entry.name, entry.role, entry.tenants) == ("wall", "wallboard", frozenset({"acme"}))
    assert store.recall(token, NOW_MS) == entry


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token + "x",
        lambda token: token[:-1],
        lambda token: token.replace("~wall~", "~other~"),
        lambda token: token.replace("sst~", "sss~"),
        lambda token: token.replace("~", "-"),
        lambda token: "~".join([token, "more"]),
        lambda token: token.rpartition("~")[0] + "~",
        lambda _: "",
        lambda _: "~~",
        lambda _: "sst~wall~" + "x" * 100_000,
        lambda _: "sst~wall~\udcff",
    ],
)
async def test_anything_else_is_not(tmp_path: Path, change: object) -> None:
    token = make_access_file(tmp_path / "a.yaml", {"wall": ("wallboard", "acme")})["wall"]
    store = TokenStore(tmp_path / "a.yaml")
    await store.verify(token, NOW_MS)
    wrong = change(token)  # type: ignore[operator]
    assert store.recall(wrong, NOW_MS) is None
    assert await store.verify(wrong, NOW_MS) is None


async def test_a_token_without_its_entry_no_longer_works(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "a.yaml"
    token = make_access_file(path, {"wall": ("wallboard", "acme")})["wall"]
    store = TokenStore(path, clock.monotonic)
    assert await store.verify(token, NOW_MS) is not None
    path.write_text("tokens:\n")
    assert store.recall(token, NOW_MS) is not None
    clock.wait(LOOK_S)
    assert store.recall(token, NOW_MS) is None
    assert await store.verify(token, NOW_MS) is None
    assert store.generation == 1


async def test_a_token_with_a_new_secret_does_not_work_with_the_old_one(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "a.yaml"
    old = make_access_file(path, {"wall": ("wallboard", "acme")})["wall"]
    store = TokenStore(path, clock.monotonic)
    assert await store.verify(old, NOW_MS) is not None
    new = make_access_file(path, {"wall": ("wallboard", "acme")})["wall"]
    clock.wait(LOOK_S)
    assert store.recall(old, NOW_MS) is None
    assert await store.verify(old, NOW_MS) is None
    assert await store.verify(new, NOW_MS) is not None


async def test_a_file_that_becomes_wrong_changes_nothing(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "a.yaml"
    token = make_access_file(path, {"wall": ("wallboard", "acme")})["wall"]
    store = TokenStore(path, clock.monotonic)
    for wrong in ("tokens: [", "tokens:\n  wall: {role: king}\n"):
        path.write_text(wrong)
        clock.wait(LOOK_S)
        assert await store.verify(token, NOW_MS) is not None
    path.unlink()
    clock.wait(LOOK_S)
    assert await store.verify(token, NOW_MS) is not None


def test_a_file_that_is_wrong_at_the_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AccessFileError):
        TokenStore(tmp_path / "none.yaml")


async def test_a_token_expires(tmp_path: Path) -> None:
    token, hashed = new_token("wall")
    (tmp_path / "a.yaml").write_text(
        f"tokens:\n  wall:\n    role: viewer\n    tenants: acme\n    expires: 2027-06-30\n    hash: {hashed}\n"
    )
    store = TokenStore(tmp_path / "a.yaml")
    end_ms = parse_expiry("2027-06-30")
    assert await store.verify(token, end_ms - 1) is not None
    assert await store.verify(token, end_ms) is None
    assert store.recall(token, end_ms) is None


async def test_what_is_remembered_is_bounded(tmp_path: Path) -> None:
    token = make_access_file(tmp_path / "a.yaml", {"wall": ("wallboard", "acme")})["wall"]
    store = TokenStore(tmp_path / "a.yaml")
    store._verified.update({str(number).encode(): "" for number in range(CACHED)})
    assert await store.verify(token, NOW_MS) is not None
    assert len(store._verified) == CACHED
    assert store.recall(token, NOW_MS) is not None


def test_no_two_tokens_are_alike() -> None:
    assert len({part for _ in range(3) for part in new_token("wall")}) == 6
