"""The Kafka headers of our records, as schemas: CloudEvents 1.0 in binary mode. Every value is text in ASCII."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stream.domain.chunk import MAX_NUMBER, SCHEMA_VERSION, ContentType
from stream.domain.identity import NAME_PATTERN
from stream.domain.kafka_records import CHUNK_TYPE, SESSION_TYPE
from stream.domain.media_format import MAX_CHUNK_MS, MAX_SESSION_MS
from stream.domain.modality import MODALITIES, Modality
from stream.gateway.contracts.json_schemas import Schema
from stream.sinks.results import RESULT_TYPE

ALSO_READ = {"audio/L16": ("audio/pcm",), "audio/ogg": ("application/ogg",), "image/jpeg": ("image/jpg",)}
"""Other names of media types, as `stream.domain.content_type` reads them."""

_MEDIA = {
    Modality.TEXT: (ContentType.WORDS, ContentType.FEATURES),
    Modality.AUDIO: ("audio/L16", ContentType.OGG_OPUS, ContentType.AUDIO_MP4, ContentType.FEATURES),
    Modality.VIDEO: (ContentType.VIDEO_MP4, ContentType.JPEG, ContentType.FEATURES),
}
_ANY_NUMBER = r"^\d+(\.\d+)?$"


def _text(description: str, **rules: object) -> Schema:
    return {"type": "string", "description": description, **rules}


def _number(description: str, low: int, high: int) -> Schema:
    return _text(f"{description} A number from {low} to {high} in decimal digits.", pattern=_ANY_NUMBER)


def _name(description: str) -> Schema:
    return _text(description, pattern=f"^{NAME_PATTERN}$")


_TIME = r"^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)$"

ENVELOPE: Mapping[str, Schema] = {
    "ce_specversion": _text("Version of CloudEvents.", const="1.0"),
    "ce_id": _text("Unique id of the record.", pattern="^[ -~]{1,128}$"),
    "ce_source": _text("Which program sent it.", pattern="^[ -~]{1,256}$"),
    "ce_subject": _name("Session."),
    "ce_tenant": _name("Tenant. The key of the record is `tenant/session`."),
    "ce_schemaversion": _text(
        f"Version of this format, now {SCHEMA_VERSION}. A reader accepts any {SCHEMA_VERSION.partition('.')[0]}.x and ignores headers "
        "that it does not know.",
        pattern=rf"^{SCHEMA_VERSION.partition('.')[0]}(\.\d+)*$",
    ),
}
_JSON = {"content-type": _text("The value is JSON in UTF-8.", const="application/json")}
_TRACE = {"ce_traceparent": _text("W3C trace context.")}
_WHEN = {"ce_time": _text("Wall-clock time of the event (RFC 3339, with `Z` or an offset).", pattern=_TIME)}


def chunk_headers(modality: Modality) -> Schema:
    """Headers of a chunk of one modality."""
    names = [name for media in _MEDIA[modality] for name in (media, *ALSO_READ.get(media, ()))]
    media = "|".join(name.replace(".", r"\.").replace("+", r"\+") for name in names)
    own = {
        "ce_type": _text("Kind of the record.", const=CHUNK_TYPE + modality),
        "content-type": _text("What the value holds.", pattern=rf"^({media})\s*(;.*)?$"),
        "ce_track": _name("Participant or channel: the unit that is scored."),
        "ce_role": _name("What the participant is in the conversation."),
        "ce_sequence": _number("Number of the chunk in its track, modality and epoch; rising.", 0, MAX_NUMBER),
        "ce_epoch": _number("Counts the restarts of the session's media clock.", 0, MAX_NUMBER),
        "ce_mediastart": _number("Media time of the first sample, milliseconds since the start of the session.", 0, MAX_SESSION_MS),
        "ce_mediaduration": _number("Media covered, in milliseconds.", 1, MAX_CHUNK_MS),
        "ce_time": _text("Wall-clock time at which the last sample was captured (RFC 3339, with `Z` or an offset).", pattern=_TIME),
    }
    return _headers(f"Headers of a chunk of {modality}.", {**ENVELOPE, **own, **_TRACE}, optional=_TRACE)


def any_chunk_headers() -> Schema:
    """Headers of a chunk of any modality."""
    return {"description": "Headers of a chunk.", "oneOf": [chunk_headers(modality) for modality in MODALITIES]}


def event_headers() -> Schema:
    """Headers of a session event."""
    kinds = _text("Kind of the event; the same as `event` in the value.", pattern=f"^{SESSION_TYPE.replace('.', chr(92) + '.')}[a-z]+$")
    own = {"ce_type": kinds, **_WHEN, **_JSON, **_TRACE}
    return _headers("Headers of a session event.", {**ENVELOPE, **own}, optional=_TRACE)


def verdict_headers(kind: str) -> Schema:
    """Headers of what a person says: a verdict, its withdrawal, a decision."""
    own = {"ce_type": _text("Kind of the record.", const=kind), **_WHEN, **_JSON}
    return _headers("Headers of what a person says.", {**ENVELOPE, **own})


def suspect_headers(kind: str) -> Schema:
    """Headers of a verdict on a suspected artefact, which belongs to no tenant and no session."""
    envelope = {name: schema for name, schema in ENVELOPE.items() if name not in {"ce_subject", "ce_tenant"}}
    own = {"ce_type": _text("Kind of the record.", const=kind), **_WHEN, **_JSON}
    return _headers("Headers of a verdict on a suspected artefact.", {**envelope, **own})


def result_headers(kind: str) -> Schema:
    """Headers of a result of one kind: ``score``, ``explanation``, ``session``, ``alert``."""
    own: dict[str, Schema] = {
        "ce_type": _text("Kind of the record.", const=RESULT_TYPE + kind),
        "ce_epoch": _number("Epoch of the session's media clock.", 0, MAX_NUMBER),
        **_JSON,
    }
    if kind != "session":
        own |= {"ce_track": _name("Track."), "ce_role": _name("Role of the track.")}
    described = "Id of the record: readers recognise a repeat by it."
    return _headers(f"Headers of a record of the kind {kind}.", {**ENVELOPE, "ce_id": _text(described), **own, **_TRACE}, optional=_TRACE)


def webhook_headers() -> Schema:
    """Headers of a webhook, as standardwebhooks.com names them."""
    own = {
        "webhook-id": _text(
            "Id of the message: the same in every attempt. A message with a known id is a repeat.", pattern="^msg_[0-9a-f]{32}$"
        ),
        "webhook-timestamp": _text("When this attempt was signed, Unix seconds. Refuse old ones.", pattern=r"^\d+$"),
        "webhook-signature": _text(
            "Signatures, separated by spaces: `v1,` and base64 of the HMAC-SHA256 of `ID.TIMESTAMP.BODY`.",
            pattern="^v1,[A-Za-z0-9+/=]+( v1,.+)?$",
        ),
        **_JSON,
    }
    return _headers("Headers of a webhook.", own)


def dead_letter_headers() -> Schema:
    """Headers that a dead letter adds to those of its record."""
    own = {
        "dl_reason": _text("Why the record could not be used: a short code.", pattern="^[a-z_]+$"),
        "dl_detail": _text("One sentence that quotes nothing of the record.", maxLength=256),
        "dl_topic": _text("Topic in which the record was read."),
        "dl_partition": _text("Partition in which it was read.", pattern=_ANY_NUMBER),
        "dl_offset": _text("Offset at which it was read.", pattern=_ANY_NUMBER),
        "dl_attempt": _text("How often it was tried.", pattern=_ANY_NUMBER),
        "dl_lateby": _text("By how many milliseconds of media time it was late.", pattern=_ANY_NUMBER),
        "dl_cut": _text("Full length of a value that was cut.", pattern=_ANY_NUMBER),
        "dl_headersdropped": _text("Number of headers that were left out.", pattern=_ANY_NUMBER),
    }
    return _headers("Headers that a dead letter adds to those of the original record.", own, optional=own.keys() - {"dl_reason"})


def _headers(description: str, properties: Mapping[str, Schema], *, optional: Iterable[str] = ()) -> Schema:
    left_out = set(optional)
    return {
        "type": "object",
        "description": description,
        "properties": dict(properties),
        "required": [name for name in properties if name not in left_out],
    }
