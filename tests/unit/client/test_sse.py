"""Server-sent events, however their bytes are cut into pieces."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.client import sse
from stream.client.errors import GatewayError
from stream.client.sse import Event, EventParser

STREAM = (
    b"\xef\xbb\xbf: comment\n\nretry: 250\n\nevent: hello\nid: 1-0\ndata: {}\n\n"
    b"event: batch\r\ndata: {\r\ndata:  1}\r\nid: 2-0\r\n\r\ndata\rdata: x\r\rid: 3\0\nunknown: field\ndata: last\n\n"
    b"event: unfinished\ndata: never"
)
EVENTS = [Event("hello", b"{}", "1-0"), Event("batch", b"{\n 1}", "2-0"), Event("message", b"\nx", "2-0"), Event("message", b"last", "2-0")]


def parse(*pieces: bytes) -> list[Event]:
    parser = EventParser()
    return [event for piece in pieces for event in parser.feed(piece)]


def test_a_stream_in_one_piece() -> None:
    parser = EventParser()
    assert list(parser.feed(STREAM)) == EVENTS
    assert parser.retry_ms == 250


@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_the_pieces_do_not_matter(cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(STREAM)]
    assert parse(*(STREAM[start:end] for start, end in pairwise(ends))) == EVENTS


def test_byte_by_byte() -> None:
    assert parse(*(bytes([byte]) for byte in STREAM)) == EVENTS


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_any_bytes_are_taken(pieces: list[bytes]) -> None:
    assert [event.data for event in parse(*pieces)] == [event.data for event in parse(b"".join(pieces))]


@pytest.mark.parametrize("piece", [b"data: " + b"x" * 100, b"data: x\n" * 100, b"x" * 120])
def test_an_event_without_an_end_is_refused(piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LARGEST_EVENT", 99)
    with pytest.raises(GatewayError, match="is this address a gateway"):
        parse(piece)


def test_a_long_event_takes_time_that_grows_with_its_length_alone() -> None:
    parser = EventParser()
    assert list(parser.feed(b"data: ")) == []
    for _ in range(2000):
        assert list(parser.feed(b"x" * 1000)) == []
    assert [len(event.data) for event in parser.feed(b"\n\n")] == [2_000_000]


def test_a_retry_that_is_no_number_is_ignored() -> None:
    parser = EventParser()
    assert list(parser.feed(b"retry: soon\nretry: 99999999999\n\n")) == []
    assert parser.retry_ms is None
