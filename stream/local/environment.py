"""Settings as environment variables, so that a child process has exactly the settings of its parent."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping

from pydantic import BaseModel, SecretStr

from stream.config.load import CONFIG_VARIABLE, ENV_DELIMITER, ENV_PREFIX, OTHER_VARIABLES
from stream.config.settings import Settings


def settings_environment(settings: Settings) -> dict[str, str]:
    """Return the ``SENTISTREAM_*`` variables from which `load_settings` reads the same settings; defaults are left out."""
    return dict(_leaves(ENV_PREFIX.removesuffix("_"), "_", settings, Settings()))


def _leaves(name: str, delimiter: str, values: BaseModel, defaults: BaseModel) -> Iterator[tuple[str, str]]:
    for field in type(values).model_fields:
        value, default = getattr(values, field), getattr(defaults, field)
        variable = f"{name}{delimiter}{field.upper()}"
        if isinstance(value, BaseModel):
            yield from _leaves(variable, ENV_DELIMITER, value, default)
        elif value != default and value is not None:
            yield variable, _text(value)


def _text(value: object) -> str:
    """A value as text that `load_settings` reads as the same value."""
    match value:
        case SecretStr():
            return value.get_secret_value()
        case tuple():
            return ",".join(map(str, value))
        case dict():
            if all(isinstance(part, str) for part in value.values()):
                return ",".join(f"{name}={part}" for name, part in value.items())
            return json.dumps({name: part.model_dump(exclude_none=True) for name, part in value.items()})
        case _:
            return str(value)


def child_environment(settings: Settings, parent: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the parent's environment (default: this process's) with its settings replaced by these.

    ``$SENTISTREAM_CONFIG`` goes, too: the child would read that file, and a setting that is back at its default would be the file's again.
    """
    inherited = {
        name: value
        for name, value in (os.environ if parent is None else parent).items()
        if not name.startswith(ENV_PREFIX) or (name in OTHER_VARIABLES and name != CONFIG_VARIABLE)
    }
    return {**inherited, **settings_environment(settings)}
