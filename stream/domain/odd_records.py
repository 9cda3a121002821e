"""Recognises records that other clients have wrapped, encoded or named in their own way: for dead letters and `check-producer`.

What is said about them quotes no content. Names of headers are quoted only if they are nearly those that were expected.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from stream.domain.kafka_records import HEADER_NAMES
from stream.domain.media_format import SAMPLE_RATE

CHUNK_HEADERS = tuple(sorted(HEADER_NAMES))
EVENT_HEADERS = ("ce_type", "ce_subject", "ce_tenant", "ce_schemaversion")
"""The headers without which a record cannot be read."""

LOOKED_AT = 4096
"""Bytes at the beginning of a value that are looked at."""

MAGIC_BYTES = 5
"""Serialisers of a schema registry put a zero byte and the number of the schema (4 bytes) before the content."""

LONGEST_DURATION = 4
"""Digits of the longest duration of a chunk in milliseconds."""

LONGEST_NAME = 40
"""A longer name of a header is none of ours that is misspelt."""

_BASE64 = re.compile(rb"[A-Za-z0-9+/\-_\s]{64,}={0,2}\s*")
_NUMBERS = re.compile(rb"\[?[\d,\s.-]{64,}\]?")
_REPLACEMENT = "\ufffd".encode()


@dataclass(frozen=True, slots=True)
class Oddity:
    """What a client has done with a record.

    Attributes:
        code: A short name.
        text: What was done, in a sentence.
        fix: What to do instead.
    """

    code: str
    text: str
    fix: str


SCHEMA_REGISTRY = Oddity(
    "schema_registry",
    "the value begins with the header of a schema registry (a zero byte and the number of a schema)",
    "send plain bytes, with a ByteArraySerializer: values are no Avro, Protobuf or JSON Schema records here",
)
STRUCTURED = Oddity(
    "structured_mode",
    "the CloudEvent is in structured mode: the whole event is JSON in the value",
    "use the binary mode of the CloudEvents library (to_binary, Encoding.BINARY, ContentMode.Binary)",
)


def odd_record(
    reason: str, detail: str, key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes | None]], *, is_event: bool
) -> Oddity | None:
    """Why a record cannot be used, more precisely than its reason; None if it is none of the known oddities.

    Args:
        reason: Reason of its dead letter.
        detail: Detail of its dead letter.
        key: Its key.
        value: Its value.
        headers: Its headers.
        is_event: It is a session event and not a chunk.
    """
    attributes = {name.lower(): given for name, given in headers if given is not None}
    payload, odd = value or b"", None
    match reason:
        case "empty" if value is None:
            odd = Oddity("empty", "the record has no value (a tombstone)", "send a value with every record")
        case "missing_header" if is_structured(payload, attributes):
            odd = STRUCTURED
        case "missing_header":
            odd = _missing_headers(attributes, EVENT_HEADERS if is_event else CHUNK_HEADERS)
        case "key_mismatch":
            odd = _odd_key(key, attributes)
        case "bad_header" | "unsupported_version" | "wrong_content_type" | "wrong_type":
            odd = _odd_header(detail, attributes) or odd_media(payload)
        case "bad_words" | "bad_event":
            odd = odd_json(payload)
        case "odd_bytes" | "too_long":
            odd = odd_samples(payload, attributes.get("ce_mediaduration", b""))
        case "bad_media":
            odd = odd_media(payload)
    return odd


def is_structured(value: bytes, attributes: Mapping[str, bytes]) -> bool:
    """Whether a record is a CloudEvent in structured mode."""
    content_type = attributes.get("content-type", b"").lower()
    return content_type.startswith(b"application/cloudevents") or (value.lstrip()[:1] == b"{" and b'"specversion"' in value[:LOOKED_AT])


def odd_json(value: bytes) -> Oddity | None:
    """What a value is instead of JSON; None if it is none of the known oddities."""
    return _first(value, _ODD_JSON) or odd_media(value)


def odd_media(value: bytes) -> Oddity | None:
    """What a value is instead of media; None if it is none of the known oddities."""
    return _first(value, _ODD_MEDIA)


def odd_samples(value: bytes, duration_ms: bytes) -> Oddity | None:
    """What a value is instead of raw samples of a duration (decimal digits); None if it is none of the known oddities."""
    wanted = int(duration_ms) * SAMPLE_RATE // 1000 * 2 if duration_ms.isdigit() and len(duration_ms) <= LONGEST_DURATION else len(value)
    if value[:2] == b"\0\0" and MAGIC_BYTES <= len(value) - wanted <= 2 * MAGIC_BYTES:
        return SCHEMA_REGISTRY
    return odd_media(value)


def similar_header(wanted: str, names: Iterable[str]) -> str | None:
    """The header that was probably meant to be ``wanted``: written with other signs or case, without the prefix, or misspelt."""
    plain = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in names if name.isprintable() and len(name) <= LONGEST_NAME}
    target = re.sub(r"[^a-z0-9]", "", wanted)
    for candidate in (target, target.removeprefix("ce")):
        if candidate in plain:
            return plain[candidate]
    close = get_close_matches(target, plain, n=1, cutoff=0.8)
    return plain[close[0]] if close else None


def _first(value: bytes, oddities: Iterable[tuple[Callable[[bytes], object], Oddity]]) -> Oddity | None:
    start = value[:LOOKED_AT]
    return next((oddity for looks_like, oddity in oddities if looks_like(start)), None)


_ODD_JSON: tuple[tuple[Callable[[bytes], object], Oddity], ...] = (
    (
        lambda start: start.startswith((b"\xff\xfe", b"\xfe\xff", b"{\0", b"\0{")),
        Oddity("utf_16", "the JSON is in UTF-16", "send it in UTF-8"),
    ),
    (
        lambda start: start[:2] == b"\0\0" and len(start) > MAGIC_BYTES,
        SCHEMA_REGISTRY,
    ),
    (
        lambda start: start[:2] == b"\x1f\x8b",
        Oddity("gzip", "the value is compressed with gzip", "send it as it is, and set compression.type of the producer instead"),
    ),
    (
        lambda start: start.lstrip()[:1] == b'"',
        Oddity("quoted_json", "the value is JSON within a JSON string", "serialise it once: pass bytes, not a string that is JSON"),
    ),
)
_ODD_MEDIA: tuple[tuple[Callable[[bytes], object], Oddity], ...] = (
    (
        re.compile(rb'\s*\{\s*"type"\s*:\s*"Buffer"\s*,\s*"data"\s*:').match,
        Oddity("node_buffer", "the value is a Node.js Buffer that was turned into JSON", "pass the Buffer itself as the value"),
    ),
    (
        _NUMBERS.fullmatch,
        Oddity(
            "numbers_as_text", "the value is a list of numbers, written as text", "send the bytes themselves: Buffer.from(array.buffer)"
        ),
    ),
    (
        lambda start: start[:5] == b"data:" or _BASE64.fullmatch(start),
        Oddity("base64", "the value is base64", "send the bytes themselves; nothing is encoded as base64"),
    ),
    (
        lambda start: start.count(_REPLACEMENT) * 50 > len(start),
        Oddity(
            "bytes_as_text",
            "bytes were turned into text, which has destroyed many of them",
            "send bytes (a Buffer, byte[]), never a string",
        ),
    ),
)
"""How values look that were wrapped or encoded once more, by their beginning."""


def _missing_headers(attributes: Mapping[str, bytes], wanted: tuple[str, ...]) -> Oddity | None:
    missing = [name for name in wanted if name not in attributes]
    others = [name for name in attributes if name not in wanted]
    similar = {name: found for name in missing if (found := similar_header(name, others)) is not None}
    if any(found.startswith("ce-") for found in similar.values()):
        text = "names of headers begin with ce-, which belongs to HTTP"
        return Oddity("misspelt_header", text, "in Kafka the headers of a CloudEvent begin with ce_")
    if similar:
        text = "headers have another name: " + ", ".join(f"{found} instead of {name}" for name, found in similar.items())
        return Oddity("misspelt_header", text, "name them exactly as docs/records.md lists them")
    if len(missing) == 1:
        return None
    return Oddity("missing_header", "headers are missing: " + ", ".join(missing), "docs/records.md lists all headers")


def _odd_key(key: bytes | None, attributes: Mapping[str, bytes]) -> Oddity | None:
    session = attributes.get("ce_subject", b"")
    wanted, fix = attributes.get("ce_tenant", b"") + b"/" + session, "the key of every record is its ce_tenant/ce_subject, as plain bytes"
    given = key or b""
    oddities = (
        (key is None, Oddity("no_key", "the record has no key: it goes to any partition", fix)),
        (not given, Oddity("no_key", "the key is empty", fix)),
        (given.strip(b"\"'") == wanted, Oddity("quoted_key", "the key is in quotes", "send keys as plain bytes, with no JSON serialiser")),
        (given.strip() == wanted, Oddity("padded_key", "the key has spaces or line breaks around it", fix)),
        (
            given[:1] == b"\0" and given.endswith(wanted),
            Oddity("schema_registry_key", "the key begins with the header of a schema registry", "use a plain StringSerializer for keys"),
        ),
        (given.lstrip()[:1] == b"{", Oddity("json_key", "the key is a JSON object", "use a StringConverter or StringSerializer for keys")),
        (given == session, Oddity("key_without_tenant", "the key is the session without its tenant", fix)),
        (given.replace(b"\0", b"") in {wanted, b"\xff\xfe" + wanted}, Oddity("utf_16_key", "the key is in UTF-16", fix)),
    )
    return next((oddity for applies, oddity in oddities if applies), None)


def _odd_header(detail: str, attributes: Mapping[str, bytes]) -> Oddity | None:
    named = next((name for name in CHUNK_HEADERS if re.search(rf"\b{name}\b", detail)), None)
    value = attributes.get(named, b"") if named is not None else b""
    if value[:1] == b'"':
        return Oddity("quoted_header", f"{named} is in quotes", "send the values of headers as plain text, with no JSON serialiser")
    if value and any(byte < 0x20 or byte > 0x7E for byte in value):
        return Oddity("binary_header", f"{named} is binary: {detail}", "send numbers as decimal digits: 42 is the two bytes 0x34 0x32")
    return None
