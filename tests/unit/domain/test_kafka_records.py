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
        b"[" * 50_000,
    ],
)
def test_bad_session_events_are_refused(value: bytes) -> None:
    key, _, headers = session_record(KeyedSessionEvent(SessionKey("acme", "call-1"), SessionHeartbeat(0, 0)), "test", 0)
    with pytest.raises(BadRecordError) as error:
        parse_session(key, value, headers)
    assert error.value.reason == "bad_event"
