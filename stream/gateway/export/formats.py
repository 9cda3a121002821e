"""Writes the records of a session as a file, piece by piece. Pure: the caller reads and sends; nothing but one window is held."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from stream.domain.alert import AlertRecord
from stream.domain.identity import SessionKey
from stream.domain.modality import MODALITIES
from stream.domain.result import ExplanationRecord, PartialRecord, Record, ScoreRecord, SessionRecord, encode_record

Records = AsyncIterator[Record]


class ExportFormat(StrEnum):
    """How a session is written."""

    JSONL = "jsonl"
    """Every record as it was published, one a line."""
    CSV = "csv"
    """A row for each final window."""
    VCON = "vcon"
    """A vCon (draft-ietf-vcon-vcon-core) with parties and analysis, and without dialog: it has no media."""


MEDIA_TYPES = {ExportFormat.JSONL: "application/jsonl", ExportFormat.CSV: "text/csv; charset=utf-8", ExportFormat.VCON: "application/vcon"}

LABELS = ("negative", "neutral", "positive")
COLUMNS = (
    *("window_id", "track", "role", "epoch", "start_ms", "end_ms", "media_end_at", "score", "label", "confidence"),
    *LABELS,
    "arousal",
    *(f"contribution_{modality}" for modality in MODALITIES),
    *("earlier_windows", "base_score", "modalities_present", "modalities_expected", "modalities_withheld", "warnings", "sentence"),
)
"""The columns of CSV; docs/api.md says what they mean."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes a spreadsheet take a text for a formula, if the cell begins with it."""

VCON_VERSION = "0.4.0"
SCHEMA_ID = "urn:sentistream:schema:"
_VCON_NAMES = "https://sentistream.io/vcon/"


async def export(records: Records, kind: ExportFormat, session: SessionKey, now_ms: int) -> AsyncIterator[bytes]:
    """The file, in pieces. Partial results are left out.

    Args:
        records: Of one session, each score followed by its explanation if there is one.
        kind: The format.
        session: The session.
        now_ms: Wall clock (Unix ms), for the formats that say when they were made.
    """
    finals = (record async for record in records if not isinstance(record, PartialRecord))
    match kind:
        case ExportFormat.JSONL:
            async for record in finals:
                yield encode_record(record) + b"\n"
        case ExportFormat.CSV:
            yield _line(COLUMNS)
            async for score, why in _windows(finals):
                yield _line(_row(score, why))
        case ExportFormat.VCON:
            async for piece in _vcon(finals, session, now_ms):
                yield piece


async def _windows(records: Records) -> AsyncIterator[tuple[ScoreRecord, ExplanationRecord | None]]:
    """Each score with its explanation."""
    waiting: ScoreRecord | None = None
    async for record in records:
        if isinstance(record, ExplanationRecord) and waiting is not None and record.window_id == waiting.window_id:
            yield waiting, record
            waiting = None
            continue
        if isinstance(record, ScoreRecord):
            if waiting is not None:
                yield waiting, None
            waiting = record
    if waiting is not None:
        yield waiting, None


def _row(score: ScoreRecord, why: ExplanationRecord | None) -> Sequence[object]:
    at_ms = score.media_end_at_ms
    contributions = {} if why is None else why.contributions
    return (
        *(score.window_id, score.track, score.role, score.epoch, score.start_ms, score.end_ms),
        "" if at_ms is None else _time(at_ms),
        *(score.score, score.label, score.confidence),
        *(score.probabilities.get(label) for label in LABELS),
        score.arousal,
        *(contributions.get(modality) for modality in MODALITIES),
        *((None, None) if why is None else (why.earlier_windows, why.base_score)),
        " ".join(score.modalities_present),
        " ".join(score.modalities_expected),
        " ".join(f"{modality}:{reason}" for modality, reason in score.withheld.items()),
        " ".join(score.warnings),
        "" if why is None else why.sentence,
    )


def _line(cells: Sequence[object]) -> bytes:
    """A line of CSV (RFC 4180, UTF-8)."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow([_cell(cell) for cell in cells])
    return text.getvalue().encode()


def _cell(value: object) -> object:
    """A number as it is; a text that a spreadsheet would take for a formula with an apostrophe before it."""
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA):
        return "'" + value
    return "" if value is None else value


async def _vcon(records: Records, session: SessionKey, now_ms: int) -> AsyncIterator[bytes]:
    """A vCon with an analysis for each record. The parties come last: who they are is known only at the end."""
    roles: dict[str, str] = {}
    head = {
        "vcon": VCON_VERSION,
        "uuid": str(_vcon_id(session, now_ms)),
        "extensions": ["CC"],
        "created_at": _time(now_ms),
        "dialog": [],
        "attachments": [],
    }
    yield msgspec.json.encode(head)[:-1] + b',"analysis":['
    between = b""
    async for record in records:
        if isinstance(record, ScoreRecord):
            roles.setdefault(record.track, record.role)
        yield between + msgspec.json.encode(_analysis(record))
        between = b","
    parties = [{"role": role} for role in roles.values()]
    yield b'],"parties":' + msgspec.json.encode(parties) + b"}\n"


_ANALYSES: Mapping[type, str] = {
    ScoreRecord: "sentiment",
    ExplanationRecord: "explanation",
    AlertRecord: "report",
    SessionRecord: "summary",
}


def _analysis(record: Record) -> dict[str, object]:
    """The body is text, as that of every file in a vCon; it holds the record as JSON."""
    return {
        "type": _ANALYSES[type(record)],
        "dialog": [],
        "mediatype": "application/json",
        "vendor": "sentistream",
        "product": "sentistream",
        "schema": f"{SCHEMA_ID}{record.__struct_config__.tag}",
        "encoding": "json",
        "body": encode_record(record).decode(),
    }


def _vcon_id(session: SessionKey, now_ms: int) -> UUID:
    """A UUID of version 8 (RFC 9562), made of the session and the time."""
    digest = bytearray(hashlib.sha256(f"{_VCON_NAMES}{session}/{now_ms}".encode()).digest()[:16])
    digest[6], digest[8] = 0x80 | digest[6] & 0x0F, 0x80 | digest[8] & 0x3F
    return UUID(bytes=bytes(digest))


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
