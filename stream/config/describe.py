"""Describes every setting as a row of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, SecretStr

from stream.config.load import ENV_DELIMITER, ENV_PREFIX
from stream.config.settings import Settings

MASK = "********"


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting.

    Attributes:
        name: ``section.name``.
        value: Effective value; a secret is masked.
        variable: Environment variable that sets it.
        meaning: Its description.
        is_default: True if the value is the default.
    """

    name: str
    value: str
    variable: str
    meaning: str
    is_default: bool


def describe_settings(settings: Settings) -> Iterator[SettingRow]:
    """Yield one row for each setting, in the order of the tree."""
    yield from _rows(settings, Settings(), ())


def _rows(node: BaseModel, default: BaseModel, path: tuple[str, ...]) -> Iterator[SettingRow]:
    for name, field in type(node).model_fields.items():
        value, default_value = getattr(node, name), getattr(default, name)
        full_path = (*path, name)
        if isinstance(value, BaseModel):
            yield from _rows(value, default_value, full_path)
        else:
            variable = ENV_PREFIX + ENV_DELIMITER.join(full_path).upper()
            yield SettingRow(".".join(full_path), _format(value), variable, field.description or "", value == default_value)


def _format(value: object) -> str:
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, BaseModel):
        return _format({name: given for name, given in value if given is not None})
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_format(given)}" for name, given in value.items())
    if isinstance(value, tuple):
        return ", ".join(map(_format, value))
    return "" if value is None else str(value)
