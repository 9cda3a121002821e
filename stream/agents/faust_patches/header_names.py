"""Reads records whose header names are not UTF-8, as clients in C may send them.

aiokafka (0.14.0) raises `UnicodeDecodeError` for such a record (``aiokafka/record/default_records.py``, ``_read_msg``). Faust's consumer
ends with it, and so would every worker that is assigned the partition next.
"""

from __future__ import annotations

from typing import Any, SupportsIndex

import structlog
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy

log = structlog.get_logger(__name__)


class _Buffer(bytearray):
    """Bytes whose slices decode with escapes in place of what is not UTF-8."""

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        found = super().__getitem__(index)
        return _Buffer(found) if isinstance(index, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return bytes(self).decode(encoding, errors)


class _Batch(_DefaultRecordBatchPy):  # type: ignore[misc]
    _buffer: bytearray

    def __init__(self, buffer: Any) -> None:
        super().__init__(buffer)
        self._buffer = _Buffer(self._buffer)

    def _maybe_uncompress(self) -> None:
        if not self._decompressed:
            super()._maybe_uncompress()
            self._buffer = _Buffer(self._buffer)


class _Records(_MemoryRecordsPy):  # type: ignore[misc]
    def next_batch(self) -> Any:
        content = self._next_slice
        batch = super().next_batch()
        return _Batch(content) if type(batch).__name__.startswith("DefaultRecordBatch") else batch


def read_any_header_names() -> None:
    """Read the names of headers with escapes from the next fetch on.

    It takes aiokafka's slower way of reading records. So it is done only once such a record has come.
    """
    if fetcher.MemoryRecords is not _Records:
        log.warning("header_names_not_utf8")
        fetcher.MemoryRecords = _Records
