"""Makes messages of results. Pure: the same result gives the same id and the same content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from stream.domain.alert import AlertMode, AlertRecord, AlertState, Severity
from stream.domain.result import SessionRecord
from stream.explain.text_view import alert_without_text, without_text
from stream.gateway.views import WindowResult
from stream.gateway.webhooks.receivers import Kind, Receiver
from stream.sinks.webhook_outbox import StoredMessage

News = AlertRecord | WindowResult | SessionRecord
"""What a receiver may be told of."""

_URGENCY = {severity: place for place, severity in enumerate(Severity)}
Outgoing = tuple[str, str, StoredMessage]
"""Receiver, id of the message, message."""


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    """What all messages have.

    Attributes:
        timestamp: When the message was made (RFC 3339).
    """

    timestamp: str


class AlertRaised(_Body, frozen=True, kw_only=True, tag_field="type", tag="alert.raised"):
    """A rule raised an alert."""

    data: AlertRecord


class AlertCleared(_Body, frozen=True, kw_only=True, tag_field="type", tag="alert.cleared"):
    """An alert has ended."""

    data: AlertRecord


class WindowFinal(_Body, frozen=True, kw_only=True, tag_field="type", tag="window.final"):
    """A window is final."""

    data: WindowResult


class SessionEnded(_Body, frozen=True, kw_only=True, tag_field="type", tag="session.ended"):
    """A session has ended."""

    data: SessionRecord


WebhookBody = AlertRaised | AlertCleared | WindowFinal | SessionEnded
"""What a receiver gets, as JSON."""


def messages_for(receivers: Sequence[Receiver], news: News, now_ms: int) -> Iterator[Outgoing]:
    """The message about a result for each receiver that wants it."""
    kind, record_id = _nature(news)
    tenant, session = _session(news)
    bodies: dict[bool, WebhookBody] = {}
    for receiver in receivers:
        if not receiver.wants(tenant, kind) or not _is_urgent(receiver, news):
            continue
        if receiver.words not in bodies:
            bodies[receiver.words] = _body(_disclosed(news, words=receiver.words), _time(now_ms))
        body = bodies[receiver.words]
        name = str(type(body).__struct_config__.tag)
        message_id = "msg_" + hashlib.sha256(f"{receiver.name} {name} {record_id}".encode()).hexdigest()[:32]
        message = StoredMessage(session=f"{tenant}/{session}", kind=name, created_ms=now_ms, body=msgspec.json.encode(body).decode())
        yield receiver.name, message_id, message


def _nature(news: News) -> tuple[Kind, str]:
    """Kind and id of a record."""
    match news:
        case AlertRecord():
            return Kind.ALERTS, news.alert_id
        case WindowResult():
            return Kind.FINALS, news.score.window_id
        case SessionRecord():
            return Kind.SUMMARIES, f"{news.tenant}/{news.session}/{news.epoch}/{news.windows}"


def _body(news: News, timestamp: str) -> WebhookBody:
    match news:
        case AlertRecord(state=AlertState.RAISED):
            return AlertRaised(timestamp=timestamp, data=news)
        case AlertRecord():
            return AlertCleared(timestamp=timestamp, data=news)
        case WindowResult():
            return WindowFinal(timestamp=timestamp, data=news)
        case SessionRecord():
            return SessionEnded(timestamp=timestamp, data=news)


def _session(news: News) -> tuple[str, str]:
    record = news.score if isinstance(news, WindowResult) else news
    return record.tenant, record.session


def _is_urgent(receiver: Receiver, news: News) -> bool:
    if not isinstance(news, AlertRecord):
        return True
    return news.mode is AlertMode.LIVE and _URGENCY[news.severity] >= _URGENCY[receiver.min_severity]


def _disclosed(news: News, *, words: bool) -> News:
    match news:
        case AlertRecord() if not words:
            return alert_without_text(news)
        case WindowResult(explanation=explanation) if not words and explanation is not None:
            return WindowResult(score=news.score, explanation=without_text(explanation))
        case _:
            return news


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


HEADERS: Mapping[str, str] = {"Content-Type": "application/json", "User-Agent": "sentistream-webhooks/1"}
