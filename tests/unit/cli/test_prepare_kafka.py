"""`sentistream prepare-kafka`: what it prints, and a file of passwords that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from stream.cli.errors import UsageError
from stream.cli.main import app
from stream.cli.prepare_kafka import MOST_PASSWORDS_BYTES, read_passwords

SECRET = "hunter2"


def test_it_prints_rights_without_a_broker() -> None:
    done = CliRunner().invoke(app, ["prepare-kafka", "--producer", "CN=calls", "--consumer", "wall", "--dry-run"])
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0] == "User:CN=calls: WRITE on topic chunks.text"
    assert done.stdout.splitlines()[-1] == "User:wall: READ on group wall*"


def test_passwords_are_read_by_user(tmp_path: Path) -> None:
    file = tmp_path / "users.txt"
    file.write_text(f"# users\nworker {SECRET}\n\ngateway p:%/w\n")
    assert read_passwords(file) == {"worker": SECRET, "gateway": "p:%/w"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"worker {SECRET} more".encode(), "line 1 of .* is not USER PASSWORD"),
        (f"{SECRET}".encode(), "line 1 of .* is not USER PASSWORD"),
        (f"worker {SECRET}\nworker {SECRET}".encode(), "line 2 of .* names a user for the second time"),
        (b"worker \xff\xfe", "is no text in UTF-8"),
        (b"x" * (MOST_PASSWORDS_BYTES + 1), "is larger than 64 KiB"),
    ],
)
def test_a_wrong_file_is_one_sentence_without_a_password(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "users.txt"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=said) as error:
        read_passwords(file)
    assert SECRET not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_passwords(tmp_path / "none.txt")


def test_mechanism_without_passwords_in_kafka_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "users.txt").write_text(f"worker {SECRET}\n")
    monkeypatch.setenv("SENTISTREAM_KAFKA__SASL_MECHANISM", "PLAIN")
    done = CliRunner().invoke(app, ["prepare-kafka", "--worker", "worker", "--passwords", str(tmp_path / "users.txt")])
    assert done.exit_code == 2
    assert "--passwords needs kafka.sasl_mechanism" in done.stderr
