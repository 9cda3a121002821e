"""The AsyncAPI 3 document: every Kafka topic and every stream, hash and channel in Redis, with the records in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from stream.domain.modality import MODALITIES
from stream.domain.topics import Topics
from stream.gateway.contracts.catalogue import EVERY_CONTRACT, HEADERS, STREAM_EVENTS, WEBHOOK
from stream.gateway.contracts.headers import chunk_headers
from stream.gateway.contracts.json_schemas import Schema, definitions
from stream.sinks import keys

JSON = "application/json"
_FEEDBACK = ("verdict", "verdict-withdrawal", "suspect-verdict")
_SESSION_PARAMETERS = {"sessionTag": {"description": "Tenant and session in braces, as Redis Cluster wants it: `{default/call-17}`."}}
_TRACK_PARAMETERS = {**_SESSION_PARAMETERS, "track": {"description": "Name of the track."}}


@dataclass(frozen=True, slots=True)
class _Channel:
    """A topic of Kafka, or a key or channel of Redis.

    Attributes:
        name: Its id in the document.
        address: Its name at the server, with parameters in braces; None if each receiver has its own.
        messages: Names of the messages in it.
        action: What sentistream does with it: ``send`` or ``receive``.
        text: What it holds.
        parameters: Those of the address.
    """

    name: str
    address: str | None
    messages: Sequence[str]
    action: str
    text: str
    parameters: Mapping[str, Any] | None = None


def asyncapi() -> dict[str, Any]:
    """The document."""
    topics, stores = _topics(Topics()), _stores()
    live = _Channel("live", "/api/v1/stream", [contract.name for contract in STREAM_EVENTS], "send", "Server-sent events.")
    webhook = _Channel("webhooks", None, [WEBHOOK.name], "send", "Messages that are posted to the addresses of receivers.")
    served = {"kafka": topics, "redis": stores, "gateway": [live], "receiver": [webhook]}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "sentistream",
            "version": version("sentistream"),
            "description": "Chunks of live conversations go in; explained scores, alerts and summaries come out. "
            "`kafka.topic_prefix` is put before every name of a topic.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": JSON,
        "servers": {
            "kafka": {"host": "127.0.0.1:9092", "protocol": "kafka", "description": "Setting `kafka.bootstrap`."},
            "redis": {"host": "127.0.0.1:6379", "protocol": "redis", "description": "Setting `redis.url`."},
            "gateway": {"host": "127.0.0.1:8080", "protocol": "http", "description": "Setting `gateway.port`."},
            "receiver": {"host": "hooks.example.com", "protocol": "https", "description": "A receiver in the file `webhooks.receivers`."},
        },
        "channels": {channel.name: _channel(channel, server) for server, channels in served.items() for channel in channels},
        "operations": {f"{c.action}-{c.name}": _operation(c) for channels in served.values() for c in channels},
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def _topics(topics: Topics) -> list[_Channel]:
    chunks = [
        _Channel(
            f"chunks-{modality}",
            topics.chunks(modality),
            [f"chunk-{modality}"],
            "receive",
            f"At most one second of {modality} of one track in a record of at most 900,000 bytes.",
        )
        for modality in MODALITIES
    ]
    return [
        *chunks,
        _Channel("sessions", topics.sessions, ["session-event"], "receive", "Start, heartbeat and end of sessions."),
        _Channel("scores", topics.scores, ["score"], "send", "One record for each final window."),
        _Channel("explanations", topics.explanations, ["explanation"], "send", "One record for each final window."),
        _Channel("session-summaries", topics.summaries, ["session-summary"], "send", "One record for each ended epoch of a session."),
        _Channel("alerts", topics.alerts, ["alert"], "send", "Alerts of rules, raised and cleared."),
        _Channel("dead-letters", topics.dead_letters, ["dead-letter"], "send", "Records that could not be used, and the reason."),
        _Channel("late-chunks", topics.late, ["dead-letter"], "send", "Chunks that came after their windows had closed."),
        _Channel(
            "feedback",
            topics.feedback,
            ["verdict", "verdict-withdrawal", "suspect-verdict"],
            "receive",
            "Verdicts of reviewers on windows.",
        ),
        _Channel("decisions", topics.decisions, ["decision"], "send", "Decisions of people on alerts, with the statement of reasons."),
    ]


def _stores() -> list[_Channel]:
    """What Redis holds of a session. The names are those of `stream.sinks.keys`."""
    base, track = f"{keys.PREFIX}:{{sessionTag}}", f"{keys.PREFIX}:{{sessionTag}}:{{track}}"
    per_track = [
        _Channel("redis-scores", f"{track}:scores", ["score"], "send", "Stream of final windows: id `EPOCH-END`, field `record`."),
        _Channel("redis-explanations", f"{track}:explanations", ["explanation"], "send", "Stream of explanations with the same ids."),
        _Channel("redis-partial", f"{track}:partial", ["partial"], "send", "Hash: field `record` is the result of the newest open window."),
    ]
    of_session = [
        _Channel("redis-alerts", f"{base}:alerts", ["alert"], "send", "Stream of alerts: field `record`."),
        _Channel("redis-summary", f"{base}:summary", ["session-summary"], "send", "Hash: field `record` is the session's summary."),
        _Channel("redis-nudge", f"{base}:nudge", ["nudge"], "send", "Publish/subscribe: the session has new results. It may be lost."),
    ]
    return [
        *(_with(channel, _TRACK_PARAMETERS) for channel in per_track),
        *(_with(channel, _SESSION_PARAMETERS) for channel in of_session),
    ]


def _with(channel: _Channel, parameters: Mapping[str, Any]) -> _Channel:
    return _Channel(channel.name, channel.address, channel.messages, channel.action, channel.text, parameters)


def _channel(channel: _Channel, server: str) -> dict[str, Any]:
    described: dict[str, Any] = {
        "address": channel.address,
        "description": channel.text,
        "servers": [{"$ref": f"#/servers/{server}"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in channel.messages},
    }
    return described | ({"parameters": dict(channel.parameters)} if channel.parameters else {})


def _operation(channel: _Channel) -> dict[str, Any]:
    messages = [{"$ref": f"#/channels/{channel.name}/messages/{name}"} for name in channel.messages]
    return {"action": channel.action, "channel": {"$ref": f"#/channels/{channel.name}"}, "summary": channel.text, "messages": messages}


def _messages() -> dict[str, Any]:
    by_contract = {
        contract.name: _message(contract.title, {"$ref": f"#/components/schemas/{contract.name}"}, headers=f"{contract.name}-headers")
        for contract in EVERY_CONTRACT
        if contract.name != "words"
    }
    chunks = {
        f"chunk-{modality}": {
            **_message(f"A chunk of {modality}", _CHUNK_PAYLOAD[modality], headers=f"chunk-{modality}-headers"),
            "contentType": "application/octet-stream",
        }
        for modality in MODALITIES
    }
    letter = {**_message("A record that could not be used", {"description": "The original value."}, headers="dead-letter-headers")}
    nudge = {"title": "A session has new results", "contentType": "text/plain", "payload": {"type": "string", "description": "A track."}}
    return by_contract | chunks | {"dead-letter": letter | {"contentType": "application/octet-stream"}, "nudge": nudge}


_MEDIA: Schema = {"type": "string", "format": "binary", "description": "The media itself, as the header `content-type` says."}
_CHUNK_PAYLOAD: Mapping[str, Schema] = {
    "text": {"description": "Words, or features as safetensors.", "anyOf": [{"$ref": "#/components/schemas/words"}, _MEDIA]},
    "audio": _MEDIA,
    "video": _MEDIA,
}


def _message(title: str, payload: Schema, *, headers: str) -> dict[str, Any]:
    message: dict[str, Any] = {"title": title, "contentType": JSON, "payload": payload}
    if headers in _HEADERS:
        message["headers"] = {"$ref": f"#/components/schemas/{headers}"}
        if not headers.startswith(WEBHOOK.name):
            key = {"type": "string", "description": "`tenant/session`"}
            message["bindings"] = {"kafka": {"key": key, "bindingVersion": "0.5.0"}}
    return message


_HEADERS: Mapping[str, Schema] = {**HEADERS, **{f"chunk-{modality}-headers": chunk_headers(modality) for modality in MODALITIES}}


def _schemas() -> dict[str, Schema]:
    refs, found = definitions([contract.type for contract in EVERY_CONTRACT], "#/components/schemas/{name}")
    named = {contract.name: ref for contract, ref in zip(EVERY_CONTRACT, refs, strict=True)}
    headers = {name: schema for name, schema in _HEADERS.items() if name != "chunk-headers"}
    return named | headers | found
