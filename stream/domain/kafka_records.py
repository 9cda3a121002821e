"""Translates between Kafka records and domain values: CloudEvents 1.0 in Kafka binary mode.

The value is the raw media, the headers carry the metadata, the key is ``tenant/session``. `docs/records.md` lists every header.
"""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, NamedTuple

import msgspec

from stream.domain.chunk import MAX_NUMBER, SCHEMA_VERSION, Chunk, ChunkHeader
from stream.domain.content_type import ContentTypeError, read_content_type
from stream.domain.features import TextFeatures, Word
from stream.domain.identity import SessionKey, TrackKey, check_name
from stream.domain.media_format import MAX_CHUNK_BYTES, MAX_CHUNK_MS, MAX_SESSION_MS
from stream.domain.modality import Modality
from stream.domain.session_events import KeyedSessionEvent, SessionConsent, SessionEnd, SessionEvent, SessionHeartbeat, SessionStart
from stream.domain.wording import printable

Headers = list[tuple[str, bytes]]

CHUNK_TYPE = "io.sentistream.chunk."
SESSION_TYPE = "io.sentistream.session."
MAX_WORDS_PER_CHUNK = 256
MAX_WORD_CHARACTERS = 128
MAX_SPEAKER_CHARACTERS = 64
MAX_WORD_DISTANCE_MS = 30_000
"""How far a word may lie outside its chunk: recognisers finish what was said up to half a minute before."""

MAX_EVENT_BYTES = 65_536
MAX_HEADERS = 64
"""Bounds on one record: a broken or hostile producer must not fill a worker's memory."""

MAX_DIGITS = 15
MAX_NUMBER_CHARACTERS = 32
MAX_TRACEPARENT_CHARACTERS = 256
"""Longer texts are no whole numbers, no numbers and no trace contexts."""

MAX_UNIX_MS = 253_370_764_800_000
"""Start of the year 9999. Windows end after their chunks, and a date after that year cannot be written."""

HEADER_NAMES = frozenset(
    {
        *("ce_id", "ce_source", "ce_type", "ce_subject", "ce_time", "content-type", "ce_tenant", "ce_track", "ce_role", "ce_sequence"),
        *("ce_epoch", "ce_mediastart", "ce_mediaduration", "ce_schemaversion"),
    }
)
"""The headers that are read: each may have one value only."""

_HEX_DIGITS = frozenset("0123456789abcdef")

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Some programs write it before JSON. RFC 8259 allows readers to ignore it."""

_WITHOUT_SECONDS = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d)([Zz]|[+-]\d\d:\d\d)")
"""How Java's OffsetDateTime and ZonedDateTime write a time whose seconds are 0: once in 60,000 chunks, with times in milliseconds."""

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
    origin = _origin(modality, key, *[attributes.get(name) for name in _ORIGIN])
    try:
        header = ChunkHeader(
            id=_text(attributes, "ce_id"),
            source=origin.source,
            track=origin.track,
            role=origin.role,
            modality=modality,
            seq=_number(attributes, "ce_sequence"),
            epoch=_number(attributes, "ce_epoch"),
            start_ms=_milliseconds(attributes, "ce_mediastart", 0, MAX_SESSION_MS),
            duration_ms=_milliseconds(attributes, "ce_mediaduration", 1, MAX_CHUNK_MS),
            captured_ms=_unix_ms(attributes, "ce_time"),
            content_type=origin.content_type,
            traceparent=_traceparent(attributes),
        )
    except BadRecordError:
        raise
    except ValueError as error:
        raise BadRecordError("bad_header", str(error)) from None
    return Chunk(header, value)


class _Origin(NamedTuple):
    """What the chunks of one modality of a track have in common."""

    source: str
    track: TrackKey
    role: str
    content_type: str


_ORIGIN = ("ce_type", "content-type", "ce_tenant", "ce_subject", "ce_source", "ce_track", "ce_role")


@lru_cache(maxsize=3 * CHECKED_NAMES)
def _origin(modality: Modality, key: bytes | None, *values: bytes | None) -> _Origin:
    """Read the headers that `_ORIGIN` names. Remembered: they are the same in nearly every chunk of a track. Raises `BadRecordError`."""
    attributes = {name: value for name, value in zip(_ORIGIN, values, strict=True) if value is not None}
    if _text(attributes, "ce_type") != CHUNK_TYPE + modality:
        raise BadRecordError("wrong_type", f"ce_type must be {CHUNK_TYPE + modality} in this topic")
    try:
        content_type = read_content_type(_text(attributes, "content-type"), modality)
    except ContentTypeError as error:
        raise BadRecordError("wrong_content_type", str(error)) from None
    session = _session(key, attributes)
    try:
        track = TrackKey(session, _name(attributes, "ce_track"))
        return _Origin(_text(attributes, "ce_source"), track, _name(attributes, "ce_role"), content_type)
    except BadRecordError:
        raise
    except ValueError as error:
        raise BadRecordError("bad_header", str(error)) from None


MediaTime = Annotated[float, msgspec.Meta(extra_json_schema={"minimum": 0, "maximum": MAX_SESSION_MS})]


class WordOnWire(msgspec.Struct):
    """A word as a text chunk carries it. The bounds are for the published schema: `decode_text` checks them with clearer sentences.

    Attributes:
        text: The word, without control characters.
        start_ms: When it begins, in milliseconds from the start of the session.
        end_ms: When it ends; not before `start_ms`.
        confidence: How sure the recogniser is; null counts as 1.
        speaker: Who said it, if the recogniser knows.
    """

    text: Annotated[str, msgspec.Meta(extra_json_schema={"minLength": 1, "maxLength": MAX_WORD_CHARACTERS})]
    start_ms: MediaTime
    end_ms: MediaTime
    confidence: Annotated[float, msgspec.Meta(extra_json_schema={"minimum": 0, "maximum": 1})] | None = None
    speaker: Annotated[str, msgspec.Meta(extra_json_schema={"maxLength": MAX_SPEAKER_CHARACTERS})] | None = None


class WordsOnWire(msgspec.Struct):
    """The payload of a text chunk. Numbers may also be written as strings.

    Attributes:
        words: What was said, in order; empty if nothing was said.
        final: Whether the last word ends an utterance.
    """

    words: Annotated[list[WordOnWire], msgspec.Meta(extra_json_schema={"maxItems": MAX_WORDS_PER_CHUNK})]
    final: bool = False


_WORDS = msgspec.json.Decoder(WordsOnWire, strict=False)
"""Not strict: numbers may be written as strings, as some languages write long ones."""


def encode_words(words: Iterable[Word], *, final: bool = False) -> bytes:
    """Payload of a text chunk; ``final`` if its last word ends an utterance."""
    wire = [WordOnWire(w.text, w.start_ms, w.end_ms, w.confidence, w.speaker) for w in words]
    return msgspec.json.encode(WordsOnWire(wire, final))


def decode_text(payload: bytes) -> TextFeatures:
    """The words of a text chunk. Raises `BadRecordError` unless they are well-formed; the message never quotes them."""
    try:
        message = _WORDS.decode(payload.removeprefix(BYTE_ORDER_MARK))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadRecordError("bad_words", f"the words {_problem(error)}") from None
    if len(message.words) > MAX_WORDS_PER_CHUNK:
        raise BadRecordError("bad_words", f"more than {MAX_WORDS_PER_CHUNK} words in one chunk")
    return TextFeatures(tuple(_word(number, word) for number, word in enumerate(message.words)), message.final)


def decode_words(payload: bytes, start_ms: int, duration_ms: int) -> TextFeatures:
    """As `decode_text`, for a chunk of this media time: also raises `BadRecordError` if its words cannot be of that time.

    A word need not lie in its chunk: a recogniser may finish a sentence long after it began. But times that are counted from the beginning
    of the chunk would put every word at the beginning of the session.
    """
    features = decode_text(payload)
    words = features.words
    if words and start_ms > duration_ms and max([word.end_ms for word in words]) <= duration_ms:
        raise BadRecordError(
            "bad_words",
            "all words lie within the length of the chunk, which starts later: "
            "start_ms and end_ms count from the start of the session, so add ce_mediastart to them",
        )
    for number, word in enumerate(words):
        if not start_ms - MAX_WORD_DISTANCE_MS <= word.end_ms <= start_ms + duration_ms + MAX_WORD_DISTANCE_MS:
            raise BadRecordError(
                "bad_words",
                f"words[{number}] lies more than {MAX_WORD_DISTANCE_MS // 1000} s outside its chunk: "
                "start_ms and end_ms are milliseconds from the start of the session, as ce_mediastart is",
            )
    return features


def _word(number: int, word: WordOnWire) -> Word:
    """A word with its times rounded to milliseconds. A word that ends at 0 is given a millisecond: no window has words that end before."""
    text = printable(word.text).strip()
    if not text or len(text) > MAX_WORD_CHARACTERS:
        raise BadRecordError("bad_words", f"words[{number}].text is empty or longer than {MAX_WORD_CHARACTERS} characters")
    if not 0 <= word.start_ms <= MAX_SESSION_MS or not 0 <= word.end_ms <= MAX_SESSION_MS:
        raise BadRecordError("bad_words", f"words[{number}] must have start_ms and end_ms between 0 and {MAX_SESSION_MS}")
    if word.end_ms < word.start_ms:
        raise BadRecordError("bad_words", f"words[{number}].end_ms is before its start_ms")
    confidence = 1.0 if word.confidence is None else word.confidence
    if not 0.0 <= confidence <= 1.0:
        raise BadRecordError("bad_words", f"words[{number}].confidence is not between 0 and 1")
    return Word(text, round(word.start_ms), max(1, round(word.end_ms)), confidence, _speaker(number, word.speaker))


def _speaker(number: int, speaker: str | None) -> str | None:
    if speaker is None:
        return None
    name = printable(speaker).strip()
    if len(name) > MAX_SPEAKER_CHARACTERS:
        raise BadRecordError("bad_words", f"words[{number}].speaker is longer than {MAX_SPEAKER_CHARACTERS} characters")
    return name or None


def _problem(error: Exception) -> str:
    """What is wrong with JSON, and where. Never a value: msgspec quotes one only where a value is none of a few that are allowed."""
    if not isinstance(error, msgspec.ValidationError):
        return "are not JSON in UTF-8"
    what, _, where = str(error).partition(" - at ")
    what = "a value that is none of those allowed" if what.startswith("Invalid") else what[:1].lower() + what[1:]
    return f"do not have the expected fields: {what}{' at ' + where if where else ''}"


_EVENT: msgspec.json.Decoder[SessionEvent] = msgspec.json.Decoder(SessionEvent, strict=False)


def _event_type(event: SessionEvent) -> str:
    match event:
        case SessionStart():
            return SESSION_TYPE + "start"
        case SessionHeartbeat():
            return SESSION_TYPE + "heartbeat"
        case SessionConsent():
            return SESSION_TYPE + "consent"
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
    if len(value) > MAX_EVENT_BYTES:
        raise BadRecordError("too_large", f"the session event is larger than {MAX_EVENT_BYTES} bytes")
    attributes = _attributes(headers)
    session = _session(key, attributes)
    try:
        event = _EVENT.decode(value.removeprefix(BYTE_ORDER_MARK))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadRecordError("bad_event", f"the contents of the session event {_problem(error)}") from None
    if _text(attributes, "ce_type") != _event_type(event):
        raise BadRecordError("wrong_type", f"ce_type must be {_event_type(event)} for this event")
    return KeyedSessionEvent(session, event, _unix_ms(attributes, "ce_time") if "ce_time" in attributes else None)


def _attributes(headers: Iterable[tuple[str, bytes]]) -> Mapping[str, bytes]:
    """The headers by name in lower case: some clients capitalise names. A header may be repeated if it says the same."""
    given = [(name.lower(), value) for name, value in headers if value is not None]
    attributes = dict(given)
    if len(attributes) < len(given):
        for name, value in given:
            if attributes[name] != value and name in HEADER_NAMES:
                raise BadRecordError("bad_header", f"{name} is there twice, with different values")
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
        return raw.decode("ascii").strip(" \t")
    except UnicodeDecodeError:
        raise BadRecordError("bad_header", f"{name} is not ASCII") from None


def _number(attributes: Mapping[str, bytes], name: str) -> int:
    """A whole number that counts something. Some languages write all numbers with a fraction: ``42.0`` is taken."""
    value = _decimal(attributes, name)
    if value != int(value) or not 0 <= value <= MAX_NUMBER:
        raise BadRecordError("bad_header", f"{name} must be a whole number from 0 to {MAX_NUMBER}")
    return int(value)


def _milliseconds(attributes: Mapping[str, bytes], name: str, low: int, high: int) -> int:
    """A number of milliseconds; fractions are rounded."""
    value = _decimal(attributes, name)
    if not low <= value <= high or not low <= round(value) <= high:
        raise BadRecordError("bad_header", f"{name} must be a number of milliseconds from {low} to {high}")
    return round(value)


def _decimal(attributes: Mapping[str, bytes], name: str) -> float:
    raw = attributes.get(name, b"")
    if raw.isdigit() and len(raw) <= MAX_DIGITS:
        return int(raw)
    text = _text(attributes, name)
    try:
        # Python also takes 1_000, and digits of other scripts, which are not ASCII.
        value = float(text) if len(text) <= MAX_NUMBER_CHARACTERS and "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadRecordError("bad_header", f"{name} is not a number")
    return value


def _unix_ms(attributes: Mapping[str, bytes], name: str) -> int:
    """A time as RFC 3339 writes it, rounded to milliseconds. It has an offset: without one it names no moment."""
    text = _text(attributes, name)
    # RFC 3339 allows a leap second, which no Unix time has: it counts as the second after.
    leap_ms = 1000 if text[16:19] == ":60" else 0
    if text[16:17] != ":" and (short := _WITHOUT_SECONDS.fullmatch(text)) is not None:
        text = f"{short[1]}:00{short[2]}"
    try:
        moment = msgspec.convert(f"{text[:17]}59{text[19:]}" if leap_ms else text, datetime)
    except msgspec.ValidationError:
        raise BadRecordError("bad_header", f"{name} is not an RFC 3339 time, for example 2026-11-22T10:00:43.120Z") from None
    if moment.tzinfo is None:
        raise BadRecordError("bad_header", f"{name} has no offset from UTC: let it end in Z, or in an offset such as +01:00")
    unix_ms = round(moment.timestamp() * 1000) + leap_ms
    if unix_ms < 0:
        raise BadRecordError("bad_header", f"{name} is before 1970")
    if unix_ms >= MAX_UNIX_MS:
        raise BadRecordError("bad_header", f"{name} is in the year 9999, or after it")
    return unix_ms


def _traceparent(attributes: Mapping[str, bytes]) -> str | None:
    """The trace context; None for one that is malformed, which W3C says to ignore: a trace must not cost a chunk."""
    raw = attributes.get("ce_traceparent")
    if raw is None or not raw.isascii():
        return None
    text = raw.decode("ascii")
    parts = text.split("-")
    well_formed = [len(part) for part in parts[:4]] == [2, 32, 16, 2] and all(set(part) <= _HEX_DIGITS for part in parts[:4])
    return text if well_formed and len(text) <= MAX_TRACEPARENT_CHARACTERS else None


def _name(attributes: Mapping[str, bytes], header: str) -> str:
    return _checked_name(header, _text(attributes, header))


@lru_cache(maxsize=CHECKED_NAMES)
def _checked_name(header: str, name: str) -> str:
    return check_name(header, name)


@lru_cache(maxsize=CHECKED_NAMES)
def _session_key(tenant: str, session: str) -> SessionKey:
    return SessionKey(tenant, session)


def _session(key: bytes | None, attributes: Mapping[str, bytes]) -> SessionKey:
    try:
        session = _session_key(_name(attributes, "ce_tenant"), _name(attributes, "ce_subject"))
    except BadRecordError:
        raise
    except ValueError as error:
        raise BadRecordError("bad_header", str(error)) from None
    if key is None:
        raise BadRecordError("key_mismatch", "the record has no key: it must be its ce_tenant/ce_subject")
    if key != str(session).encode("ascii"):
        raise BadRecordError("key_mismatch", "the record's key is not its ce_tenant/ce_subject")
    return session
