"""`sentistream config check --connect` on real services: what can be used, what is wrong, and the exit code for each."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from stream.cli.config import app
from stream.config.settings import Settings
from stream.kafka_admin.topics import ensure_topics
from stream.local.environment import settings_environment
from stream.local.ports import LOOPBACK, free_port
from stream.local.triton import TritonServer


def check(settings: Settings, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str]:
    for name, value in settings_environment(settings).items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(app, ["check", "--connect", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout


def as_json(settings: Settings, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, Any]:
    code, output = check(settings, monkeypatch, "--json", *arguments)
    return code, json.loads(output)


def test_services_that_fit_can_be_used(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    code, answer = as_json(settings, monkeypatch)
    assert (code, answer["valid"]) == (0, True)
    assert [problem["code"] for problem in answer["services"]["kafka"]["problems"]] == ["topics_missing"]
    ensure_topics(settings.kafka)
    assert check(settings, monkeypatch) == (0, "the settings are valid\nkafka: can be used\nredis: can be used\ntriton: can be used\n")


def test_a_wrong_port_is_3_and_an_outage_is_1(settings: Settings, triton_server: TritonServer, monkeypatch: pytest.MonkeyPatch) -> None:
    code, answer = as_json(settings, monkeypatch, "--triton", f"{LOOPBACK}:{triton_server.ports.http}")
    assert code == 3
    assert [name for name, service in answer["services"].items() if not service["usable"]] == ["triton"]
    assert answer["services"]["triton"]["problems"] == [
        {
            "code": "wrong_port",
            "text": f"{LOOPBACK}:{triton_server.ports.http} is Triton's HTTP port; "
            "--triton or triton.url needs its gRPC port (by default 8001)",
            "lasting": True,
            "serious": True,
        }
    ]
    code, output = check(settings, monkeypatch, "--kafka", f"{LOOPBACK}:{free_port()}")
    assert code == 1
    assert "kafka: Kafka does not answer at " in output
    assert "triton: can be used" in output


def test_a_mistake_in_the_settings_is_2_and_nothing_is_tried(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    code, answer = as_json(settings, monkeypatch, "--kafka", "kafka://broker:9092")
    assert code == 2
    assert answer == {
        "valid": False,
        "mistakes": [{"setting": "kafka.bootstrap", "source": "command line", "text": "must be HOST:PORT, without kafka://"}],
        "services": {},
    }
