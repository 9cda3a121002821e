"""Settings come from several sources; all errors are reported at once, and secrets are masked."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.config.describe import MASK, describe_settings
from stream.config.load import ConfigError, load_settings
from stream.config.media_settings import WindowSettings
from stream.config.project import PROJECT_ROOT
from stream.config.settings import Settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SENTISTREAM_CONFIG", raising=False)


def test_environment_wins_over_the_file_and_the_command_line_over_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("kafka: {bootstrap: 'file:1', group: file}\nwindows: {length_ms: 5000}\n")
    monkeypatch.setenv("SENTISTREAM_KAFKA__GROUP", "environment")
    settings = load_settings(file, {"kafka": {"bootstrap": "line:1"}})
    assert (settings.kafka.bootstrap, settings.kafka.group, settings.windows.length_ms) == ("line:1", "environment", 5000)


def test_all_errors_come_at_once_and_hold_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("kafka: {partitons: 3, partitions: 0}\nwindows: {hop_ms: 9000}\nother: 1\n")
    monkeypatch.setenv("SENTISTREAM_KAFKA__SECURITY", "hunter2")
    monkeypatch.setenv("SENTISTREAM_KAFKA__PASSWORD", "hunter2")
    monkeypatch.setenv("SENTISTREAM_NONSENSE", "1")
    with pytest.raises(ConfigError) as error:
        load_settings(file)
    message = str(error.value)
    for part in ("kafka.partitons", "kafka.partitions", "windows", "other", "kafka.security", "SENTISTREAM_NONSENSE"):
        assert part in message
    assert "hunter2" not in message


def test_a_pause_is_shorter_than_the_longest_utterance() -> None:
    with pytest.raises(ValueError, match="utterance_pause_ms must be shorter"):
        WindowSettings(utterance_max_ms=1000, utterance_pause_ms=1000)


@pytest.mark.parametrize("content", ["- a\n- b\n", "kafka: [\n", "\udcff"])
def test_a_file_that_is_no_mapping_is_one_clear_error(tmp_path: Path, content: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=r"settings\.yaml"):
        load_settings(file)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: No such file"):
        load_settings(Path("nowhere.yaml"))


def test_sasl_without_a_password_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"kafka\.password"):
        load_settings(overrides={"kafka": {"security": "sasl_ssl"}})


def test_every_setting_is_described_and_secrets_are_masked() -> None:
    settings = load_settings(overrides={"redis": {"url": "redis://user:hunter2@h/0"}, "kafka": {"group": "mine"}})
    rows = {row.name: row for row in describe_settings(settings)}
    assert all(row.meaning for row in rows.values())
    assert rows["redis.url"].value == MASK
    assert not rows["kafka.group"].is_default
    assert rows["kafka.partitions"].variable == "SENTISTREAM_KAFKA__PARTITIONS"


def test_shipped_configurations_are_valid() -> None:
    # The others are rules of alerts: tests/unit/rules/test_shipped_rules.py.
    files = [file for file in (PROJECT_ROOT / "configs").glob("*.yaml") if "\nrules:\n" not in file.read_text()]
    assert files
    assert all(isinstance(load_settings(file), Settings) for file in files)
