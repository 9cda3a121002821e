"""Every setting as a row of a table."""

from __future__ import annotations

from collections.abc import Iterator
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
        value: Effective value, secrets masked.
        variable: Environment variable that sets it.
        meaning: What it does.
        is_default: True when nobody has set it.
    """

    name: str
    value: str
    variable: str
    meaning: str
    is_default: bool


def describe_settings(settings: Settings) -> Iterator[SettingRow]:
    """All rows, in the order of the tree."""
    yield from _rows(settings, Settings(), ())


def _rows(node: BaseModel, default: BaseModel, path: tuple[str, ...]) -> Iterator[SettingRow]:
    for name, field in type(node).model_fields.items():
        value, standard = getattr(node, name), getattr(default, name)
        here = (*path, name)
        if isinstance(value, BaseModel):
            yield from _rows(value, standard, here)
        else:
            variable = ENV_PREFIX + ENV_DELIMITER.join(here).upper()
            yield SettingRow(".".join(here), _shown(value), variable, field.description or "", value == standard)


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return MASK
    return "" if value is None else str(value)
