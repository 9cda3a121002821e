"""Verdicts: what a reviewer says of a window's explanation. Records of the topic ``feedback``."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from stream.domain.chunk import SCHEMA_VERSION
from stream.domain.identity import SessionKey, check_name
from stream.domain.kafka_records import BYTE_ORDER_MARK, BadRecordError, Headers
from stream.domain.media_format import MAX_SESSION_MS
from stream.domain.modality import Modality

VERDICT_TYPE = "io.sentistream.verdict"
WITHDRAWAL_TYPE = "io.sentistream.verdict-withdrawal"
SUSPECT_TYPE = "io.sentistream.suspect-verdict"
MAX_VERDICT_BYTES = 4_096
MAX_ARTEFACT_CHARACTERS = 64

MediaMs = Annotated[int, msgspec.Meta(ge=0, le=MAX_SESSION_MS)]
UnixMs = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
VerdictId = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]


class Judgement(StrEnum):
    """What a reviewer may say."""

    RIGHT = "right"
    WRONG = "wrong"
    RIGHT_FOR_WRONG_REASON = "right_for_wrong_reason"
    ARTEFACT = "artefact"
    """A nuisance moves the score here, and must not."""
    GENUINE = "genuine"
    """What looks like a nuisance is a sign of the feeling here."""


class Mask(StrEnum):
    """What the span of a verdict says."""

    EVIDENCE = "evidence"
    """Positive: the feeling shows here."""
    NOT_EVIDENCE = "not_evidence"
    """Negative: this must not be used."""


class Span(msgspec.Struct, frozen=True):
    """A span of one modality that a verdict points at, in media milliseconds, and what it says of it."""

    modality: Modality
    start_ms: MediaMs
    end_ms: MediaMs
    mask: Mask

    def __post_init__(self) -> None:
        if self.end_ms <= self.start_ms:
            raise ValueError("a span must end after it starts")


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reviewer's verdict.

    Attributes:
        window_id: ``tenant/session/track/EPOCH-END`` of a final window.
        verdict: What is said.
        reviewer: The reviewer's role, never a name.
        given_at_ms: Wall clock (Unix ms).
        artefact: Name of the nuisance; needed for ``artefact`` and ``genuine``.
        span: What it is about; None for the whole window.
    """

    window_id: str
    verdict: Judgement
    reviewer: str
    given_at_ms: UnixMs
    artefact: str | None = None
    span: Span | None = None

    def __post_init__(self) -> None:
        session_of(self.window_id)
        check_name("reviewer", self.reviewer)
        if self.artefact is None and self.verdict in {Judgement.ARTEFACT, Judgement.GENUINE}:
            raise ValueError(f"the verdict {self.verdict} needs the name of an artefact")
        if self.artefact is not None and (
            not 0 < len(self.artefact) <= MAX_ARTEFACT_CHARACTERS or not self.artefact.isascii() or not self.artefact.isprintable()
        ):
            raise ValueError(f"an artefact's name has 1 to {MAX_ARTEFACT_CHARACTERS} printable ASCII characters")


class Withdrawal(msgspec.Struct, frozen=True, kw_only=True):
    """Takes a verdict back. It has the verdict's key, so it stands after the verdict in the same partition.

    Attributes:
        verdict_id: ``ce_id`` of the verdict.
        window_id: The window of the verdict.
        given_at_ms: Wall clock (Unix ms).
    """

    verdict_id: VerdictId
    window_id: str
    given_at_ms: UnixMs

    def __post_init__(self) -> None:
        session_of(self.window_id)


class SuspectJudgement(StrEnum):
    """What a reviewer may say of a suspected artefact."""

    ARTEFACT = "artefact"
    """It moves scores, and must not."""
    GENUINE = "genuine"
    """It is a sign of the feeling."""
    UNSURE = "unsure"


class SuspectVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """A reviewer's verdict on a suspected artefact as such, without a window.

    Attributes:
        artefact: Its name, as in the report.
        verdict: What is said.
        reviewer: The reviewer's role, never a name.
        given_at_ms: Wall clock (Unix ms).
    """

    artefact: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ARTEFACT_CHARACTERS, pattern="^[ -~]*$")]
    verdict: SuspectJudgement
    reviewer: str
    given_at_ms: UnixMs

    def __post_init__(self) -> None:
        check_name("reviewer", self.reviewer)

    @property
    def key(self) -> bytes:
        """Key of its record."""
        return f"artefact/{self.artefact}".encode("ascii")


Feedback = Verdict | Withdrawal | SuspectVerdict


def session_of(window_id: str) -> SessionKey:
    """The session of a window. Raises ``ValueError``; the message never repeats the id."""
    tenant, _, rest = window_id.partition("/")
    session, _, rest = rest.partition("/")
    track, _, place = rest.partition("/")
    epoch, _, end = place.partition("-")
    if not (epoch.isdecimal() and end.isdecimal() and place.isascii()):
        raise ValueError("a window id is TENANT/SESSION/TRACK/EPOCH-END, as in its records")
    check_name("track", track)
    return SessionKey(tenant, session)


_DECODERS: Mapping[bytes, msgspec.json.Decoder[Verdict] | msgspec.json.Decoder[Withdrawal] | msgspec.json.Decoder[SuspectVerdict]] = {
    VERDICT_TYPE.encode("ascii"): msgspec.json.Decoder(Verdict),
    WITHDRAWAL_TYPE.encode("ascii"): msgspec.json.Decoder(Withdrawal),
    SUSPECT_TYPE.encode("ascii"): msgspec.json.Decoder(SuspectVerdict),
}


def new_verdict_id() -> str:
    """An id for a verdict, for ``ce_id``."""
    return uuid.uuid4().hex


def verdict_record(verdict: Verdict, source: str, verdict_id: str | None = None) -> tuple[bytes, bytes, Headers]:
    """Key, value and headers of a record of the topic ``feedback``; without an id it gets a new one."""
    return _record(verdict, VERDICT_TYPE, verdict_id or new_verdict_id(), source)


def withdrawal_record(withdrawal: Withdrawal, source: str) -> tuple[bytes, bytes, Headers]:
    """Key, value and headers of the record that takes a verdict back."""
    return _record(withdrawal, WITHDRAWAL_TYPE, f"{withdrawal.verdict_id}-withdrawn", source)


def suspect_record(verdict: SuspectVerdict, source: str) -> tuple[bytes, bytes, Headers]:
    """Key, value and headers of a verdict on a suspected artefact. It belongs to no tenant and no session."""
    headers = _headers(SUSPECT_TYPE, new_verdict_id(), source, verdict.given_at_ms)
    return verdict.key, msgspec.json.encode(verdict), _encoded(headers)


def _record(value: Verdict | Withdrawal, kind: str, record_id: str, source: str) -> tuple[bytes, bytes, Headers]:
    session = session_of(value.window_id)
    headers = _headers(kind, record_id, source, value.given_at_ms) | {"ce_subject": session.session, "ce_tenant": session.tenant}
    return str(session).encode("ascii"), msgspec.json.encode(value), _encoded(headers)


def _headers(kind: str, record_id: str, source: str, given_at_ms: int) -> dict[str, str]:
    return {
        "ce_specversion": "1.0",
        "ce_id": record_id,
        "ce_source": source,
        "ce_type": kind,
        "ce_time": datetime.fromtimestamp(given_at_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        "content-type": "application/json",
        "ce_schemaversion": SCHEMA_VERSION,
    }


def _encoded(headers: dict[str, str]) -> Headers:
    return [(name, text.encode("ascii")) for name, text in headers.items()]


def parse_feedback(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]]) -> tuple[str, Feedback]:
    """Read a record of the topic ``feedback``, and its ``ce_id``. Raises `BadRecordError`; the message never quotes a value."""
    if not value:
        raise BadRecordError("empty", "the record is empty")
    if len(value) > MAX_VERDICT_BYTES:
        raise BadRecordError("too_large", f"the verdict is larger than {MAX_VERDICT_BYTES} bytes")
    found = dict(headers)
    decoder = _DECODERS.get(found.get("ce_type", b""))
    if decoder is None:
        raise BadRecordError("wrong_type", f"ce_type must be {VERDICT_TYPE}, {WITHDRAWAL_TYPE} or {SUSPECT_TYPE} in this topic")
    try:
        said = decoder.decode(value.removeprefix(BYTE_ORDER_MARK))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise BadRecordError("bad_verdict", "the verdict is not JSON with the expected fields and values") from None
    expected = said.key if isinstance(said, SuspectVerdict) else str(session_of(said.window_id)).encode("ascii")
    if key != expected:
        raise BadRecordError("key_mismatch", "the key must be the tenant/session of window_id, or artefact/NAME")
    return found.get("ce_id", b"").decode("ascii", "replace"), said


def standing(feedback: Iterable[tuple[str, Feedback]]) -> list[Verdict | SuspectVerdict]:
    """The verdicts that were not taken back. A withdrawal counts only if it names the window of its verdict."""
    verdicts: dict[object, Verdict | SuspectVerdict] = {}
    taken_back = set()
    for number, (record_id, said) in enumerate(feedback):
        if isinstance(said, Withdrawal):
            taken_back.add((said.verdict_id, said.window_id))
        else:
            # A record without an id cannot be taken back, and is no repeat of another.
            verdicts[record_id or number] = said
    return [
        said for record_id, said in verdicts.items() if isinstance(said, SuspectVerdict) or (record_id, said.window_id) not in taken_back
    ]
