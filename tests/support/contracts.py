"""Compares records with the committed schemas in ``docs/contracts``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from stream.config.project import PROJECT_ROOT

CONTRACTS = PROJECT_ROOT / "docs" / "contracts"

OF_TOPICS = {
    "chunks.text": ("words", "chunk-headers"),
    "chunks.audio": (None, "chunk-headers"),
    "chunks.video": (None, "chunk-headers"),
    "sessions": ("session-event", "session-event-headers"),
    "scores": ("score", "score-headers"),
    "explanations": ("explanation", "explanation-headers"),
    "session-summaries": ("session-summary", "session-summary-headers"),
    "alerts": ("alert", "alert-headers"),
    "feedback": ("verdict", "verdict-headers"),
    "chunks.dead-letter": (None, "dead-letter-headers"),
    "chunks.late": (None, "dead-letter-headers"),
}
"""The schemas of value and headers of each topic."""


@cache
def validator(name: str) -> Draft202012Validator:
    """Of the schema ``docs/contracts/schemas/NAME.json``."""
    schema = json.loads((CONTRACTS / "schemas" / f"{name}.json").read_text(encoding="utf-8"))
    return Draft202012Validator(schema, format_checker=FormatChecker())


def problems(name: str, value: Any) -> list[str]:
    """What a value has that its schema does not allow."""
    return [f"{name}: {'/'.join(map(str, error.absolute_path))}: {error.message}" for error in validator(name).iter_errors(value)]


def problems_of_record(topic: str, value: bytes, headers: Iterable[tuple[str, bytes]]) -> list[str]:
    """What a record of a topic (named without its prefix) has that the contracts do not allow."""
    of_value, of_headers = OF_TOPICS[topic]
    found = problems(of_headers, {name: text.decode() for name, text in headers})
    return found if of_value is None else found + problems(of_value, json.loads(value))
