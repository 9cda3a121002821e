"""JSON lines on standard output, each flushed at once so that a program that reads them is never behind."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from stream.domain.result import Record, encode_record


class OutputClosedError(Exception):
    """The program that read the output has ended, for example ``head`` after its last line."""


def write_record(record: Record) -> None:
    """Write a record as one line. Raises `OutputClosedError`."""
    write_line(encode_record(record))


def write_line(line: bytes) -> None:
    """Write one line of JSON. Raises `OutputClosedError`."""
    try:
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise OutputClosedError from None


@contextmanager
def quiet_when_closed() -> Iterator[None]:
    """End the block without an error if the output is closed.

    Standard output then leads nowhere: Python flushes it at exit, and that would fail with a second ``BrokenPipeError`` and a traceback.
    """
    try:
        yield
    except OutputClosedError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
