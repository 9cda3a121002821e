"""Dead letters say what a client has done with a record, and quote nothing of it."""

from __future__ import annotations

import base64
import json

import pytest

from stream.domain.odd_records import odd_record, similar_header

KEY = b"acme/call-1"
HEADERS = [("ce_tenant", b"acme"), ("ce_subject", b"call-1"), ("ce_schemaversion", b"1.0"), ("ce_type", b"io.sentistream.chunk.text")]
SOUND = bytes(range(1, 256)) * 40
WORDS = json.dumps({"words": [{"text": "secretword", "start_ms": 0, "end_ms": 100}]}).encode()


def _code(reason: str, *, key: bytes | None = KEY, value: bytes | None = WORDS, headers: object = HEADERS, detail: str = "") -> str | None:
    odd = odd_record(reason, detail, key, value, headers, is_event=False)  # type: ignore[arg-type]
    assert "secretword" not in repr(odd)
    return odd.code if odd is not None else None


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "no_key"),
        (b"", "no_key"),
        (b'"acme/call-1"', "quoted_key"),
        (b"acme/call-1\n", "padded_key"),
        (b"\0\0\0\0\7acme/call-1", "schema_registry_key"),
        (b'{"schema":{"type":"string"},"payload":"acme/call-1"}', "json_key"),
        (b"call-1", "key_without_tenant"),
        ("acme/call-1".encode("utf-16"), "utf_16_key"),
        (b"acme/call-2", None),
    ],
)
def test_keys(key: bytes | None, code: str | None) -> None:
    assert _code("key_mismatch", key=key) == code


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"\0\0\0\0\7" + WORDS, "schema_registry"),
        (WORDS.decode().encode("utf-16"), "utf_16"),
        (b"\x1f\x8b\x08" + WORDS, "gzip"),
        (json.dumps(WORDS.decode()).encode(), "quoted_json"),
        (json.dumps({"type": "Buffer", "data": [*WORDS]}).encode(), "node_buffer"),
        (base64.b64encode(WORDS), "base64"),
        (b'{"words": 3}', None),
    ],
)
def test_values_that_should_be_json(value: bytes, code: str | None) -> None:
    assert _code("bad_words", value=value) == code


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (base64.b64encode(SOUND), "base64"),
        (b"data:audio/ogg;base64," + base64.b64encode(SOUND), "base64"),
        (SOUND.decode("utf-8", "replace").encode(), "bytes_as_text"),
        (",".join(map(str, SOUND)).encode(), "numbers_as_text"),
        (json.dumps({"type": "Buffer", "data": [*SOUND]}).encode(), "node_buffer"),
        (SOUND, None),
        (bytes(32_000), None),
    ],
)
@pytest.mark.parametrize("reason", ["too_long", "odd_bytes", "bad_media", "wrong_type"])
def test_values_that_should_be_media(value: bytes, code: str | None, reason: str) -> None:
    assert _code(reason, value=value) == code


def test_structured_mode() -> None:
    event = json.dumps({"specversion": "1.0", "data": "secretword"}).encode()
    assert (
        _code("missing_header", value=event, headers=[("content-type", b"application/cloudevents+json; charset=UTF-8")])
        == "structured_mode"
    )
    assert _code("missing_header", value=event, headers=[]) == "structured_mode"


def test_names_of_headers() -> None:
    dashed = odd_record("missing_header", "", KEY, WORDS, [(name.replace("_", "-"), value) for name, value in HEADERS], is_event=True)
    assert dashed is not None
    assert dashed.fix == "in Kafka the headers of a CloudEvent begin with ce_"
    misspelt = odd_record("missing_header", "", KEY, WORDS, [*HEADERS[:3], ("ce_tpye", b"x")], is_event=True)
    assert misspelt is not None
    assert misspelt.text == "headers have another name: ce_tpye instead of ce_type"
    assert _code("missing_header", headers=HEADERS[:3]) == "missing_header"
    assert similar_header("ce_subject", ["\x1b[31mce_subject", "ce_subject" + "!" * 90]) is None


def test_values_of_headers() -> None:
    assert _code("unsupported_version", detail="ce_schemaversion is not 1.x", headers=[("ce_schemaversion", b'"1.0"')]) == "quoted_header"
    assert _code("bad_header", detail="ce_sequence is not a number", headers=[("ce_sequence", b"\0\0\0\7")]) == "binary_header"
    assert _code("bad_header", detail="ce_sequence is not a number", headers=[("ce_sequence", b"seven")]) is None
    assert _code("empty", value=None) == "empty"
    assert _code("conflict") is None


def test_samples_with_the_header_of_a_schema_registry() -> None:
    headers = [*HEADERS, ("ce_mediaduration", b"100")]
    assert _code("too_long", value=b"\0\0\0\0\7" + bytes(3200), headers=headers) == "schema_registry"
    assert _code("odd_bytes", value=b"\0\0\0\0\7" + bytes(3200), headers=headers) == "schema_registry"
    assert _code("too_long", value=bytes(6400), headers=headers) is None
    assert _code("too_long", value=b"\0\0\0\0\7" + bytes(3200)) is None
