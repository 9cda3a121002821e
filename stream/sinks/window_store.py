"""The opt-in local store of final windows: what `sentistream explain`, `reveal` and `revise` need to score them again.

One SQLite file, which the workers of one machine may share. It holds features and words of the people who speak, so it is bounded in time
and in size, only its owner may read it, and what is deleted is overwritten.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from stream.domain.identity import SessionKey
from stream.domain.result import ExplanationRecord, ScoreRecord, decode_record, encode_record
from stream.sinks.stored_window import StoredWindow, StoredWindowError, restored, tensors_of, texts_of

BUSY_S = 2.0
"""How long a statement waits for another worker that writes."""

DROPPED_AT_ONCE = 16
"""Oldest windows that make room together when the store is full."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS windows (
    id TEXT PRIMARY KEY, tenant TEXT NOT NULL, session TEXT NOT NULL, track TEXT NOT NULL, epoch INTEGER NOT NULL,
    start_ms INTEGER NOT NULL, end_ms INTEGER NOT NULL, label TEXT, score_value REAL, stored_at_ms INTEGER NOT NULL,
    score BLOB NOT NULL, explanation BLOB NOT NULL, texts BLOB NOT NULL, tensors BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS windows_by_session ON windows (tenant, session, epoch, end_ms);
CREATE INDEX IF NOT EXISTS windows_by_age ON windows (stored_at_ms);
"""
_COLUMNS = "score, explanation, texts, tensors"


class WindowStoreError(Exception):
    """The store cannot be used; the message is one sentence."""


class ListedWindow(msgspec.Struct, frozen=True):
    """A row of the store, without what it holds."""

    window_id: str
    track: str
    start_ms: int
    end_ms: int
    score: float | None
    label: str | None
    stored_at_ms: int


class Forgotten(msgspec.Struct, frozen=True):
    """What was erased of a session.

    Attributes:
        deleted: Rows that were deleted.
        left: Rows that are left: none, unless a worker wrote one meanwhile.
        overwritten: Whether no copy is left in the write-ahead log. False while another process reads the store.
    """

    deleted: int
    left: int
    overwritten: bool


class WindowStore:
    """The file, opened. Every method may be called from one thread at a time, and raises `WindowStoreError`.

    Opening it deletes what is too old.

    Args:
        path: The file.
        retention_hours: How long a window is kept.
        max_mb: Size (MB) above which the oldest windows are deleted.
        create: Whether to make a file that is not there.
    """

    def __init__(self, path: Path, *, retention_hours: float, max_mb: int, create: bool = True) -> None:
        self._path = path
        self._retention_ms = round(retention_hours * 3_600_000)
        self._max_bytes = max_mb * 1_000_000
        with self._errors():
            if not create and not path.exists():
                raise WindowStoreError(
                    f"there is no store at {path}: no worker with this setting of explanations.store has scored a window"
                )
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # SQLite gives its write-ahead log the rights of the file.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = sqlite3.connect(path, timeout=BUSY_S, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA secure_delete = ON")
            self._db.executescript(_SCHEMA)
        self.prune()

    def put(self, window: StoredWindow) -> None:
        """Keep a window. One with the same id is replaced: a replay has the same content."""
        score = window.score
        row = (
            *(score.window_id, score.tenant, score.session, score.track, score.epoch, score.start_ms, score.end_ms),
            *(score.label, score.score, _now_ms(), encode_record(score), encode_record(window.explanation)),
            *(texts_of(window), tensors_of(window)),
        )
        with self._errors():
            self._db.execute(f"INSERT OR REPLACE INTO windows VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608 - only marks
        self._make_room()

    def get(self, window_id: str) -> StoredWindow | None:
        """A window; None if it is not there."""
        with self._errors():
            row = self._db.execute(f"SELECT {_COLUMNS} FROM windows WHERE id = ?", (window_id,)).fetchone()  # noqa: S608 - fixed names
        return None if row is None else _window(row)

    def windows(self, session: SessionKey | None = None, *, most: int = -1) -> Iterator[StoredWindow]:
        """All windows, or those of a session, in order of session, epoch and time. One is in memory at a time.

        Args:
            session: None for all sessions.
            most: Most windows, those that were stored last; -1 for all.
        """
        where, values = ("", ()) if session is None else (" WHERE tenant = ? AND session = ?", (session.tenant, session.session))
        with self._errors():
            newest = f"SELECT * FROM windows{where} ORDER BY stored_at_ms DESC, rowid DESC LIMIT ?"  # noqa: S608 - fixed names
            ids = self._db.execute(f"SELECT id FROM ({newest}) ORDER BY tenant, session, epoch, end_ms, id", (*values, most))  # noqa: S608
            names = [name for (name,) in ids]
        for name in names:
            window = self.get(name)
            if window is not None:
                yield window

    def listed(self, session: SessionKey) -> list[ListedWindow]:
        """The windows of a session without their content, in order of time."""
        columns = "id, track, start_ms, end_ms, score_value, label, stored_at_ms"
        query = f"SELECT {columns} FROM windows WHERE tenant = ? AND session = ? ORDER BY epoch, end_ms, id"  # noqa: S608 - fixed names
        with self._errors():
            return [ListedWindow(*row) for row in self._db.execute(query, (session.tenant, session.session))]

    def sessions(self) -> dict[str, int]:
        """Number of windows of each session, ``tenant/session``."""
        query = "SELECT tenant || '/' || session, count(*) FROM windows GROUP BY tenant, session ORDER BY max(stored_at_ms) DESC"
        with self._errors():
            return dict(self._db.execute(query).fetchall())

    def forget(self, session: SessionKey) -> Forgotten:
        """Erase a session: its rows are overwritten, also in the write-ahead log."""
        key = (session.tenant, session.session)
        with self._errors():
            deleted = self._db.execute("DELETE FROM windows WHERE tenant = ? AND session = ?", key).rowcount
            overwritten = self._truncate_log()
            (left,) = self._db.execute("SELECT count(*) FROM windows WHERE tenant = ? AND session = ?", key).fetchone()
        return Forgotten(deleted, left, overwritten)

    def prune(self) -> int:
        """Delete what is older than the retention; returns how many windows that were."""
        with self._errors():
            deleted = self._db.execute("DELETE FROM windows WHERE stored_at_ms < ?", (_now_ms() - self._retention_ms,)).rowcount
            if deleted:
                self._truncate_log()
        return deleted

    def close(self) -> None:
        """Close the file."""
        with self._errors():
            self._db.close()

    def _make_room(self) -> None:
        with self._errors():
            while self._used_bytes() > self._max_bytes:
                oldest = "SELECT id FROM windows ORDER BY stored_at_ms, rowid LIMIT ?"
                if not self._db.execute(f"DELETE FROM windows WHERE id IN ({oldest})", (DROPPED_AT_ONCE,)).rowcount:  # noqa: S608 - fixed
                    return

    def _used_bytes(self) -> int:
        """Bytes of the pages in use; deleted ones are used again."""
        size, pages, free = (self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count", "freelist_count"))
        used: int = size * (pages - free)
        return used

    def _truncate_log(self) -> bool:
        """Empty the write-ahead log, which may hold copies of deleted rows. False if another connection kept it from that."""
        (busy, *_) = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise WindowStoreError(
                f"the store {self._path} cannot be used ({reason}): correct explanations.store, or free the disk"
            ) from None


def _window(row: tuple[bytes, bytes, bytes, bytes]) -> StoredWindow:
    try:
        score, explanation = decode_record(row[0]), decode_record(row[1])
        if not isinstance(score, ScoreRecord) or not isinstance(explanation, ExplanationRecord):
            raise StoredWindowError("the stored window holds other records")
        return restored(score, explanation, *row[2:])
    except (msgspec.MsgspecError, StoredWindowError) as error:
        raise WindowStoreError(str(error)) from None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
