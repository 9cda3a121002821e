"""Reads the settings from a YAML file and the environment, and reports all errors at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from stream.config.settings import Settings

ENV_PREFIX = "SENTISTREAM_"
ENV_DELIMITER = "__"
OTHER_VARIABLES = frozenset({"SENTISTREAM_CONFIG", "SENTISTREAM_DATA", "SENTISTREAM_KAFKA_HOME", "SENTISTREAM_CACHE"})
"""Variables with the prefix that are not settings."""


class ConfigError(Exception):
    """The settings cannot be used; the message has one line for each error."""


def load_settings(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the effective settings: overrides win over the environment, the environment over the file, the file over the defaults.

    Args:
        path: YAML file; default: ``$SENTISTREAM_CONFIG``, else no file.
        overrides: Nested values from the command line.

    Raises:
        ConfigError: With all errors of all sources.
    """
    path = path or (Path(os.environ["SENTISTREAM_CONFIG"]) if os.environ.get("SENTISTREAM_CONFIG") else None)
    errors: list[str] = []
    from_file = _read_yaml(path, errors) if path else {}
    from_environment = _read_environment(errors)
    merged = _merge(_merge(from_file, from_environment), dict(overrides or {}))
    settings = Settings()
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as invalid:
        errors += [_error_line(error) for error in invalid.errors(include_input=False, include_url=False)]
    if errors:
        raise ConfigError("\n".join(errors))
    return settings


def _error_line(error: Any) -> str:
    setting = ".".join(str(part) for part in error["loc"]) or "settings"
    if error["type"] == "extra_forbidden":
        return f"{setting}: there is no such setting (see `sentistream config show`)"
    return f"{setting}: {error['msg'].removeprefix('Value error, ')}"


def _read_yaml(path: Path, errors: list[str]) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        errors.append(f"{path}: {error.strerror or 'cannot be read'}")
        return {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark else ""
        errors.append(f"{path}: not valid YAML{line}")
        return {}
    if content is None:
        return {}
    if not isinstance(content, dict):
        errors.append(f"{path}: must be a mapping of sections, for example `kafka:` with indented settings")
        return {}
    return content


class _Environment(Settings, BaseSettings):
    """`Settings` as pydantic-settings reads it from the environment.

    It only collects the values. They are validated once, together with the file's, so that one message names the errors of both.
    """

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_nested_delimiter=ENV_DELIMITER, frozen=True, extra="forbid")


class _Source(EnvSettingsSource):
    """Refuses a whole section as JSON in one variable: every setting has exactly one variable."""

    def prepare_field_value(self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool) -> Any:
        if value_is_complex and isinstance(value, str):
            raise ValueError(f"{ENV_PREFIX}{field_name.upper()} is a section; set {ENV_PREFIX}{field_name.upper()}{ENV_DELIMITER}NAME")
        return super().prepare_field_value(field_name, field, value, value_is_complex)


def _read_environment(errors: list[str]) -> dict[str, Any]:
    source: PydanticBaseSettingsSource = _Source(_Environment)
    known = {f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields}
    for variable in sorted(os.environ):
        if variable.startswith(ENV_PREFIX) and variable not in OTHER_VARIABLES and variable.split(ENV_DELIMITER)[0] not in known:
            errors.append(f"{variable}: there is no such setting (see `sentistream config show`)")
    try:
        return dict(source())
    except (ValueError, TypeError) as error:
        errors.append(f"environment: {error}")
        return {}


def _merge(base: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in overrides.items():
        current = merged.get(name)
        merged[name] = _merge(current, value) if isinstance(current, dict) and isinstance(value, dict) else value
    return merged
