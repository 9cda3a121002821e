"""`sentistream explain` lists and erases what is in the store, and says what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from stream.cli.main import app
from stream.domain.identity import SessionKey
from stream.sinks.window_store import WindowStore
from tests.fakes.stored_windows import make_stored


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with two sessions, which the settings name."""
    path = tmp_path / "store.db"
    monkeypatch.setenv("SENTISTREAM_EXPLANATIONS__STORE", str(path))
    opened = WindowStore(path, retention_hours=72.0, max_mb=10)
    for end_ms, session in ((5000, "call-1"), (7000, "call-1"), (5000, "call-2")):
        opened.put(make_stored(end_ms, session=session))
    opened.close()
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["explain", *arguments])


def test_the_store_is_listed_by_session_and_by_window(store: Path) -> None:
    assert sorted(run("--list").stdout.splitlines()) == ["default/call-1 2 windows", "default/call-2 1 window"]
    listed = run("--list", "--session", "call-1").stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["default/call-1/customer/0-5000", "default/call-1/customer/0-7000"]
    windows = [json.loads(line) for line in run("--list", "--session", "call-1", "--json").stdout.splitlines()]
    assert [window["end_ms"] for window in windows] == [5000, 7000]


def test_a_session_is_erased_and_the_command_says_that_nothing_is_left(store: Path) -> None:
    result = run("--forget", "call-1", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"event": "forgotten", "session": "default/call-1", "deleted": 2, "left": 0, "overwritten": True}
    assert run("--list").stdout == "default/call-2 1 window\n"
    assert run("--forget", "call-1").stdout == "default/call-1: 0 windows deleted, 0 left in the store\n"


def test_a_store_that_a_reader_holds_open_is_not_called_erased(store: Path) -> None:
    reader = WindowStore(store, retention_hours=72.0, max_mb=10)
    windows = reader.windows(SessionKey("default", "call-2"))
    next(windows)
    reader._db.execute("BEGIN")
    reader._db.execute("SELECT count(*) FROM windows").fetchone()
    result = run("--forget", "call-1")
    assert result.exit_code == 1
    assert "0 left in the store" in result.stdout
    assert "run `sentistream explain --forget call-1` again" in result.stderr


def test_without_a_store_the_command_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SENTISTREAM_EXPLANATIONS__STORE", raising=False)
    result = run("--list")
    assert result.exit_code == 2
    assert "SENTISTREAM_EXPLANATIONS__STORE" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ((), 2, "give one of WINDOW_ID, --list or --forget"),
        (("--list", "--forget", "call-1"), 2, "give one of"),
        (("default/call-1/customer/0-9000",), 1, "no window"),
        (("default/call-1/customer/0-5000", "--method", "magic"), 2, "is not one of all, ours"),
        (("--list", "--session", "call-9"), 1, "no window of default/call-9"),
        (("--forget", "../call"), 2, "session must be"),
    ],
)
def test_mistakes_are_named(store: Path, arguments: tuple[str, ...], code: int, sentence: str) -> None:
    result = run(*arguments)
    assert result.exit_code == code
    assert sentence in result.stderr


def test_a_store_that_no_worker_has_made_is_not_made_by_looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTISTREAM_EXPLANATIONS__STORE", str(tmp_path / "none.db"))
    result = run("--list")
    assert (result.exit_code, "no worker" in result.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_without_triton_the_command_says_where_it_looked(store: Path) -> None:
    result = run("default/call-1/customer/0-5000", "--triton", "127.0.0.1:1")
    assert result.exit_code == 1
    assert "Triton" in result.stderr
    assert "127.0.0.1:1" in result.stderr
