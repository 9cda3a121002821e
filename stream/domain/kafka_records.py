"""Translates between Kafka records and domain values: CloudEvents 1.0 in Kafka binary mode.

The value is the raw media, the headers carry the metadata, the key is ``tenant/session``. `docs/records.md` lists every header.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from stream.domain.chunk import CONTENT_TYPES, SCHEMA_VERSION, Chunk, ChunkHeader
from stream.domain.features import TextFeatures, Word
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.media_format import MAX_CHUNK_BYTES
from stream.domain.modality import Modality
from stream.domain.session_events import KeyedSessionEvent, SessionEnd, SessionEvent, SessionHeartbeat, SessionStart

Headers = list[tuple[str, bytes]]

CHUNK_TYPE = "io.sentistream.chunk."
SESSION_TYPE = "io.sentistream.session."
MAX_WORDS_PER_CHUNK = 256
MAX_WORD_CHARACTERS = 128
MAX_HEADERS = 64
"""Bounds on one record: a broken or hostile producer must not fill a worker's memory."""

CHECKED_NAMES = 4096
"""Sessions and tracks whose names stay checked: nearly every record belongs to a session that was seen shortly before."""


class BadRecordError(ValueError):
    """A record that cannot be read.

    Attributes:
        reason: A short code for headers, counters and logs: ``empty``, ``too_large``, ``missing_header``, ``bad_header``,
            ``wrong_type``, ``wrong_content_type``, ``unsupported_version``, ``key_mismatch``, ``bad_words``, ``bad_event``,
            ``bad_features``.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def chunk_headers(header: ChunkHeader) -> Headers:
    """Kafka headers of a chunk."""
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": header.id,
        "ce_source": header.source,
        "ce_type": CHUNK_TYPE + header.modality,
        "ce_subject": header.session.session,
        "ce_time": datetime.fromtimestamp(header.captured_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        "content-type": header.content_type,
        "ce_tenant": header.session.tenant,
        "ce_track": header.track.track,
        "ce_role": header.role,
        "ce_sequence": str(header.seq),
        "ce_epoch": str(header.epoch),
        "ce_mediastart": str(header.start_ms),
        "ce_mediaduration": str(header.duration_ms),
        "ce_schemaversion": SCHEMA_VERSION,
    }
    if header.traceparent is not None:
        attributes["ce_traceparent"] = header.traceparent
    return [(name, value.encode("ascii")) for name, value in attributes.items()]


def parse_chunk(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]], modality: Modality) -> Chunk:
    """Read a record of a chunk topic. Raises `BadRecordError`; the message names the header, never its value."""
    if not value:
        raise BadRecordError("empty", "the record is empty")
    if len(value) > MAX_CHUNK_BYTES:
        raise BadRecordError("too_large", f"the record is larger than {MAX_CHUNK_BYTES} bytes")
    attributes = _attributes(headers)
    if _text(attributes, "ce_type") != CHUNK_TYPE + modality:
        raise BadRecordError("wrong_type", "ce_type does not match the topic")
    content_type = _text(attributes, "content-type")
    if content_type not in CONTENT_TYPES[modality]:
        raise BadRecordError("wrong_content_type", f"content-type is not allowed for {modality}")
    try:
        header = ChunkHeader(
            id=_text(attributes, "ce_id"),
            source=_text(attributes, "ce_source"),
            track=_track(_session(key, attributes), _text(attributes, "ce_track")),
            role=_text(attributes, "ce_role"),
            modality=modality,
            seq=_integer(attributes, "ce_sequence"),
            epoch=_integer(attributes, "ce_epoch"),
            start_ms=_integer(attributes, "ce_mediastart"),
            duration_ms=_integer(attributes, "ce_mediaduration"),
            captured_ms=_unix_ms(attributes, "ce_time"),
            content_type=content_type,
            traceparent=_text(attributes, "ce_traceparent") if "ce_traceparent" in attributes else None,
        )
    except BadRecordError:
        raise
    except ValueError as error:
        raise BadRecordError("bad_header", str(error)) from None
    return Chunk(header, value)


class _WordOnWire(msgspec.Struct):
    text: str
    start_ms: int
    end_ms: int
    confidence: float = 1.0
    speaker: str | None = None


class _WordsOnWire(msgspec.Struct):
    words: list[_WordOnWire]
    final: bool = False


_WORDS = msgspec.json.Decoder(_WordsOnWire)


def encode_words(words: Iterable[Word], *, final: bool = False) -> bytes:
    """Payload of a text chunk; ``final`` if its last word ends an utterance."""
    wire = [_WordOnWire(w.text, w.start_ms, w.end_ms, w.confidence, w.speaker) for w in words]
    return msgspec.json.encode(_WordsOnWire(wire, final))


def decode_text(payload: bytes) -> TextFeatures:
    """The words of a text chunk. Raises `BadRecordError` unless they are well-formed; the message never quotes them."""
    try:
        message = _WORDS.decode(payload)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise BadRecordError("bad_words", "the words are not JSON of the expected shape in UTF-8") from None
    if len(message.words) > MAX_WORDS_PER_CHUNK:
        raise BadRecordError("bad_words", f"more than {MAX_WORDS_PER_CHUNK} words in one chunk")
    return TextFeatures(tuple(_word(number, word) for number, word in enumerate(message.words)), message.final)


def _word(number: int, word: _WordOnWire) -> Word:
    text = "".join(c for c in word.text if c.isprintable()).strip()
    if not text or len(text) > MAX_WORD_CHARACTERS:
        raise BadRecordError("bad_words", f"word {number} is empty or longer than {MAX_WORD_CHARACTERS} characters")
    if not 0 <= word.start_ms <= word.end_ms:
        raise BadRecordError("bad_words", f"word {number} ends before it starts")
    if not 0.0 <= word.confidence <= 1.0:
        raise BadRecordError("bad_words", f"word {number} has a confidence outside 0 to 1")
    return Word(text, word.start_ms, word.end_ms, word.confidence, word.speaker)


_EVENT: msgspec.json.Decoder[SessionEvent] = msgspec.json.Decoder(SessionEvent)


def _event_type(event: SessionEvent) -> str:
    match event:
        case SessionStart():
            return SESSION_TYPE + "start"
        case SessionHeartbeat():
            return SESSION_TYPE + "heartbeat"
        case SessionEnd():
            return SESSION_TYPE + "end"


def session_record(event: KeyedSessionEvent, source: str, now_ms: int) -> tuple[bytes, bytes, Headers]:
    """Key, value and headers of a record of the ``sessions`` topic."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": uuid.uuid4().hex,
        "ce_source": source,
        "ce_type": _event_type(event.event),
        "ce_subject": event.key.session,
        "ce_time": datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        "content-type": "application/json",
        "ce_tenant": event.key.tenant,
        "ce_schemaversion": SCHEMA_VERSION,
    }
    wire = [(name, text.encode("ascii")) for name, text in headers.items()]
    return str(event.key).encode("ascii"), msgspec.json.encode(event.event), wire


def parse_session(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]]) -> KeyedSessionEvent:
    """Read a record of the ``sessions`` topic. Raises `BadRecordError`."""
    if not value:
        raise BadRecordError("empty", "the record is empty")
    if len(value) > MAX_CHUNK_BYTES:
        raise BadRecordError("too_large", f"the record is larger than {MAX_CHUNK_BYTES} bytes")
    attributes = _attributes(headers)
    session = _session(key, attributes)
    try:
        event = _EVENT.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise BadRecordError("bad_event", "the session event is not JSON of the expected shape") from None
    if _text(attributes, "ce_type") != _event_type(event):
        raise BadRecordError("wrong_type", "ce_type does not match the event")
    return KeyedSessionEvent(session, event, _unix_ms(attributes, "ce_time") if "ce_time" in attributes else None)


def _attributes(headers: Iterable[tuple[str, bytes]]) -> Mapping[str, bytes]:
    attributes = {name: value for name, value in headers if value is not None}
    if len(attributes) > MAX_HEADERS:
        raise BadRecordError("bad_header", f"more than {MAX_HEADERS} headers")
    version = _text(attributes, "ce_schemaversion")
    if version.partition(".")[0] != SCHEMA_VERSION.partition(".")[0]:
        raise BadRecordError("unsupported_version", f"ce_schemaversion is not {SCHEMA_VERSION.partition('.')[0]}.x")
    return attributes


def _text(attributes: Mapping[str, bytes], name: str) -> str:
    try:
        raw = attributes[name]
    except KeyError:
        raise BadRecordError("missing_header", f"{name} is missing") from None
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        raise BadRecordError("bad_header", f"{name} is not ASCII") from None


def _integer(attributes: Mapping[str, bytes], name: str) -> int:
    text = _text(attributes, name)
    if not text.isdecimal() or len(text) > 16:
        raise BadRecordError("bad_header", f"{name} is not a whole number")
    return int(text)


def _unix_ms(attributes: Mapping[str, bytes], name: str) -> int:
    try:
        moment = datetime.fromisoformat(_text(attributes, name))
        # A time without an offset names no moment. A negative result fails the range check of a chunk's header.
        return round(moment.timestamp() * 1000) if moment.tzinfo else -1
    except (ValueError, OverflowError):
        raise BadRecordError("bad_header", f"{name} is not an RFC 3339 time") from None


@lru_cache(maxsize=CHECKED_NAMES)
def _session_key(tenant: str, session: str) -> SessionKey:
    return SessionKey(tenant, session)


@lru_cache(maxsize=CHECKED_NAMES)
def _track(session: SessionKey, track: str) -> TrackKey:
    return TrackKey(session, track)


def _session(key: bytes | None, attributes: Mapping[str, bytes]) -> SessionKey:
    try:
        session = _session_key(_text(attributes, "ce_tenant"), _text(attributes, "ce_subject"))
    except BadRecordError:
        raise
    except ValueError as error:
        raise BadRecordError("bad_header", str(error)) from None
    if key != str(session).encode("ascii"):
        raise BadRecordError("key_mismatch", "the record's key is not its tenant/session")
    return session
