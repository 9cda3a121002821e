"""Commands turn errors into sentences and exit codes; `models` and `doctor` say what is wrong and how to fix it."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from stream.cli import config, models
from stream.cli.doctor import command as doctor
from stream.cli.doctor.finding import Status
from stream.cli.doctor.installation import check_packages
from stream.cli.doctor.services import topic_findings
from stream.cli.errors import CommandError, UsageError, describe, friendly_errors
from stream.config.load import ConfigError
from stream.domain.topics import Topics
from stream.local.errors import LocalStackError, ServiceLostError
from stream.local.ports import free_port
from stream.model_repository.errors import ModelRepositoryError
from stream.serving.errors import TritonUnavailableError

runner = CliRunner()


def command_that_raises(error: BaseException) -> typer.Typer:
    app = typer.Typer()

    @app.command()
    @friendly_errors()
    def command(number: int = 1) -> None:
        """Doc."""
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "sentence", "code"),
    [
        (ConfigError("kafka.partitions: must be 1 or more\nother: there is no such setting"), "kafka.partitions: must", 2),
        (LocalStackError("port 1 is in use"), "port 1 is in use", 1),
        (ServiceLostError("gone"), "gone", 1),
        (ModelRepositoryError("no weights"), "no weights", 1),
        (TritonUnavailableError("away"), "Triton: away", 1),
        (CommandError("[odd] sentence"), "[odd] sentence", 1),
        (UsageError("--since is no time"), "--since is no time", 2),
        (ExceptionGroup("", [ExceptionGroup("", [LocalStackError("inner")])]), "inner", 1),
    ],
)
def test_known_errors_become_a_sentence_and_a_code(error: Exception, sentence: str, code: int) -> None:
    result = runner.invoke(command_that_raises(error), [])
    assert result.exit_code == code
    assert result.stderr.startswith(sentence)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_bugs_keep_their_traceback() -> None:
    assert describe(KeyError("x")) is None
    assert describe(ExceptionGroup("", [LocalStackError("known"), KeyError("unknown")])) is None
    assert isinstance(runner.invoke(command_that_raises(KeyError("x")), []).exception, KeyError)


def test_ctrl_c_is_130_and_options_are_still_shown() -> None:
    assert runner.invoke(command_that_raises(KeyboardInterrupt()), ["--number", "3"]).exit_code == 130
    assert "--number" in runner.invoke(command_that_raises(KeyboardInterrupt()), ["--help"]).stdout


def commands() -> typer.Typer:
    app = typer.Typer()
    app.command("doctor")(doctor.doctor)
    app.add_typer(models.app, name="models")
    return app


def test_models_list_says_what_is_wrong_and_fails(tmp_path: Path) -> None:
    result = runner.invoke(commands(), ["models", "list", "--repository", str(tmp_path), "--json"])
    assert result.exit_code == 1
    rows = {row["model"]: row for row in map(json.loads, result.stdout.splitlines())}
    assert rows["mmci"]["problems"] == ["it is not in the repository"]
    table = runner.invoke(commands(), ["models", "list", "--repository", str(tmp_path)])
    assert table.exit_code == 1
    assert "mmci: it is not in the repository" in table.stdout


def test_models_build_makes_the_packaged_repository_whole() -> None:
    result = runner.invoke(commands(), ["models", "build", "--json"])
    assert result.exit_code == 0, result.stdout
    assert all(json.loads(line)["ok"] for line in result.stdout.splitlines())


def findings(result_lines: str) -> dict[str, dict[str, str]]:
    return {row["name"]: row for row in map(json.loads, result_lines.splitlines())}


def test_doctor_passes_if_the_embedded_stack_replaces_the_services(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for section in ("KAFKA__BOOTSTRAP", "REDIS__URL", "TRITON__URL"):
        monkeypatch.delenv(f"SENTISTREAM_{section}", raising=False)
    result = runner.invoke(commands(), ["doctor", "--json"])
    found = findings(result.stdout)
    assert result.exit_code == 0, result.stdout
    redis = metadata.version("redis")
    assert found["redis"] == {"event": "finding", "name": "redis", "status": "ok", "found": redis, "wanted": "<8.2,>=8.1", "fix": ""}
    assert found["python"]["wanted"] == "3.11 to 3.13"
    assert found["model file mmci"]["status"] == "ok"


def test_doctor_fails_for_services_that_the_user_named_and_that_do_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("SENTISTREAM_KAFKA__BOOTSTRAP", f"127.0.0.1:{port}")
    monkeypatch.setenv("SENTISTREAM_REDIS__URL", f"redis://:hunter2@127.0.0.1:{port}/0")
    monkeypatch.setenv("SENTISTREAM_TRITON__URL", f"127.0.0.1:{port}")
    result = runner.invoke(commands(), ["doctor", "--json"])
    assert result.exit_code == 1
    assert {findings(result.stdout)[name]["status"] for name in ("Kafka", "Redis", "Triton")} == {"missing"}
    assert "hunter2" not in result.stdout


def test_doctor_names_wrong_and_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name == "faust-streaming":
            raise metadata.PackageNotFoundError(name)
        return "4.0.0" if name == "numpy" else real(name)

    monkeypatch.setattr(metadata, "version", version)
    by_name = {finding.name: finding for finding in check_packages()}
    assert (by_name["numpy"].status, by_name["numpy"].found) == (Status.MISSING, "4.0.0")
    assert (by_name["faust-streaming"].status, by_name["faust-streaming"].found) == (Status.MISSING, "not installed")
    result = runner.invoke(commands(), ["doctor"])
    assert result.exit_code == 1
    assert "not checked" in result.stdout


def test_topics_must_be_co_partitioned() -> None:
    topics = Topics("p.")
    whole = dict.fromkeys((*topics.inputs, *topics.outputs), 6)
    assert {finding.status for finding in topic_findings(topics, whole)} == {Status.OK}
    assert [finding.status for finding in topic_findings(topics, {})] == [Status.WARNING]
    odd = {**whole, topics.sessions: 3}
    assert [finding.name for finding in topic_findings(topics, odd) if finding.status is Status.MISSING] == ["co-partitioned"]


@pytest.mark.parametrize("version", ["0", "01", "v2", "-1", "2.0"])
def test_a_version_is_a_number(version: str) -> None:
    result = runner.invoke(commands(), ["models", "promote", "--", version])
    assert (result.exit_code, result.stderr) == (2, "VERSION is the number of a version's folder, for example 2\n")


def test_config_show_prints_values_and_meanings_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("SENTISTREAM_GATEWAY__OIDC_ROLES_CLAIM", "[bold]a[/b]")

    shown = runner.invoke(config.app, ["show"])

    assert shown.exit_code == 0
    assert "[bold]a[/b]" in shown.stdout
    assert "(`[name]`)" in shown.stdout
    assert "…" not in shown.stdout
