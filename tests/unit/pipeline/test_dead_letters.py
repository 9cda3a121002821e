"""A dead letter says what its client has done with the record, and quotes nothing of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from stream.domain.delivery import InboundRecord
from stream.domain.kafka_records import Headers
from tests.fakes.processing_context import FakeWorker

Change = Callable[[InboundRecord], InboundRecord]


def _headers(change: Callable[[str, bytes], tuple[str, bytes]]) -> Change:
    return lambda record: replace(record, headers=[change(name, value) for name, value in record.headers])


def _value(change: Callable[[bytes], bytes]) -> Change:
    return lambda record: replace(record, value=change(record.value or b""))


def _structured(record: InboundRecord) -> InboundRecord:
    event = {"specversion": "1.0", "subject": "call-1", "data_base64": base64.b64encode(record.value or b"").decode()}
    headers: Headers = [("content-type", b"application/cloudevents+json")]
    return replace(record, value=json.dumps(event).encode(), headers=headers)


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        (lambda record: replace(record, key=b'"acme/call-1"'), "key_mismatch", "the key is in quotes"),
        (lambda record: replace(record, key=b"\0\0\0\0\7acme/call-1"), "key_mismatch", "schema registry"),
        (_headers(lambda name, value: (name.replace("ce_", "ce-"), value)), "missing_header", "begin with ce_"),
        (_headers(lambda name, value: (name, b'"' + value + b'"')), "unsupported_version", "ce_schemaversion is in quotes"),
        (_structured, "missing_header", "structured mode"),
        (_value(lambda value: json.dumps(value.decode()).encode()), "bad_words", "JSON within a JSON string"),
        (_value(lambda value: json.dumps({"type": "Buffer", "data": [*value]}).encode()), "bad_words", "Node.js Buffer"),
        (_value(base64.b64encode), "bad_words", "base64"),
        (_value(lambda value: value[:-1]), "bad_words", "the words are not JSON"),
    ],
)
async def test_the_detail_names_what_was_done(change: Change, reason: str, words: str) -> None:
    worker = FakeWorker()
    await worker.feed(change(worker.words(0)))
    assert worker.reasons() == [reason]
    (letter,) = worker.sent[worker.topics.dead_letters]
    detail = dict(letter[2])["dl_detail"].decode()
    assert words in detail
    assert "secretword" not in detail
