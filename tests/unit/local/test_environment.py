"""A child process receives settings as environment variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.config.load import load_settings
from stream.config.settings import Settings
from stream.local.environment import child_environment, settings_environment


def test_a_child_process_loads_the_same_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {
            "kafka": {"bootstrap": "a:1,b:2", "security": "sasl_ssl", "username": "u", "password": "p w", "ca_file": str(tmp_path)},
            "redis": {"url": "redis://:secret@host:6380/1"},
            "windows": {"length_ms": 6000, "allowed_lateness_ms": 0},
            "policy": {
                "roles": {"customer": "off", "*": "text_only"},
                "languages": "en,de",
                "tenants": {"acme": {"roles": {"agent": "all"}, "languages": ["fr"]}, "other": {"consent": "required"}},
            },
            "log_level": "debug",
        }
    )
    parent = {"SENTISTREAM_CONFIG": "/elsewhere.yaml", "SENTISTREAM_KAFKA__GROUP": "other", "SENTISTREAM_DATA": "kept", "PATH": "/bin"}
    child = child_environment(settings, parent)
    assert (child["PATH"], child["SENTISTREAM_DATA"]) == ("/bin", "kept")
    for name, value in child.items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings
    assert settings_environment(Settings()) == {}
