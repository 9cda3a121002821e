from __future__ import annotations

import sqlite3
import stat
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from stream.domain.identity import SessionKey
from stream.domain.inference import WindowInputs
from stream.sinks import window_store
from stream.sinks.stored_window import StoredWindow
from stream.sinks.window_store import WindowStore, WindowStoreError
from tests.fakes.stored_windows import make_stored
from tests.fakes.windows import make_inputs, make_window

CALL = SessionKey("default", "call-1")
HOUR_MS = 3_600_000


def opened(path: Path, *, hours: float = 72.0, megabytes: int = 100) -> WindowStore:
    return WindowStore(path, retention_hours=hours, max_mb=megabytes)


def same(one: StoredWindow, other: StoredWindow) -> bool:
    tensors = [field.name for field in fields(WindowInputs)]
    pairs = [(getattr(one.inputs, name), getattr(other.inputs, name)) for name in tensors]
    alike = all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in pairs)
    return alike and all(getattr(one, name) == getattr(other, name) for name in ("score", "explanation", "words", "words_before"))


def test_a_window_comes_back_as_it_was(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    inputs = make_inputs(make_window(["this", "is", "great"], 3, 2))
    inputs = replace(inputs, words=noise.normal(size=inputs.words.shape).astype(np.float32))
    stored = replace(make_stored(inputs=inputs), log_mel=noise.normal(size=(1, 80, 100)).astype(np.float16), log_mel_ms=(4000,))
    store = opened(tmp_path / "store.db")
    store.put(stored)
    found = store.get(stored.score.window_id)
    assert found is not None
    assert same(found, stored)
    assert found.words_encoded
    assert found.log_mel is not None
    assert stored.log_mel is not None
    assert np.array_equal(found.log_mel, stored.log_mel)
    assert found.log_mel_ms == (4000,)


def test_a_window_that_is_kept_again_is_kept_once(tmp_path: Path) -> None:
    store = opened(tmp_path / "store.db")
    for _ in range(3):
        store.put(make_stored())
    assert store.sessions() == {"default/call-1": 1}


def test_old_windows_are_deleted_when_the_store_is_opened_and_when_it_is_pruned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store.db"
    store = opened(path, hours=1.0)
    monkeypatch.setattr(window_store, "_now_ms", lambda: 0)
    store.put(make_stored(5000))
    monkeypatch.setattr(window_store, "_now_ms", lambda: HOUR_MS)
    store.put(make_stored(7000))
    monkeypatch.setattr(window_store, "_now_ms", lambda: HOUR_MS + 1)
    assert store.prune() == 1
    assert [window.end_ms for window in store.listed(CALL)] == [7000]
    monkeypatch.setattr(window_store, "_now_ms", lambda: 2 * HOUR_MS + 1)
    assert opened(path, hours=1.0).sessions() == {}


def test_a_forgotten_session_leaves_no_row_and_no_byte(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = opened(path)
    store.put(make_stored(5000, ["confidentially"]))
    store.put(make_stored(7000, ["confidentially"]))
    store.put(make_stored(5000, ["elsewhere"], session="call-2"))
    forgotten = store.forget(CALL)
    assert (forgotten.deleted, forgotten.left, forgotten.overwritten) == (2, 0, True)
    assert store.sessions() == {"default/call-2": 1}
    assert store.forget(CALL).deleted == 0
    files = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"confidentially" not in files
    assert b"elsewhere" in files


def test_only_the_owner_may_read_the_files(tmp_path: Path) -> None:
    store = opened(tmp_path / "folder" / "store.db")
    store.put(make_stored())
    files = list((tmp_path / "folder").iterdir())
    assert len(files) > 1
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o700


def test_a_full_store_drops_its_oldest_windows(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    inputs = make_inputs(make_window(["this", "is", "great"], 3, 2))
    store = opened(tmp_path / "store.db", megabytes=1)
    for index in range(200):
        own = replace(inputs, words=noise.normal(size=inputs.words.shape).astype(np.float32))
        store.put(make_stored(5000 + index, inputs=own))
    ends = [window.end_ms for window in store.listed(CALL)]
    assert ends == list(range(5200 - len(ends), 5200))
    assert 20 < len(ends) < 100


def test_windows_come_in_order_of_time(tmp_path: Path) -> None:
    store = opened(tmp_path / "store.db")
    for end_ms, session in ((9000, "call-2"), (7000, "call-1"), (5000, "call-2")):
        store.put(make_stored(end_ms, session=session))
    assert [(window.score.session, window.score.end_ms) for window in store.windows()] == [
        ("call-1", 7000),
        ("call-2", 5000),
        ("call-2", 9000),
    ]
    assert [window.score.end_ms for window in store.windows(SessionKey("default", "call-2"))] == [5000, 9000]
    assert [window.score.end_ms for window in store.windows(most=2)] == [7000, 5000], "those that were stored last"


def test_a_file_that_is_no_database_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"not a database " * 100)
    with pytest.raises(WindowStoreError, match=r"explanations\.store"):
        opened(path)


def test_a_reader_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(WindowStoreError, match="no worker"):
        WindowStore(tmp_path / "store.db", retention_hours=1.0, max_mb=1, create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_window_is_refused_with_a_sentence_that_quotes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = opened(path)
    store.put(make_stored(5000, ["confidentially"]))
    with sqlite3.connect(path) as db:
        db.execute("UPDATE windows SET tensors = x'00'")
    with pytest.raises(WindowStoreError, match="damaged") as error:
        store.get(make_stored().score.window_id)
    assert "confidentially" not in str(error.value)
