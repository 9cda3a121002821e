"""`sentistream reveal` on a running Triton, and verdicts through a running broker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stream.cli.main import app
from stream.config.service_settings import KafkaSettings
from stream.reveal.feedback import counted, read_verdicts

WINDOW = "default/call-1/agent/0-8000"


@pytest.mark.timeout(900)
def test_the_served_model_shows_no_suspect_on_the_sample(triton_url: str, tmp_path: Path) -> None:
    report = tmp_path / "reveal.html"
    result = CliRunner().invoke(app, ["reveal", "--triton", triton_url, "--html", str(report), "--json"], env={"SENTISTREAM_DATA": None})
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert {"hiss", "hum", "blur", "bar"} <= {suspect["name"] for suspect in found["suspects"]}
    assert "Nothing moves the scores" in report.read_text(encoding="utf-8")


def test_verdicts_are_sent_and_counted(tansu_bootstrap: str) -> None:
    for judgement in ("artefact", "genuine"):
        arguments = ["verdict", WINDOW, judgement, "--artefact", "hiss", "--span", "audio:4000-8000", "--kafka", tansu_bootstrap]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
    verdicts = read_verdicts(KafkaSettings(bootstrap=tansu_bootstrap))
    assert [verdict.verdict for verdict in verdicts if getattr(verdict, "window_id", None) == WINDOW] == ["artefact", "genuine"]
    assert counted(verdicts) == {"hiss": {"genuine": 1}}


def test_a_span_that_is_none_is_a_usage_error(tansu_bootstrap: str) -> None:
    result = CliRunner().invoke(app, ["verdict", WINDOW, "wrong", "--span", "audio:8", "--kafka", tansu_bootstrap])
    assert result.exit_code == 2
