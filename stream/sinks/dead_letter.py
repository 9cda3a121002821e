"""Builds dead letters: the messages for records that cannot be used or arrive too late, and for windows that cannot be scored.

A dead letter keeps the value and the headers of its record and adds headers of its own (``dl_…``). So it can be corrected and sent again.
Only reason, topic, partition and offset may be logged: everything else may be personal data.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from stream.domain.delivery import InboundRecord
from stream.domain.kafka_records import Headers
from stream.domain.window import Window
from stream.sinks.results import Message

HEADER_PREFIX = "dl_"
"""Prefix of the headers that a dead letter adds."""

MAX_VALUE_BYTES = 1_000_000
"""A longer value is cut, and ``dl_cut`` then holds its full length. A dead letter that the broker refuses would stop its partition."""

MAX_HEADERS = 64
MAX_HEADER_BYTES = 16_384
"""Bounds on the original headers, the second on all names and values together. Headers that do not fit are counted in
``dl_headersdropped``."""

MAX_KEY_BYTES = 1024
"""A longer key is left out: no key of a valid record is that long."""

MAX_HEADER_CHARACTERS = 256
"""An added header is cut to this length."""


def dead_letter_message(record: InboundRecord, reason: str, detail: str, attempt: int = 1) -> Message:
    """Key, value and headers of a dead letter.

    Args:
        record: The record as it was read.
        reason: Short code, for example ``bad_words``.
        detail: One sentence that quotes nothing of the record.
        attempt: Number of times that the record was tried.
    """
    return _message(record, {"dl_reason": reason, "dl_detail": detail, "dl_attempt": str(attempt)})


def late_message(record: InboundRecord, late_by_ms: int) -> Message:
    """Key, value and headers for a chunk that ends `late_by_ms` of media time before the point up to which windows are closed."""
    return _message(record, {"dl_reason": "late", "dl_lateby": str(late_by_ms)})


def late_words_message(record: InboundRecord, late_by_ms: int, words: int) -> Message:
    """Key, value and headers for a chunk of which some words end where all windows have closed, the earliest by `late_by_ms`."""
    detail = f"{words} of its words end where all windows have closed; its other words are in their windows"
    return _message(record, {"dl_reason": "late_words", "dl_detail": detail, "dl_lateby": str(late_by_ms)})


def unscorable_message(window: Window, error: str) -> Message:
    """Key, value and headers of a dead letter for a window that cannot be scored. The value names the window and quotes nothing of it.

    Args:
        window: The closed window.
        error: Name of the error's class.
    """
    value = {
        "window_id": window.id,
        "track": window.track.track,
        "role": window.role,
        "epoch": window.epoch,
        "start_ms": window.start_ms,
        "end_ms": window.end_ms,
        "modalities_present": window.present(),
    }
    added = {
        "dl_reason": "unscorable",
        "dl_detail": error,
        "ce_tenant": window.track.session.tenant,
        "ce_subject": window.track.session.session,
        "content-type": "application/json",
    }
    return str(window.track.session).encode("ascii"), msgspec.json.encode(value), _encoded(added)


def _message(record: InboundRecord, headers: dict[str, str]) -> Message:
    kept, dropped = _originals(record.headers)
    value = record.value or b""
    added = headers | {"dl_topic": record.topic, "dl_partition": str(record.partition), "dl_offset": str(record.offset)}
    if len(value) > MAX_VALUE_BYTES:
        added["dl_cut"] = str(len(value))
    if dropped:
        added["dl_headersdropped"] = str(dropped)
    key = record.key if record.key is not None and len(record.key) <= MAX_KEY_BYTES else b""
    return key, value[:MAX_VALUE_BYTES], kept + _encoded(added)


def _originals(headers: Iterable[tuple[str, bytes | None]]) -> tuple[Headers, int]:
    """The original headers that fit, and the number of headers that do not. Headers that an earlier dead letter has added are removed."""
    kept: Headers = []
    dropped = used = 0
    for name, value in headers:
        if name.startswith(HEADER_PREFIX):
            continue
        size = len(name.encode("utf-8", "replace")) + len(value or b"")
        if value is None or len(kept) >= MAX_HEADERS or used + size > MAX_HEADER_BYTES:
            dropped += 1
            continue
        kept.append((name, value))
        used += size
    return kept, dropped


def _encoded(headers: dict[str, str]) -> Headers:
    """Headers as bytes: short, printable and ASCII, because tools print them on terminals."""
    printable = {name: "".join(c if c.isprintable() else " " for c in text[:MAX_HEADER_CHARACTERS]) for name, text in headers.items()}
    return [(name, text.encode("ascii", "replace")) for name, text in printable.items()]
