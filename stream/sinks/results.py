"""Builds the records of the result topics: CloudEvents 1.0 in Kafka binary mode, like the chunks, with a JSON value."""

from __future__ import annotations

from stream.domain.alert import AlertRecord
from stream.domain.chunk import SCHEMA_VERSION
from stream.domain.identity import SessionKey
from stream.domain.kafka_records import Headers
from stream.domain.result import ExplanationRecord, PartialRecord, ScoreRecord, SessionRecord, encode_record

RESULT_TYPE = "io.sentistream.result."
SOURCE = "sentistream"

Message = tuple[bytes, bytes, Headers]
"""Key, value and headers of a Kafka record."""

Result = ScoreRecord | ExplanationRecord | AlertRecord | SessionRecord


def result_message(record: Result) -> Message:
    """Key (``tenant/session``), value and headers of a result; a function of the record alone, so that a repeat is identical.

    ``ce_id`` is the window id, the alert id, or ``tenant/session/EPOCH`` for a session's summary: readers recognise a repeat by it. Raises
    ``ValueError`` for a partial record, which is written to Redis only.
    """
    if isinstance(record, PartialRecord):
        raise ValueError("a partial result is not published")
    session = SessionKey(record.tenant, record.session)
    headers = {
        "ce_specversion": "1.0",
        "ce_id": _id(record, session),
        "ce_source": SOURCE,
        "ce_type": RESULT_TYPE + _name(record),
        "ce_subject": record.session,
        "content-type": "application/json",
        "ce_tenant": record.tenant,
        "ce_epoch": str(record.epoch),
        "ce_schemaversion": SCHEMA_VERSION,
    }
    if not isinstance(record, SessionRecord):
        headers["ce_track"] = record.track
        headers["ce_role"] = record.role
    return str(session).encode("ascii"), encode_record(record), [(name, text.encode("ascii")) for name, text in headers.items()]


def _id(record: Result, session: SessionKey) -> str:
    match record:
        case SessionRecord():
            return f"{session}/{record.epoch}"
        case AlertRecord():
            return record.alert_id
        case _:
            return record.window_id


def _name(record: Result) -> str:
    match record:
        case ScoreRecord():
            return "score"
        case ExplanationRecord():
            return "explanation"
        case AlertRecord():
            return "alert"
        case SessionRecord():
            return "session"
