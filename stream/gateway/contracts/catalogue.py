"""What is published: every record with its type and its schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stream.domain.alert import AlertRecord
from stream.domain.decision import DECISION_TYPE, DecisionRecord
from stream.domain.kafka_records import WordsOnWire
from stream.domain.result import ExplanationRecord, PartialRecord, ScoreRecord, SessionRecord
from stream.domain.session_events import SessionEvent
from stream.domain.verdict import SUSPECT_TYPE, VERDICT_TYPE, WITHDRAWAL_TYPE, SuspectVerdict, Verdict, Withdrawal
from stream.gateway.contracts import headers
from stream.gateway.contracts.json_schemas import Schema, standalone
from stream.gateway.views import Batch, Gap, Hello, Stale
from stream.gateway.webhooks.messages import WebhookBody


@dataclass(frozen=True, slots=True)
class Contract:
    """A record as JSON.

    Attributes:
        name: File name without its ending, and the last part of the schema's id.
        type: The type that reads and writes it.
        title: What it is, for people.
    """

    name: str
    type: Any
    title: str


CONTRACTS = (
    Contract("score", ScoreRecord, "Final score of a window"),
    Contract("partial", PartialRecord, "Score of a window that is still open"),
    Contract("explanation", ExplanationRecord, "Why a final window got its score"),
    Contract("session-summary", SessionRecord, "Summary of a session"),
    Contract("alert", AlertRecord, "Alert of a rule, raised or cleared"),
    Contract("words", WordsOnWire, "Words of a text chunk"),
    Contract("session-event", SessionEvent, "Start, heartbeat or end of a session"),
    Contract("verdict", Verdict, "Verdict of a reviewer on a window"),
    Contract("verdict-withdrawal", Withdrawal, "Takes a verdict back"),
    Contract("suspect-verdict", SuspectVerdict, "Verdict of a reviewer on a suspected artefact"),
    Contract("decision", DecisionRecord, "Decision of a person on an alert"),
)
"""Every record of Kafka and Redis that is JSON."""

STREAM_EVENTS = (
    Contract("hello", Hello, "First event of a live stream"),
    Contract("batch", Batch, "What is new since the batch before"),
    Contract("gap", Gap, "Something is missing in the stream"),
    Contract("stale", Stale, "The stream stands still, or goes on again"),
)
"""The events of the gateway's live stream (server-sent events); the name is that of the event."""

WEBHOOK = Contract("webhook", WebhookBody, "Message of a webhook")

EVERY_CONTRACT = (*CONTRACTS, *STREAM_EVENTS, WEBHOOK)

HEADERS: Mapping[str, Schema] = {
    "chunk-headers": headers.any_chunk_headers(),
    "session-event-headers": headers.event_headers(),
    "verdict-headers": headers.verdict_headers(VERDICT_TYPE),
    "verdict-withdrawal-headers": headers.verdict_headers(WITHDRAWAL_TYPE),
    "suspect-verdict-headers": headers.suspect_headers(SUSPECT_TYPE),
    "decision-headers": headers.verdict_headers(DECISION_TYPE),
    "score-headers": headers.result_headers("score"),
    "explanation-headers": headers.result_headers("explanation"),
    "session-summary-headers": headers.result_headers("session"),
    "alert-headers": headers.result_headers("alert"),
    "webhook-headers": headers.webhook_headers(),
    "dead-letter-headers": headers.dead_letter_headers(),
}
"""The headers of records in Kafka, and of webhooks."""


def schemas() -> dict[str, Schema]:
    """Every schema by its name."""
    of_records = {contract.name: standalone(contract.type, contract.name, contract.title) for contract in EVERY_CONTRACT}
    of_headers = {
        name: {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:sentistream:schema:{name}", **schema}
        for name, schema in HEADERS.items()
    }
    return of_records | of_headers
