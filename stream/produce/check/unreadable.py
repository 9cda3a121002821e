"""Says why a worker cannot read a record, and what a producer has to change. More precise than a dead letter: it knows usual mistakes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from stream.domain.identity import SessionKey
from stream.domain.kafka_records import BadRecordError
from stream.produce.check.record import SentRecord

CHUNK_HEADERS = (
    *("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time", "content-type", "ce_tenant", "ce_track", "ce_role"),
    *("ce_sequence", "ce_epoch", "ce_mediastart", "ce_mediaduration", "ce_schemaversion"),
)
EVENT_HEADERS = (
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_subject",
    "ce_time",
    "content-type",
    "ce_tenant",
    "ce_schemaversion",
)

MAGIC_BYTES = 5
"""Serialisers of a schema registry put a zero byte and the number of the schema (4 bytes) before the content."""

BASE64 = re.compile(rb"[A-Za-z0-9+/\-_\s]{64,}={0,2}\s*")
LOOKED_AT = 4096
"""Bytes at the beginning of a value that are looked at."""

FIXES = {
    "empty": "send a value with every record; null values (tombstones) mean nothing here",
    "too_large": "send less media in a chunk, at most 1 s, or compress it (audio/ogg, video/mp4)",
    "missing_header": "send the header as text in ASCII; docs/records.md lists all headers",
    "bad_header": "docs/records.md says what the header may hold; every header is text in ASCII",
    "wrong_type": "ce_type is io.sentistream.chunk.MODALITY, and the topic is chunks.MODALITY",
    "wrong_content_type": "docs/records.md lists the content types of each modality",
    "unsupported_version": "send ce_schemaversion 1.0",
    "key_mismatch": "the key of every record is ce_tenant, a slash and ce_subject, as plain bytes",
    "bad_words": 'send {"words": [{"text": …, "start_ms": …, "end_ms": …}]} in UTF-8; times are milliseconds since the session\'s start',
    "bad_event": 'send {"event": "start", …}, {"event": "heartbeat", …} or {"event": "end", …} as docs/records.md shows them',
    "bad_features": "docs/records.md lists the tensors of each modality",
}
"""What to do for each reason for which a worker refuses to read a record."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a record cannot be used: the code, the text and the fix of a finding."""

    code: str
    text: str
    fix: str


STRUCTURED = Explanation(
    "structured_mode",
    "the CloudEvent is in structured mode: the whole event is JSON in the value",
    "use the binary mode of the CloudEvents library (to_binary, Message.binary): the attributes become headers that begin with ce_",
)


def explain(record: SentRecord, error: BadRecordError, session: SessionKey, *, is_event: bool) -> Explanation:
    """Explain why a worker refuses a record of this session."""
    value, attributes = record.value or b"", record.attributes
    found: Explanation | None = None
    match error.reason:
        case "empty":
            what = "no value (a tombstone)" if record.value is None else "an empty value"
            found = Explanation("empty", f"a record has {what}", FIXES["empty"])
        case "missing_header" if is_structured(value, attributes):
            found = STRUCTURED
        case "missing_header":
            found = _missing_headers(attributes, EVENT_HEADERS if is_event else CHUNK_HEADERS)
        case "key_mismatch":
            found = _wrong_key(record.key, session)
        case "bad_header":
            found = _bad_header(str(error), attributes)
        case "bad_words" | "bad_event":
            found = odd_value(value)
    return found or Explanation(error.reason, str(error), FIXES.get(error.reason, "docs/producers.md says what to do"))


def is_structured(value: bytes, attributes: Mapping[str, bytes]) -> bool:
    """Whether a record is a CloudEvent in structured mode."""
    content_type = attributes.get("content-type", b"").lower()
    return content_type.startswith(b"application/cloudevents") or (value.lstrip()[:1] == b"{" and b'"specversion"' in value[:LOOKED_AT])


def odd_value(value: bytes) -> Explanation | None:
    """What a value is instead of plain JSON or media: wrapped or encoded once more. None if it does not look like that."""
    start = value[:LOOKED_AT]
    return next((explanation for looks_like, explanation in _ODD_VALUES if looks_like(start)), None)


_ODD_VALUES: tuple[tuple[Callable[[bytes], object], Explanation], ...] = (
    (
        lambda start: start.startswith(b"\xef\xbb\xbf"),
        Explanation("byte_order_mark", "the JSON begins with a byte order mark", "write UTF-8 without a byte order mark (no utf-8-sig)"),
    ),
    (
        lambda start: start.startswith((b"\xff\xfe{", b"\xfe\xff\0{", b"{\0", b"\0{")),
        Explanation("utf_16", "the JSON is in UTF-16", "send JSON in UTF-8"),
    ),
    (
        re.compile(rb'\s*\{\s*"type"\s*:\s*"Buffer"\s*,\s*"data"\s*:').match,
        Explanation(
            "node_buffer",
            "the value is a Node.js Buffer that was turned into JSON",
            "pass the Buffer itself as the value, not JSON.stringify of it",
        ),
    ),
    (
        lambda start: start[:2] == b"\0\0" and len(start) > MAGIC_BYTES,
        Explanation(
            "schema_registry",
            "the value begins with the header of a schema registry (a zero byte and the number of a schema)",
            "send the plain bytes, with a ByteArraySerializer: values are no Avro, Protobuf or JSON Schema records here",
        ),
    ),
    (
        lambda start: start[:2] == b"\x1f\x8b",
        Explanation("gzip", "the value is compressed with gzip", "send it as it is, and set compression.type of the producer instead"),
    ),
    (
        lambda start: start.lstrip()[:1] == b'"',
        Explanation(
            "quoted_json", "the value is JSON within a JSON string", "serialise the value once: pass bytes, not a string that is JSON"
        ),
    ),
    (
        lambda start: start[:5] == b"data:" or BASE64.fullmatch(start),
        Explanation("base64", "the value is base64", "send the bytes themselves; nothing is encoded as base64"),
    ),
)
"""How values look that were wrapped or encoded once more, by their beginning."""


def similar_header(wanted: str, names: Mapping[str, bytes]) -> str | None:
    """The header that was probably meant to be ``wanted``: written with other signs or case, without the prefix, or misspelt."""
    plain = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in names}
    target = re.sub(r"[^a-z0-9]", "", wanted)
    for candidate in (target, target.removeprefix("ce")):
        if candidate in plain:
            return plain[candidate]
    close = get_close_matches(target, plain, n=1, cutoff=0.85)
    return plain[close[0]] if close else None


def _missing_headers(attributes: Mapping[str, bytes], wanted: tuple[str, ...]) -> Explanation:
    missing = [name for name in wanted if name not in attributes]
    others = {name: value for name, value in attributes.items() if name not in wanted}
    similar = {name: found for name in missing if (found := similar_header(name, others)) is not None}
    if len(missing) == len(wanted):
        text = "none of the headers is there" + (": their names are written differently" if similar else "")
    elif set(similar) == set(missing) and similar:
        text = "headers have another name: " + ", ".join(f"{found} instead of {name}" for name, found in similar.items())
    else:
        text = "headers are missing: " + ", ".join(name + (f" (there is {similar[name]})" if name in similar else "") for name in missing)
    if any(found.lower().startswith("ce-") for found in similar.values()):
        return Explanation(
            "misspelt_header",
            text if len(missing) < len(wanted) else "the names of the headers begin with ce- and not with ce_",
            "in Kafka the headers of a CloudEvent begin with ce_ (the dash belongs to HTTP)",
        )
    if similar:
        return Explanation("misspelt_header", text, "name the headers exactly as docs/records.md lists them")
    return Explanation("missing_header", text, FIXES["missing_header"])


def _wrong_key(key: bytes | None, session: SessionKey) -> Explanation:
    wanted, fix = str(session).encode("ascii"), FIXES["key_mismatch"]
    if key is None:
        return Explanation("no_key", "a record has no key: it goes to any partition", fix)
    if key.strip().strip(b"\"'") == wanted:
        kind = "in quotes" if key.strip()[:1] in {b'"', b"'"} else "with spaces or line breaks around it"
        return Explanation("quoted_key", f"the key is tenant/session {kind}", "send the key as plain bytes: no JSON serialiser for keys")
    if key[:1] == b"\0" and key.endswith(wanted):
        return Explanation(
            "schema_registry_key",
            "the key begins with the header of a schema registry",
            "use the plain StringSerializer for keys",
        )
    if key == session.session.encode("ascii"):
        return Explanation("key_without_tenant", "the key is the session without its tenant", fix)
    if key.replace(b"\0", b"") in {wanted, b"\xff\xfe" + wanted}:
        return Explanation("utf_16_key", "the key is in UTF-16", fix)
    return Explanation("key_mismatch", "the key is not tenant/session of the record's headers", fix)


def _bad_header(detail: str, attributes: Mapping[str, bytes]) -> Explanation:
    named = next((name for name in CHUNK_HEADERS if re.search(rf"\b{name}\b", detail)), None)
    value = attributes.get(named, b"") if named is not None else b""
    if value[:1] == b'"':
        return Explanation(
            "quoted_header", f"{named} is in quotes", "send the values of headers as plain text: no JSON serialiser for headers"
        )
    if value and any(byte < 0x20 or byte > 0x7E for byte in value):
        return Explanation(
            "binary_header", f"{named} is binary: {detail}", "send numbers in headers as decimal digits: 42 is the two bytes 0x34 0x32"
        )
    return Explanation("bad_header", detail, FIXES["bad_header"])
