"""JSON lines on standard output, each flushed at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from stream.domain.result import Record, encode_record


class OutputClosed(Exception):
    """Whoever read our output has gone, for example ``head`` after its last line."""


def write_record(record: Record) -> None:
    """One record as one line. Raises `OutputClosed`."""
    write_line(encode_record(record))


def write_line(line: bytes) -> None:
    """One line of JSON. Raises `OutputClosed`."""
    try:
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise OutputClosed from None


@contextmanager
def quiet_when_closed() -> Iterator[None]:
    """End quietly when the reader of our output has gone; nothing more is written, not even at exit."""
    try:
        yield
    except OutputClosed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
