"""Every record, however malformed, either becomes a chunk or raises `BadRecordError`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream.domain.chunk import Chunk
from stream.domain.kafka_records import BadRecordError, chunk_headers, decode_text, parse_chunk, parse_session
from stream.domain.modality import Modality
from stream.domain.session_events import KeyedSessionEvent
from tests.fakes.chunks import header

HEADERS = dict(chunk_headers(header(3)))
NAMES = st.sampled_from(sorted(HEADERS))
VALUES = st.one_of(st.binary(max_size=40), st.sampled_from([b"NaN", b"1e9", b"-0", "٣".encode(), b"9" * 400, b"\x00"]))


@given(
    key=st.one_of(st.none(), st.just(b"acme/call-1"), st.binary(max_size=20)),
    value=st.one_of(st.none(), st.binary(max_size=20)),
    changes=st.dictionaries(NAMES, VALUES, max_size=3),
    removed=st.sets(NAMES, max_size=2),
    modality=st.sampled_from(list(Modality)),
)
def test_any_record_is_a_chunk_or_a_bad_record(
    key: bytes | None, value: bytes | None, changes: dict[str, bytes], removed: set[str], modality: Modality
) -> None:
    headers = [(name, v) for name, v in (HEADERS | changes).items() if name not in removed]
    try:
        assert isinstance(parse_chunk(key, value, headers, modality), Chunk)
    except BadRecordError as error:
        assert error.reason


@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(str.encode)))
def test_any_bytes_are_words_or_a_bad_record(payload: bytes) -> None:
    try:
        assert isinstance(decode_text(payload).words, tuple)
    except BadRecordError as error:
        assert error.reason == "bad_words"


@given(value=st.binary(max_size=200), key=st.binary(max_size=20))
def test_any_bytes_are_a_session_event_or_a_bad_record(value: bytes, key: bytes) -> None:
    try:
        assert isinstance(parse_session(key, value, list(HEADERS.items())), KeyedSessionEvent)
    except BadRecordError as error:
        assert error.reason
