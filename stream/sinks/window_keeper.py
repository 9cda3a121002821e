"""Keeps final windows in the local store, off the event loop. A worker never waits long for it, and loses no window because of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import structlog

from stream.config.worker_settings import ExplanationSettings
from stream.sinks.stored_window import StoredWindow
from stream.sinks.window_store import WindowStore, WindowStoreError

log = structlog.get_logger(__name__)

LONGEST_S = 5.0
"""A window whose copy takes longer is published all the same."""

MOST_WAITING = 64
"""Windows that wait for the disk. Further ones are not kept: a disk that hangs must not fill the memory."""

PRUNE_EVERY_S = 3600.0
RETRY_S = 30.0
"""A store that cannot be opened is tried again after this time."""


class WindowKeeper:
    """An async context manager that writes windows to the store with one thread. What cannot be written is counted, and logged once.

    Args:
        path: The file.
        settings: How long and how much it keeps.
        on_left_out: Called for each window that could not be written.

    Attributes:
        kept: Windows written.
        left_out: Windows that could not be written.
    """

    def __init__(self, path: Path, settings: ExplanationSettings, on_left_out: Callable[[], object] = lambda: None) -> None:
        self.kept = 0
        self.left_out = 0
        self._path = path
        self._settings = settings
        self._on_left_out = on_left_out
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="window-store")
        self._store: WindowStore | None = None
        self._opened_at_s = -float("inf")
        self._pruned_at_s = time.monotonic()
        self._waiting = 0
        self._failing = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.wait({asyncio.get_running_loop().run_in_executor(self._thread, self._close)}, timeout=LONGEST_S)
        self._thread.shutdown(wait=False)

    async def keep(self, window: StoredWindow) -> None:
        """Write a window, and return when it is written or cannot be. It never raises for the disk's sake."""
        if self._waiting >= MOST_WAITING:
            self._leave_out("the disk is too slow")
            return
        self._waiting += 1
        writing = asyncio.get_running_loop().run_in_executor(self._thread, self._write, window)
        writing.add_done_callback(self._written)
        # A disk that hangs holds up its own thread only. `wait` neither cancels the writing nor raises its error.
        await asyncio.wait({writing}, timeout=LONGEST_S)

    def _write(self, window: StoredWindow) -> None:
        now_s = time.monotonic()
        if self._store is None:
            if now_s - self._opened_at_s < RETRY_S:
                raise WindowStoreError("the store could not be opened")
            self._opened_at_s = now_s
            self._store = WindowStore(self._path, retention_hours=self._settings.retention_hours, max_mb=self._settings.store_max_mb)
        self._store.put(window)
        if now_s - self._pruned_at_s >= PRUNE_EVERY_S:
            self._pruned_at_s = now_s
            self._store.prune()

    def _written(self, writing: asyncio.Future[None]) -> None:
        self._waiting -= 1
        if writing.cancelled():
            return
        error = writing.exception()
        if error is None:
            self.kept += 1
            self._failing = False
        else:
            self._leave_out(str(error) if isinstance(error, WindowStoreError) else type(error).__name__)

    def _leave_out(self, reason: str) -> None:
        self.left_out += 1
        self._on_left_out()
        if not self._failing:
            self._failing = True
            log.warning("windows_not_kept", reason=reason)

    def _close(self) -> None:
        if self._store is not None:
            try:
                self._store.close()
            except WindowStoreError:
                log.warning("window_store_not_closed")
