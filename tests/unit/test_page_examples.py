"""The other blocks of code on the pages: JSON and YAML are what they show, and output is what the programs print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from typer.testing import CliRunner

from stream.cli.main import app
from stream.config.load import load_settings
from stream.domain.decision import Decision
from stream.domain.modality import Modality
from stream.gateway.verdict_routes import GivenVerdict
from stream.gateway.views import Batch, Hello
from stream.gateway.webhooks.receivers import new_secret, read_receivers
from stream.media.media_info import Problem, StreamInfo, StreamReport
from stream.produce.sent import SentWords, _loss, _word_warnings
from stream.rules.evaluate import RuleSet
from stream.rules.read import read_rules
from tests.support import contracts
from tests.support.page_blocks import Block, blocks

OUTPUTS = {
    ("docs/explanations.md", "|value - honest mean|"): "a formula",
    ("docs/research/model.md", "(1) h_i"): "formulas",
    ("docs/operations.md", "kafka.partitons: "): "test_the_mistakes_on_the_page_are_those_of_the_command",
    ("docs/operations.md", "user NAME on "): "tests/integration/test_redis_problems.py",
    ("docs/recordings.md", "warning: sound: "): "test_the_warnings_on_the_page_are_those_of_the_code",
    ("docs/gateway.md", "event: hello"): "test_the_events_on_the_page_are_those_of_the_gateway",
}
"""What each block of `text` shows, or which test compares it: page and begin of the first line."""


def test_every_output_is_known() -> None:
    shown = [block for block in blocks("text") if not any(page == block.page and block.text.startswith(begin) for page, begin in OUTPUTS)]
    assert shown == []
    assert len(blocks("text")) == len(OUTPUTS)


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.name)
def test_yaml_is_a_file_that_is_read(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "example.yaml"
    file.write_text(block.text, encoding="utf-8")
    kinds = set(yaml.safe_load(block.text))
    if kinds == {"rules"}:
        assert RuleSet(read_rules(file)).book.rules
    elif kinds == {"receivers"}:
        (tmp_path / "crm.secret").write_text(new_secret(), encoding="utf-8")
        assert read_receivers(file, private_addresses=False)
    else:
        load_settings(file)


def lines_of(start: str) -> list[str]:
    """The lines of the output on a page whose first line begins so."""
    (block,) = (block for block in blocks("text") if block.text.startswith(start))
    return block.text.splitlines()


def test_the_mistakes_on_the_page_are_those_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_text("# mistakes\nkafka:\n  partitons: 3\n", encoding="utf-8")
    monkeypatch.setenv("SENTISTREAM_TRITON__URL", "http://triton:8001")
    monkeypatch.setenv("SENTISTREAM_KAFAK__GROUP", "mine")
    result = CliRunner().invoke(app, ["config", "check", "--config", "my.yaml"])
    assert result.exit_code == 2
    assert sorted(result.output.splitlines()) == sorted(lines_of("kafka.partitons"))


def test_the_warnings_on_the_page_are_those_of_the_code() -> None:
    stream = StreamReport(StreamInfo(0, Modality.AUDIO, "aac"), 8000, 3200, lost_ms=4800, problems=(Problem.CUT_OFF,))
    warnings = [f"sound: {_loss(stream, stopped=False)}", *_word_warnings(SentWords(announced=13, sent=10, unrouted=3), stopped=False)]
    assert [f"warning: {text}" for text in warnings] == lines_of("warning:")


def test_the_events_on_the_page_are_those_of_the_gateway() -> None:
    hello, batch = "\n".join(lines_of("event: hello")).split("\n\n")
    kinds: dict[str, type[Hello | Batch]] = {"hello": Hello, "batch": Batch}
    for text in (hello, batch):
        event = dict(line.split(": ", 1) for line in text.splitlines())
        msgspec.json.decode(event["data"].replace("[…]", "[]"), type=kinds[event["event"]])
        fields = {field.encode_name for field in msgspec.structs.fields(kinds[event["event"]])}
        assert json.loads(event["data"].replace("[…]", "[]")).keys() <= fields


def problems(value: dict[str, Any]) -> list[str]:
    """What is wrong with an object that a page shows. What else it may be, `tests/unit/gateway/contracts` checks."""
    if "ready" in value:  # of /ready: `stream/agents/health.py`
        known = {"ready", "partitions", "reasons", "services", "word_claims"}
        return sorted(value.keys() - known) + [
            f"{name}: {sorted(found)}" for name, found in value["services"].items() if found.keys() != SERVICE
        ]
    if "outcome" in value:
        return wrong_with(value, Decision)
    if "verdict" in value:
        return contracts.problems("verdict", value) if "reviewer" in value else wrong_with(value, GivenVerdict)
    return contracts.problems("session-event", value)


SERVICE = {"code", "since", "lasting"}


def wrong_with(value: dict[str, Any], kind: type) -> list[str]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return [str(error)]
    return []


@pytest.mark.parametrize("block", [block for block in blocks("json") if block.page != "docs/records.md"], ids=lambda block: block.name)
def test_json_is_what_it_shows(block: Block) -> None:
    assert problems(json.loads(block.text)) == []
