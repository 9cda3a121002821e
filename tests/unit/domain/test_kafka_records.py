from __future__ import annotations

import pytest

from stream.domain.features import TextFeatures, Word
from stream.domain.identity import SessionKey
from stream.domain.kafka_records import BadRecordError, chunk_headers, decode_text, encode_words, parse_chunk, parse_session, session_record
from stream.domain.media_format import MAX_CHUNK_BYTES
from stream.domain.modality import Modality
from stream.domain.session_events import KeyedSessionEvent, SessionEnd, SessionEvent, SessionHeartbeat, SessionStart, TrackEnd, TrackPlan
from tests.fakes.chunks import header

KEY = b"acme/call-1"


def test_a_chunk_survives_the_round_trip_through_its_headers() -> None:
    sent = header(7, Modality.AUDIO)
    chunk = parse_chunk(KEY, b"\x00\x01", chunk_headers(sent), Modality.AUDIO)
    assert chunk.header == sent
    assert chunk.payload == b"\x00\x01"


def test_unknown_headers_and_minor_versions_are_accepted() -> None:
    headers = [(n, b"1.9" if n == "ce_schemaversion" else v) for n, v in chunk_headers(header(0))] + [("x-other", b"\xff")]
    assert parse_chunk(KEY, b"{}", headers, Modality.TEXT).header.seq == 0


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("ce_schemaversion", b"2.0", "unsupported_version"),
        ("ce_schemaversion", None, "missing_header"),
        ("ce_type", b"io.sentistream.chunk.audio", "wrong_type"),
        ("content-type", b"image/jpeg", "wrong_content_type"),
        ("ce_subject", b"call:1*", "bad_header"),
        ("ce_subject", b"call-2", "key_mismatch"),
        ("ce_subject", b"../../etc", "bad_header"),
        ("ce_subject", "cáll".encode(), "bad_header"),
        ("ce_tenant", b"a" * 65, "bad_header"),
        ("ce_track", b"a\nb", "bad_header"),
        ("ce_role", b"", "bad_header"),
        ("ce_sequence", b"-1", "bad_header"),
        ("ce_sequence", b"NaN", "bad_header"),
        ("ce_sequence", b"9" * 30, "bad_header"),
        ("ce_mediaduration", b"0", "bad_header"),
        ("ce_mediaduration", b"1001", "bad_header"),
        ("ce_mediastart", b"999999999999", "bad_header"),
        ("ce_time", b"yesterday", "bad_header"),
        ("ce_time", b"2026-01-01T00:00:00", "bad_header"),
        ("ce_id", b"", "bad_header"),
        ("ce_id", None, "missing_header"),
    ],
)
def test_a_bad_header_is_named_and_never_quoted(name: str, value: bytes | None, reason: str) -> None:
    headers = [(n, v) for n, v in chunk_headers(header(0)) if n != name] + ([] if value is None else [(name, value)])
    with pytest.raises(BadRecordError) as error:
        parse_chunk(KEY, b"{}", headers, Modality.TEXT)
    assert error.value.reason == reason
    if value and len(value) > 4:
        assert value.decode() not in str(error.value)


@pytest.mark.parametrize(
    ("text", "unix_ms"),
    [
        ("2026-11-22T10:00:43.000+00:00", 1_795_341_643_000),
        ("2026-11-22T10:00:43Z", 1_795_341_643_000),
        ("2026-11-22t10:00:43z", 1_795_341_643_000),
        ("2026-11-22 10:00:43.5Z", 1_795_341_643_500),
        ("2026-11-22T10:00Z", 1_795_341_600_000),
        ("2026-11-22T11:00+01:00", 1_795_341_600_000),
        ("2026-11-22T10:00:43.123456789Z", 1_795_341_643_123),
        ("2026-11-22T10:00:43.9996Z", 1_795_341_644_000),
        ("2026-11-22T15:30:43+05:30", 1_795_341_643_000),
        ("2026-11-22T10:00:43-00:00", 1_795_341_643_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("2016-12-31T23:59:60.250Z", 1_483_228_800_250),
        ("2016-12-31t18:59:60-05:00", 1_483_228_800_000),
    ],
)
def test_every_legal_form_of_a_time_is_taken(text: str, unix_ms: int) -> None:
    headers = [(n, text.encode() if n == "ce_time" else v) for n, v in chunk_headers(header(0))]
    assert parse_chunk(KEY, b"{}", headers, Modality.TEXT).header.captured_ms == unix_ms


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-11-22T10:00:43", "ce_time has no offset from UTC"),
        ("2026-11-22 10:00:43.120", "ce_time has no offset from UTC"),
        ("1795341643000", "ce_time is not an RFC 3339 time"),
        ("2026-11-22", "ce_time is not an RFC 3339 time"),
        ("2026-02-30T10:00:43Z", "ce_time is not an RFC 3339 time"),
        ("Sun, 22 Nov 2026 10:00:43 GMT", "ce_time is not an RFC 3339 time"),
        ("0001-01-01T00:00:00+14:00", "ce_time"),
        ("1969-12-31T23:59:59Z", "ce_time is before 1970"),
        ("9999-12-31T23:59:59.999Z", "ce_time is in the year 9999"),
        ("9999-12-31T23:59:60Z", "ce_time is in the year 9999"),
    ],
)
def test_a_time_that_names_no_moment_is_refused_with_what_to_do(text: str, said: str) -> None:
    headers = [(n, text.encode() if n == "ce_time" else v) for n, v in chunk_headers(header(0))]
    with pytest.raises(BadRecordError, match=said) as error:
        parse_chunk(KEY, b"{}", headers, Modality.TEXT)
    assert error.value.reason == "bad_header"
    event = session_record(KeyedSessionEvent(SessionKey("acme", "call-1"), SessionHeartbeat(0, 0)), "test", 0)
    with pytest.raises(BadRecordError, match=said):
        parse_session(*event[:2], [(n, text.encode() if n == "ce_time" else v) for n, v in event[2]])


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("ce_mediastart", "3000.0", "start_ms", 3000),
        ("ce_mediastart", "3000.4", "start_ms", 3000),
        ("ce_mediastart", "3e3", "start_ms", 3000),
        ("ce_mediaduration", "999.6", "duration_ms", 1000),
        ("ce_sequence", "42.0", "seq", 42),
        ("ce_sequence", " 42 ", "seq", 42),
        ("ce_epoch", "1.0", "epoch", 1),
        ("ce_traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "traceparent", None),
        ("ce_traceparent", "not a trace", "traceparent", None),
        ("ce_traceparent", "träce", "traceparent", None),
    ],
)
def test_numbers_may_have_a_fraction_and_a_malformed_trace_is_ignored(name: str, text: str, field: str, value: int | None) -> None:
    headers = [(n, v) for n, v in chunk_headers(header(0)) if n != name] + [(name, text.encode())]
    found = getattr(parse_chunk(KEY, b"{}", headers, Modality.TEXT).header, field)
    assert found == (text if text.startswith("00-") else value)


@pytest.mark.parametrize("text", ["", "1_000", "0x10", "inf", "nan", "12 34", "1,5", "٣", "-1", "9" * 40])
@pytest.mark.parametrize("name", ["ce_sequence", "ce_epoch", "ce_mediastart", "ce_mediaduration"])
def test_what_is_no_number_is_refused_by_the_name_of_its_header(name: str, text: str) -> None:
    headers = [(n, text.encode() if n == name else v) for n, v in chunk_headers(header(0))]
    with pytest.raises(BadRecordError, match=name) as error:
        parse_chunk(KEY, b"{}", headers, Modality.TEXT)
    assert error.value.reason == "bad_header"


@pytest.mark.parametrize("name", sorted({name for name, _ in chunk_headers(header(0))} - {"ce_specversion"}))
def test_headers_may_be_in_any_case_and_repeated_but_not_with_another_value(name: str) -> None:
    headers = chunk_headers(header(3))
    capitals = [(n.upper(), v) for n, v in headers]
    assert parse_chunk(KEY, b"{}", [*capitals, *headers], Modality.TEXT).header == header(3)
    with pytest.raises(BadRecordError, match=f"{name} is there twice") as error:
        parse_chunk(KEY, b"{}", [*headers, (name.title(), b"other")], Modality.TEXT)
    assert error.value.reason == "bad_header"


@pytest.mark.parametrize(
    ("name", "value"),
    [("ce_id", b""), ("ce_source", b""), ("ce_track", b"a b"), ("ce_role", b"-"), ("ce_tenant", b"."), ("ce_subject", b"#")],
)
def test_a_refused_name_is_called_as_its_header_is(name: str, value: bytes) -> None:
    headers = [(n, value if n == name else v) for n, v in chunk_headers(header(0))]
    with pytest.raises(BadRecordError, match=name):
        parse_chunk(KEY, b"{}", headers, Modality.TEXT)


@pytest.mark.parametrize(("value", "reason"), [(None, "empty"), (b"", "empty"), (b"x" * (MAX_CHUNK_BYTES + 1), "too_large")])
def test_an_empty_or_oversized_value_is_refused(value: bytes | None, reason: str) -> None:
    with pytest.raises(BadRecordError) as error:
        parse_chunk(KEY, value, chunk_headers(header(0)), Modality.TEXT)
    assert error.value.reason == reason


@pytest.mark.parametrize("key", [None, b"", b"acme/call-2", b"acme/call-1 ", b"\xff"])
def test_a_key_that_differs_from_the_session_is_refused(key: bytes | None) -> None:
    with pytest.raises(BadRecordError) as error:
        parse_chunk(key, b"{}", chunk_headers(header(0)), Modality.TEXT)
    assert error.value.reason == "key_mismatch"


def test_words_survive_the_round_trip() -> None:
    words = (Word("Grüß", 0, 300, 0.5, "Ann"), Word("dich", 300, 900))
    assert decode_text(encode_words(words)).words == words
    assert decode_text(b'{"words": []}') == TextFeatures(())
    assert not decode_text(encode_words(words)).ends_utterance
    assert decode_text(encode_words(words, final=True)).ends_utterance


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ('"start_ms": 100.0, "end_ms": 300.0', Word("yes", 100, 300)),
        ('"start_ms": 99.6, "end_ms": 300.4', Word("yes", 100, 300)),
        ('"start_ms": "100", "end_ms": "300.0"', Word("yes", 100, 300)),
        ('"start_ms": 1e2, "end_ms": 3E2', Word("yes", 100, 300)),
        ('"start_ms": 100, "end_ms": 300, "confidence": null, "speaker": null', Word("yes", 100, 300)),
        ('"start_ms": 100, "end_ms": 300, "confidence": "0.5", "speaker": " An\\u200bn "', Word("yes", 100, 300, 0.5, "Ann")),
        ('"start_ms": 100, "end_ms": 300, "confidence": 1, "speaker": ""', Word("yes", 100, 300)),
        ('"start_ms": 100, "end_ms": 300, "punctuated_word": "Yes.", "nested": {"a": [1]}', Word("yes", 100, 300)),
        ('"start_ms": 0, "end_ms": 0', Word("yes", 0, 1)),
    ],
)
def test_words_as_other_languages_write_them_are_taken(word: str, expected: Word) -> None:
    payload = f'{{"words": [{{"text": "yes", {word}}}], "final": true, "channel": 0}}'
    assert decode_text(payload.encode()) == TextFeatures((expected,), ends_utterance=True)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ('{"text": "secretword", "start_ms": null, "end_ms": 1}', r"words\[0\].start_ms"),
        ('{"text": "secretword", "start_ms": 0}', "end_ms"),
        ('{"text": "secretword", "start_ms": "secretword", "end_ms": 1}', r"words\[0\].start_ms"),
        ('{"text": "secretword", "start_ms": "nan", "end_ms": 1}', r"words\[0\]"),
        ('{"text": "secretword", "start_ms": 0, "end_ms": 1e300}', r"words\[0\]"),
        ('{"text": "a", "start_ms": 0, "end_ms": 1}, {"text": "secretword", "start_ms": 5, "end_ms": 1}', r"words\[1\].end_ms"),
        ('{"text": "secretword", "start_ms": 0, "end_ms": 1, "confidence": 98}', r"words\[0\].confidence"),
        ('{"text": "secretword", "start_ms": 0, "end_ms": 1, "confidence": "high"}', r"words\[0\].confidence"),
        ('{"text": ["secretword"], "start_ms": 0, "end_ms": 1}', r"words\[0\].text"),
        ('{"text": "a", "start_ms": 0, "end_ms": 1, "speaker": "' + "secretword" * 10 + '"}', r"words\[0\].speaker"),
        ('{"text": "a", "start_ms": 0, "end_ms": 1, "speaker": {"name": "secretword"}}', r"words\[0\].speaker"),
        ('"secretword"', r"words\[0\]"),
    ],
)
def test_a_refused_word_is_named_by_its_field(words: str, named: str) -> None:
    with pytest.raises(BadRecordError, match=named) as error:
        decode_text(f'{{"words": [{words}]}}'.encode())
    assert error.value.reason == "bad_words"
    assert "secretword" not in str(error.value)


@pytest.mark.parametrize(
    "payload",
    [
        b"secretword",
        b"\xff\xfe",
        b"{}",
        b'{"words": [{"text": "secretword"}]}',
        b'{"words": [{"text": "", "start_ms": 0, "end_ms": 1}]}',
        b'{"words": [{"text": "secretword", "start_ms": 5, "end_ms": 1}]}',
        b'{"words": [{"text": "secretword", "start_ms": -5, "end_ms": 1}]}',
        b'{"words": [{"text": "secretword", "start_ms": 0, "end_ms": 1, "confidence": 7}]}',
        b'{"words": [{"text": "secretword", "start_ms": NaN, "end_ms": 1}]}',
        b'{"words": [{"text": "' + b"s" * 200 + b'", "start_ms": 0, "end_ms": 1}]}',
        b"[" * 100_000,
        encode_words([Word("a", 0, 1)] * 300),
    ],
)
def test_bad_words_are_refused_without_being_quoted(payload: bytes) -> None:
    with pytest.raises(BadRecordError) as error:
        decode_text(payload)
    assert error.value.reason == "bad_words"
    assert "secretword" not in str(error.value)


def test_control_characters_are_removed_from_words() -> None:
    payload = encode_words([Word("he\x1b[31mllo\u202e\u200b", 0, 1)])
    assert decode_text(payload).words[0].text == "he[31mllo"


@pytest.mark.parametrize(
    "event",
    [
        SessionStart(0, (TrackPlan("customer", "customer", (Modality.TEXT, Modality.VIDEO)),)),
        SessionHeartbeat(1, 500),
        SessionEnd(0, 61_500, (TrackEnd("customer", {Modality.TEXT: 62}),)),
    ],
)
def test_session_events_survive_the_round_trip(event: SessionEvent) -> None:
    keyed = KeyedSessionEvent(SessionKey("acme", "call-1"), event, at_ms=1_700_000_000_123)
    assert parse_session(*session_record(keyed, "test", 1_700_000_000_123)) == keyed


@pytest.mark.parametrize(
    "value",
    [
        b"{}",
        b'{"event": "start", "epoch": 0, "tracks": []}',
        b'{"event": "start", "epoch": 0, "tracks": [{"track": "../x", "role": "a", "modalities": []}]}',
        b'{"event": "start", "epoch": 0, "tracks": [{"track": "x", "role": "a", "modalities": ["smell"]}]}',
        b'{"event": "stop", "epoch": 0}',
        b'{"event": "heartbeat", "epoch": -1, "media_ms": 0}',
        b'{"event": "heartbeat", "epoch": 99999999999999999999, "media_ms": 0}',
        b'{"event": "heartbeat", "epoch": 0, "media_ms": -5}',
        b'{"event": "end", "epoch": 0, "media_ms": 1000, "tracks": [{"track": "x", "chunks": {"text": -1}}]}',
        b'{"event": "end", "epoch": 0, "media_ms": 1000, "tracks": ['
        + b'{"track": "x", "chunks": {}},' * 32
        + b'{"track": "x", "chunks": {}}]}',
        b"[" * 50_000,
    ],
)
def test_bad_session_events_are_refused(value: bytes) -> None:
    key, _, headers = session_record(KeyedSessionEvent(SessionKey("acme", "call-1"), SessionHeartbeat(0, 0)), "test", 0)
    with pytest.raises(BadRecordError) as error:
        parse_session(key, value, headers)
    assert error.value.reason == "bad_event"
    assert not {"smell", "stop", "../x", "99999"} & set(str(error.value).replace("'", " ").split())


def test_numbers_of_session_events_may_be_strings_or_have_a_fraction() -> None:
    key, _, headers = session_record(KeyedSessionEvent(SessionKey("acme", "call-1"), SessionHeartbeat(0, 0)), "test", 0)
    assert parse_session(key, b'{"event": "heartbeat", "epoch": "1", "media_ms": 500.0, "more": 1}', headers).event == SessionHeartbeat(
        1, 500
    )


def test_a_refused_session_event_names_its_field() -> None:
    key, _, headers = session_record(KeyedSessionEvent(SessionKey("acme", "call-1"), SessionHeartbeat(0, 0)), "test", 0)
    with pytest.raises(BadRecordError, match="media_ms"):
        parse_session(key, b'{"event": "heartbeat", "epoch": 0, "media_ms": 500.5}', headers)


def test_a_byte_order_mark_before_json_is_ignored() -> None:
    event = KeyedSessionEvent(SessionKey("acme", "call-1"), SessionHeartbeat(0, 1000))
    key, value, headers = session_record(event, "test", 1000)
    assert parse_session(key, b"\xef\xbb\xbf" + value, headers).event == event.event
    assert decode_text(b'\xef\xbb\xbf{"words": []}').words == ()


def test_a_session_event_is_smaller_than_a_chunk_may_be() -> None:
    key, _, headers = session_record(KeyedSessionEvent(SessionKey("acme", "call-1"), SessionHeartbeat(0, 0)), "test", 0)
    value = b'{"event": "heartbeat", "epoch": 0, "media_ms": 0, "more": "' + b"x" * 70_000 + b'"}'
    with pytest.raises(BadRecordError, match="larger than 65536 bytes") as error:
        parse_session(key, value, headers)
    assert error.value.reason == "too_large"
