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


class WebhookBody(msgspec.Struct, frozen=True, kw_only=True):
    """What a receiver gets, as JSON.

    Attributes:
        type: ``alert.raised``, ``alert.cleared``, ``window.final`` or ``session.ended``.
        timestamp: When the message was made (RFC 3339).
        data: The alert, the window (its score and its explanation), or the summary of the session.
    """

    type: str
    timestamp: str
    data: AlertRecord | WindowResult | SessionRecord


def messages_for(receivers: Sequence[Receiver], news: News, now_ms: int) -> Iterator[Outgoing]:
    """The message about a result for each receiver that wants it."""
    kind, record_id, name = _nature(news)
    tenant, session = _session(news)
    bodies: dict[bool, str] = {}
    for receiver in receivers:
        if not receiver.wants(tenant, kind) or not _is_urgent(receiver, news):
            continue
        if receiver.words not in bodies:
            told = WebhookBody(type=name, timestamp=_time(now_ms), data=_disclosed(news, words=receiver.words))
            bodies[receiver.words] = msgspec.json.encode(told).decode()
        message_id = "msg_" + hashlib.sha256(f"{receiver.name} {name} {record_id}".encode()).hexdigest()[:32]
        message = StoredMessage(session=f"{tenant}/{session}", kind=name, created_ms=now_ms, body=bodies[receiver.words])
        yield receiver.name, message_id, message


def _nature(news: News) -> tuple[Kind, str, str]:
    """Kind, id of the record, and name of the message."""
    match news:
        case AlertRecord():
            return Kind.ALERTS, news.alert_id, "alert.raised" if news.state is AlertState.RAISED else "alert.cleared"
        case WindowResult():
            return Kind.FINALS, news.score.window_id, "window.final"
        case SessionRecord():
            return Kind.SUMMARIES, f"{news.tenant}/{news.session}/{news.epoch}/{news.windows}", "session.ended"


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
