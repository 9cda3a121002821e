"""The committed contracts are those of the code, they are valid, and records and examples keep to them."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from typer.testing import CliRunner

from stream.cli.main import app
from stream.config.project import PROJECT_ROOT
from stream.domain.chunk import ChunkHeader, ContentType
from stream.domain.delivery import InboundRecord
from stream.domain.features import Word
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.kafka_records import HEADER_NAMES, BadRecordError, chunk_headers, encode_words, parse_chunk, session_record
from stream.domain.modality import MODALITIES, Modality
from stream.domain.result import encode_record
from stream.domain.session_events import KeyedSessionEvent, SessionEnd, SessionHeartbeat, SessionStart, TrackEnd, TrackPlan
from stream.domain.topics import Topics
from stream.domain.verdict import Judgement, Mask, Span, Verdict, verdict_record
from stream.explain.session_summary import summarise
from stream.gateway.contracts.asyncapi import asyncapi
from stream.gateway.contracts.catalogue import CONTRACTS, schemas
from stream.gateway.contracts.files import contract_files
from stream.sinks.dead_letter import dead_letter_message, late_message
from stream.sinks.keys import session_names, track_names
from stream.sinks.results import result_message
from tests.fakes.results import SESSION, make_explanation, make_partial, make_score, make_sync
from tests.support import contracts

SPECIFICATION = Path(__file__).parents[3] / "data" / "asyncapi" / "3.0.0.json.gz"
JSON_IN_PAGES = re.compile(r"```json\n(.*?)```|`(\{[^`\n]+\})`", re.DOTALL)
TRACK = TrackKey(SESSION, "customer")
TYPES = {Modality.TEXT: ContentType.WORDS, Modality.AUDIO: ContentType.PCM, Modality.VIDEO: ContentType.JPEG}


def test_the_committed_files_are_those_of_the_code() -> None:
    committed = {str(file.relative_to(contracts.CONTRACTS)): file.read_bytes() for file in contracts.CONTRACTS.rglob("*.json")}
    generated = contract_files()
    stale = sorted(name for name in committed.keys() | generated if committed.get(name) != generated.get(name))
    assert stale == [], "run `sentistream schemas` and commit docs/contracts"


def test_the_command_writes_them(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["schemas", "--out", str(tmp_path / "new")])
    assert result.exit_code == 0
    assert {str(f.relative_to(tmp_path / "new")) for f in (tmp_path / "new").rglob("*.json")} == contract_files().keys()


def test_the_command_says_what_is_wrong_with_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = CliRunner().invoke(app, ["schemas", "--out", str(tmp_path / "file")])
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


@pytest.mark.parametrize("name", schemas())
def test_every_schema_is_valid_and_describes_its_fields(name: str) -> None:
    schema = schemas()[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema.get("title") or schema.get("description")
    for definition in schema.get("$defs", {}).values():
        assert definition["description"]
        assert "Attributes:" not in definition["description"]


def test_asyncapi_is_valid_and_has_every_topic() -> None:
    specification = json.loads(gzip.decompress(SPECIFICATION.read_bytes()))
    document = asyncapi()
    assert [error.message for error in jsonschema.Draft7Validator(specification).iter_errors(document)] == []
    addresses = {channel["address"] for channel in document["channels"].values()}
    topics = Topics()
    assert {*topics.inputs, *topics.outputs, topics.feedback} <= addresses
    assert not list(dangling(document, document))


def test_asyncapi_names_keys_of_redis_as_they_are() -> None:
    addresses = [channel["address"] for name, channel in asyncapi()["channels"].items() if name.startswith("redis-")]
    named = {address.format(sessionTag="{default/call-1}", track="customer") for address in addresses}
    assert len(named) >= 6
    assert named <= {*astuple(track_names(TRACK)), *astuple(session_names(SESSION))}


def dangling(node: Any, document: Any) -> Iterator[str]:
    """References that lead nowhere."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            target = document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target.get(part) if isinstance(target, dict) else None
            if target is None:
                yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from dangling(child, document)


def test_results_keep_to_the_contracts() -> None:
    score = make_score(4000, -1.0, sync=make_sync(151.0), arousal=0.25)
    for record, topic in ((score, "scores"), (make_score(4000, None), "scores"), (make_explanation(score), "explanations")):
        _, value, headers = result_message(record)
        assert contracts.problems_of_record(topic, value, headers) == []
    _, value, headers = result_message(summarise(SESSION, 0, [score]))
    assert contracts.problems_of_record("session-summaries", value, headers) == []
    assert contracts.problems("partial", json.loads(encode_record(make_partial(4000)))) == []


def test_a_wrong_result_is_noticed() -> None:
    value = json.loads(encode_record(make_score(4000, -1.0)))
    assert contracts.problems("score", value | {"event": "partial"})
    assert contracts.problems("score", value | {"tenant": "a/b"})
    assert contracts.problems("score", value | {"window_id": "default/call-1/customer"})
    assert contracts.problems("score", {name: field for name, field in value.items() if name != "probabilities"})


@pytest.mark.parametrize("modality", MODALITIES)
def test_chunks_keep_to_the_contract(modality: Modality) -> None:
    headers = chunk_headers(ChunkHeader("id", "source", TRACK, "customer", modality, 7, 0, 7000, 1000, 1_795_000_000_123, TYPES[modality]))
    payload = encode_words([Word("hello", 7100, 7400, 0.9, "Ann")], final=True)
    assert contracts.problems_of_record(f"chunks.{modality}", payload, headers) == []


def test_a_header_that_readers_need_is_required() -> None:
    header = ChunkHeader("id", "source", TRACK, "customer", Modality.AUDIO, 7, 0, 7000, 1000, 1_795_000_000_123, ContentType.PCM)
    headers = dict(chunk_headers(header))
    for name in headers:
        left = [(other, value) for other, value in headers.items() if other != name]
        try:
            parse_chunk(str(SESSION).encode(), b"\0\0", left, Modality.AUDIO)
        except BadRecordError:
            assert contracts.problems("chunk-headers", {other: value.decode() for other, value in left}), name
    described = {name for kind in contracts.validator("chunk-headers").schema["oneOf"] for name in kind["properties"]}
    assert described >= HEADER_NAMES


def test_session_events_and_verdicts_keep_to_the_contracts() -> None:
    plan = TrackPlan("customer", "customer", (Modality.TEXT,))
    for event in (SessionStart(0, (plan,)), SessionHeartbeat(0, 10), SessionEnd(0, 20, (TrackEnd("customer", {Modality.TEXT: 1}),))):
        _, value, headers = session_record(KeyedSessionEvent(SessionKey("default", "call-1"), event), "tests", 1_795_000_000_123)
        assert contracts.problems_of_record("sessions", value, headers) == []
    span = Span(Modality.AUDIO, 0, 900, Mask.NOT_EVIDENCE)
    window = make_score(4000).window_id
    verdict = Verdict(window_id=window, verdict=Judgement.ARTEFACT, reviewer="reviewer", given_at_ms=1, artefact="hiss", span=span)
    _, value, headers = verdict_record(verdict, "tests")
    assert contracts.problems_of_record("feedback", value, headers) == []


def test_dead_letters_keep_to_the_contract() -> None:
    record = InboundRecord("chunks.text", 3, 42, b"default/call-1", b"value", [("ce_id", b"7")], lambda: None)
    for topic, (_, value, headers) in (
        ("chunks.dead-letter", dead_letter_message(record, "bad_words", "the words are not JSON")),
        ("chunks.late", late_message(record, 120)),
    ):
        assert contracts.problems_of_record(topic, value, headers) == []


def examples() -> Iterator[tuple[str, Any]]:
    """Every JSON value in the pages for producers and consumers."""
    for name in ("records.md", "producers.md"):
        page = (PROJECT_ROOT / "docs" / name).read_text(encoding="utf-8")
        for block, inline in JSON_IN_PAGES.findall(page):
            text = block or inline
            if "…" in text or text == "{}":
                continue
            if text.startswith('"'):
                yield name, json.loads("{" + text + "}")
            elif block:
                for line in text.splitlines():
                    yield name, json.loads(line)
            else:
                yield name, json.loads(text)


def problems_of_example(value: dict[str, Any]) -> list[str]:
    if "words" in value:
        return contracts.problems("words", value)
    if value.get("event") in {"start", "heartbeat", "end", "consent"}:
        return contracts.problems("session-event", value)
    if "zero_ms" in value:
        value = {"run": value}
    base: dict[str, Any] = {}
    for record in (make_score(4000, -1.0), make_explanation(make_score(4000, -1.0))):
        if all(hasattr(record, field) for field in value):
            base = json.loads(encode_record(record))
            return contracts.problems(base["event"], base | value)
    return [f"belongs to no record: {sorted(value)}"]


@pytest.mark.parametrize(("page", "value"), examples())
def test_examples_in_pages_keep_to_the_contracts(page: str, value: dict[str, Any]) -> None:
    assert problems_of_example(value) == [], page


def test_pages_have_examples_of_every_kind() -> None:
    assert len(list(examples())) >= 7


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_what_the_schema_requires_the_type_requires(contract: Any) -> None:
    """A reader of a language of its own and ours agree about what may be left out."""
    kinds = [contract.type] if isinstance(contract.type, type) else contract.type.__args__
    for kind in kinds:
        schema = schemas()[contract.name]["$defs"][kind.__name__]
        needed = {field.encode_name for field in msgspec.structs.fields(kind) if field.required}
        assert set(schema["required"]) - {"event"} == needed
