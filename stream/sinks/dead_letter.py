"""What is written of a record that could not be used, or that came too late.

The payload stays the value and the original headers stay beside ours (``dl_…``), so that a dead letter can be put right and sent
again. Nothing here is meant for a log but the reason, topic, partition and offset: the rest may be somebody's words.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from stream.domain.delivery import InboundRecord
from stream.domain.window import Window
from stream.domain.wire import Headers
from stream.sinks.results import Message

OURS = "dl_"
MAX_VALUE_BYTES = 1_000_000
"""A longer value is cut, so that broker limits never refuse a dead letter; ``dl_cut`` then holds its full length."""
MAX_HEADERS = 64
MAX_HEADER_BYTES = 16_384
"""Of names and values together; what does not fit is counted in ``dl_headersdropped``."""
MAX_KEY_BYTES = 1024
MAX_DETAIL = 256


def dead_letter_message(record: InboundRecord, reason: str, detail: str, attempt: int = 1) -> Message:
    """Key, value and headers of a dead letter.

    Args:
        record: As it was read.
        reason: Short code, for example ``bad_words``.
        detail: One sentence that quotes nothing of the record.
        attempt: How often it was tried.
    """
    return _message(record, {"dl_reason": reason, "dl_detail": detail, "dl_attempt": str(attempt)})


def late_message(record: InboundRecord, late_by_ms: int) -> Message:
    """Key, value and headers of a chunk whose windows had closed `late_by_ms` of media time before."""
    return _message(record, {"dl_reason": "late", "dl_lateby": str(late_by_ms)})


def unscorable_message(window: Window, error: str) -> Message:
    """Key, value and headers of a dead letter for a window that the model refused; the value names the window and nothing in it.

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
    ours = {
        "dl_reason": "unscorable",
        "dl_detail": error,
        "ce_tenant": window.track.session.tenant,
        "ce_subject": window.track.session.session,
        "content-type": "application/json",
    }
    return str(window.track.session).encode("ascii"), msgspec.json.encode(value), _encoded(ours)


def _message(record: InboundRecord, about: dict[str, str]) -> Message:
    kept, dropped = _originals(record.headers)
    value = record.value or b""
    ours = about | {"dl_topic": record.topic, "dl_partition": str(record.partition), "dl_offset": str(record.offset)}
    if len(value) > MAX_VALUE_BYTES:
        ours["dl_cut"] = str(len(value))
    if dropped:
        ours["dl_headersdropped"] = str(dropped)
    key = record.key if record.key is not None and len(record.key) <= MAX_KEY_BYTES else b""
    return key, value[:MAX_VALUE_BYTES], kept + _encoded(ours)


def _originals(headers: Iterable[tuple[str, bytes | None]]) -> tuple[Headers, int]:
    """The headers that fit, and how many did not; ours from an earlier attempt give way to the new ones."""
    kept: Headers = []
    dropped = used = 0
    for name, value in headers:
        if name.startswith(OURS):
            continue
        size = len(name.encode("utf-8", "replace")) + len(value or b"")
        if value is None or len(kept) >= MAX_HEADERS or used + size > MAX_HEADER_BYTES:
            dropped += 1
            continue
        kept.append((name, value))
        used += size
    return kept, dropped


def _encoded(headers: dict[str, str]) -> Headers:
    printable = {name: "".join(c if c.isprintable() else " " for c in text[:MAX_DETAIL]) for name, text in headers.items()}
    return [(name, text.encode("ascii", "replace")) for name, text in printable.items()]
