"""The access file: what stands in it, and every mistake with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.domain.permission import ROLES, Permission
from stream.gateway.access_file import AccessFileError, parse_expiry, read_access_file

GOOD = """
tokens:
  wall-1:
    role: wallboard
    tenants: acme, beta
    expires: 2027-06-30
    hash: $argon2id$v=19$x
  boss:
    role: auditor
    tenants: '*'
    hash: $argon2id$v=19$y
roles:
  auditor: scores, words
"""


def read(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "access.yaml"
    path.write_text(text)
    return path


def test_tokens_and_roles_are_read(tmp_path: Path) -> None:
    found = read_access_file(read(tmp_path, GOOD))
    wall, boss = found.tokens["wall-1"], found.tokens["boss"]
    assert (wall.role, wall.tenants) == ("wallboard", frozenset({"acme", "beta"}))
    assert wall.expires_at_ms == parse_expiry("2027-07-01T00:00+00:00")
    assert (boss.tenants, boss.expires_at_ms) == (None, None)
    assert found.roles["auditor"] == {Permission.SCORES, Permission.WORDS}
    assert found.roles.keys() == ROLES.keys() | {"auditor"}


def test_an_empty_file_has_no_tokens(tmp_path: Path) -> None:
    assert read_access_file(read(tmp_path, "")).tokens == {}


def test_every_part_of_an_entry_changes_its_fingerprint(tmp_path: Path) -> None:
    changes = [("wallboard", "viewer"), ("acme, beta", "acme"), ("2027-06-30", "2027-07-30"), ("v=19$x", "v=19$z")]
    texts = [GOOD, *(GOOD.replace(*change) for change in changes)]
    prints = {read_access_file(read(tmp_path, text)).tokens["wall-1"].fingerprint for text in texts}
    assert len(prints) == len(texts)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("role: wallboard", "role: king", "line 3: token 'wall-1': there is no such role"),
        ("tenants: acme, beta", "tenants: a/b", "line 3: token 'wall-1': tenant must be"),
        ("    tenants: acme, beta\n", "", "line 3: token 'wall-1': 'tenants' is missing"),
        ("$argon2id$v=19$x", "secret-in-clear", "line 3: token 'wall-1': the hash is not of Argon2id"),
        ("2027-06-30", "soon", "line 3: token 'wall-1': `expires` is a day"),
        ("2027-06-30", "2027-06-30T12:00", "line 3: token 'wall-1': `expires` is a day"),
        ("    role: wallboard", "    rôle: wallboard", "line 3: token 'wall-1': 'rôle' means nothing here"),
        ("  auditor: scores, words", "  auditor: everything", "a role is a list of permissions"),
        ("  auditor: scores, words", "  admin: scores", "the role 'admin' is there already"),
        ("roles:", "rolls:", "there is no section 'rolls'"),
        ("    role: wallboard\n", "    role: [a, b]\n", "line 3: token 'wall-1'"),
        ("tokens:\n", "tokens: &x\n", ""),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, before: str, after: str, message: str) -> None:
    text = GOOD.replace(before, after, 1)
    if not message:
        read_access_file(read(tmp_path, text))
        return
    with pytest.raises(AccessFileError) as caught:
        read_access_file(read(tmp_path, text))
    assert message in str(caught.value)
    assert "secret-in-clear" not in str(caught.value)


def test_a_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(AccessFileError, match="No such file"):
        read_access_file(tmp_path / "none.yaml")
