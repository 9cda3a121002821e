"""`sentistream gateway token`."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from stream.cli.main import app
from stream.gateway.access_file import read_access_file
from stream.gateway.tokens import TokenStore

ACME = ("--role", "viewer", "--tenant", "acme")


async def test_the_token_fits_the_entry(tmp_path: Path) -> None:
    made = CliRunner().invoke(app, ["gateway", "token", "wall-1", *ACME, "--tenant", "beta", "--expires", "2999-01-01"])
    assert made.exit_code == 0
    token, *entry = made.stdout.splitlines()
    (tmp_path / "access.yaml").write_text("\n".join(["tokens:", *entry]))
    found = await TokenStore(tmp_path / "access.yaml").verify(token, 0)
    assert found is not None
    assert (found.name, found.role, found.tenants) == ("wall-1", "viewer", frozenset({"acme", "beta"}))
    assert token not in made.stderr


def test_a_token_for_all_tenants_is_readable_yaml(tmp_path: Path) -> None:
    made = CliRunner().invoke(app, ["gateway", "token", "boss", "--role", "admin", "--tenant", "*"])
    (tmp_path / "access.yaml").write_text("\n".join(["tokens:", *made.stdout.splitlines()[1:]]))
    assert read_access_file(tmp_path / "access.yaml").tokens["boss"].tenants is None


def test_a_role_of_the_access_file_may_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "access.yaml").write_text("roles:\n  auditor: scores, words\n")
    monkeypatch.setenv("SENTISTREAM_GATEWAY__ACCESS", str(tmp_path / "access.yaml"))
    assert CliRunner().invoke(app, ["gateway", "token", "eve", "--role", "auditor", "--tenant", "acme"]).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("wall", "--role", "king", "--tenant", "acme"), "there is no role 'king'"),
        (("wall", "--role", "viewer", "--tenant", "a/b"), "tenant must be"),
        (("two words", *ACME), "NAME must be"),
        (("wall", *ACME, "--expires", "soon"), "--expires must be a day like 2027-06-30"),
    ],
)
def test_a_wrong_token_is_not_made(arguments: tuple[str, ...], message: str) -> None:
    made = CliRunner().invoke(app, ["gateway", "token", *arguments])
    assert (made.exit_code, made.stdout) == (2, "")
    assert message in made.stderr
