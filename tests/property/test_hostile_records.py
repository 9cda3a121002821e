"""Every record, however malformed, either becomes a chunk or raises `BadRecordError`."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from stream.domain.chunk import Chunk
from stream.domain.kafka_records import BadRecordError, chunk_headers, decode_text, parse_chunk, parse_session
from stream.domain.media_format import MAX_SESSION_MS
from stream.domain.modality import Modality
from stream.domain.session_events import KeyedSessionEvent
from tests.fakes.chunks import header

HEADERS = dict(chunk_headers(header(3)))
NAMES = st.sampled_from(sorted(HEADERS))
TYPES = st.text(st.sampled_from("audio/gL16;= \"\\codes,pus*'\t"), max_size=60).map(str.encode)
TIMES = st.text(st.sampled_from("0123456789-:.TtZz+ "), max_size=40).map(str.encode)
VALUES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"NaN", b"1e9", b"-0", "٣".encode(), b"9" * 400, b"\x00", b"1.5", b"2016-12-31T23:59:60Z", b"9999-12-31T23:59:60Z"]),
    TYPES,
    TIMES,
)
WORD = st.dictionaries(
    st.sampled_from(["text", "start_ms", "end_ms", "confidence", "speaker", "other"]),
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5), st.just("1")),
)


@given(
    key=st.one_of(st.none(), st.just(b"acme/call-1"), st.binary(max_size=20)),
    value=st.one_of(st.none(), st.binary(max_size=20)),
    changes=st.dictionaries(NAMES, VALUES, max_size=3),
    removed=st.sets(NAMES, max_size=2),
    repeated=st.lists(st.tuples(NAMES.map(str.title), VALUES), max_size=2),
    modality=st.sampled_from(list(Modality)),
)
def test_any_record_is_a_chunk_or_a_bad_record(
    key: bytes | None,
    value: bytes | None,
    changes: dict[str, bytes],
    removed: set[str],
    repeated: list[tuple[str, bytes]],
    modality: Modality,
) -> None:
    headers = [(name, v) for name, v in (HEADERS | changes).items() if name not in removed] + repeated
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


@given(st.lists(WORD, max_size=3))
def test_any_json_is_words_with_times_in_a_session_or_a_bad_record(words: list[dict[str, object]]) -> None:
    try:
        decoded = decode_text(json.dumps({"words": words}).encode())
    except BadRecordError as error:
        assert error.reason == "bad_words"
    else:
        assert all(0 <= w.start_ms <= w.end_ms <= MAX_SESSION_MS and w.end_ms and 0 <= w.confidence <= 1 for w in decoded.words)


@given(value=st.binary(max_size=200), key=st.binary(max_size=20))
def test_any_bytes_are_a_session_event_or_a_bad_record(value: bytes, key: bytes) -> None:
    try:
        assert isinstance(parse_session(key, value, list(HEADERS.items())), KeyedSessionEvent)
    except BadRecordError as error:
        assert error.reason
