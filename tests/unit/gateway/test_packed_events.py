"""Events in gzip: each can be read as soon as it is there, and all viewers share its bytes."""

from __future__ import annotations

import zlib

from stream.gateway.sse import GZIP, KEEP_ALIVE, event, packed
from stream.gateway.views import Gap

EVENTS = [
    event("batch", b'{"at_ms":1}' * 500, "a-1"),
    KEEP_ALIVE,
    event("gap", Gap(reason="slow")),
    event("batch", b'{"at_ms":2}' * 500, "a-2"),
]


def test_each_event_is_readable_at_once_whatever_came_before() -> None:
    for begun_at in range(len(EVENTS)):
        reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
        assert reader.decompress(GZIP) == b""
        for text in EVENTS[begun_at:]:
            assert reader.decompress(packed(text)) == text


def test_an_event_is_packed_once_and_is_smaller() -> None:
    assert packed(EVENTS[0]) is packed(EVENTS[0])
    assert len(packed(EVENTS[0])) < len(EVENTS[0]) / 7
