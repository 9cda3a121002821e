"""`sentistream rules check`."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from stream.cli.main import app
from stream.rules.shipped import BROADCAST, CALL_CENTER, shipped_rules


def test_the_shipped_files_have_no_mistake() -> None:
    for name in (BROADCAST, CALL_CENTER):
        done = CliRunner().invoke(app, ["rules", "check", str(shipped_rules(name))])
        assert done.exit_code == 0
        assert "no mistakes" in done.output


def test_all_mistakes_are_printed_with_exit_code_2(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("rules:\n  - name: a\n    title: b\n    text: c\n    when: scor < 1.0\n    for: ever\n")
    done = CliRunner().invoke(app, ["rules", "check", str(file)])
    assert done.exit_code == 2
    assert [line.split(", ")[1].partition(":")[0] for line in done.stderr.splitlines()] == ["line 5", "line 6"]


def test_settings_with_broken_rules_are_not_valid(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("rules: 7\n")
    (tmp_path / "settings.yaml").write_text(f"alerts:\n  rules: {tmp_path / 'rules.yaml'}\n")
    arguments = ["config", "check", "--config", str(tmp_path / "settings.yaml")]
    assert CliRunner().invoke(app, arguments).exit_code == 2
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 2
    assert '"setting": "alerts.rules", "source": "line 1"' in done.stdout


def test_an_embedded_stack_does_not_start_with_broken_rules(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("rules: 7\n")
    for command in ("up", "demo"):
        done = CliRunner().invoke(app, [command], env={"SENTISTREAM_ALERTS__RULES": str(tmp_path / "rules.yaml")})
        assert done.exit_code == 2
        assert "must be a list of rules" in done.stderr
