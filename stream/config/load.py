"""Reads the settings from a YAML file and the environment, and reports all mistakes at once."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from stream.config.settings import Settings
from stream.config.yaml_file import SettingsFile, read_settings_file

ENV_PREFIX = "SENTISTREAM_"
ENV_DELIMITER = "__"
CONFIG_VARIABLE = "SENTISTREAM_CONFIG"
OTHER_VARIABLES = frozenset({CONFIG_VARIABLE, "SENTISTREAM_DATA", "SENTISTREAM_KAFKA_HOME", "SENTISTREAM_CACHE", "SENTISTREAM_TEST_TRITON"})
"""Variables with the prefix that are not settings."""
MOST_SHOWN = 20
"""More mistakes than this come from a file that is no settings file: the rest is only counted."""
LONGEST_NAME = 60

Place = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in the settings. It quotes no value, which may be a password.

    Attributes:
        key: The setting, ``section.name``; a variable or a file where there is no setting.
        source: Where its value comes from: ``FILE, line N``, a variable, or ``command line``; empty if `key` says it.
        text: What is wrong.
    """

    key: str
    source: str
    text: str

    def __str__(self) -> str:
        return f"{self.key}: {self.text}" + (f" ({self.source})" if self.source else "")


class ConfigError(Exception):
    """The settings cannot be used; the message has one line for each mistake.

    Attributes:
        mistakes: All of them.
    """

    def __init__(self, message: str, mistakes: tuple[Mistake, ...] = ()) -> None:
        super().__init__(message)
        self.mistakes = mistakes


def load_settings(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the effective settings: overrides win over the environment, the environment over the file, the file over the defaults.

    Args:
        path: YAML file; default: ``$SENTISTREAM_CONFIG``, else no file.
        overrides: Nested values from the command line.

    Raises:
        ConfigError: With all mistakes of all sources.
    """
    named_by = "" if path or not os.environ.get(CONFIG_VARIABLE) else CONFIG_VARIABLE
    path = Path(os.environ[CONFIG_VARIABLE]) if named_by else path
    file = read_settings_file(path) if path else SettingsFile()
    mistakes = [Mistake(f"{_shown(str(path))}{f', line {line}' if line else ''}", named_by, text) for line, text in file.mistakes]
    environment, variables = _read_environment(mistakes)
    # A section without settings, as when all of them are commented out, has the defaults.
    from_file = {section: {} if values is None else values for section, values in file.values.items()}
    merged = _merge(_merge(from_file, environment), dict(overrides or {}))
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as invalid:
        for error in invalid.errors(include_input=False, include_url=False):
            place = tuple(str(part) for part in error["loc"])
            mistakes.append(Mistake(_shown(".".join(place)) or "settings", _source(place, overrides, variables, path, file), _text(error)))
    if mistakes:
        raise ConfigError(_lines(mistakes), tuple(mistakes))
    return settings


def _lines(mistakes: list[Mistake]) -> str:
    lines = [str(mistake) for mistake in mistakes[:MOST_SHOWN]]
    if len(mistakes) > MOST_SHOWN:
        lines.append(f"… and {len(mistakes) - MOST_SHOWN} more mistakes")
    return "\n".join(lines)


def setting_names() -> tuple[str, ...]:
    """The names of all settings, ``section.name``."""
    return tuple(".".join(place) for place in _leaves(Settings, ()))


def variable_name(place: Place) -> str:
    """The environment variable of a setting."""
    return ENV_PREFIX + ENV_DELIMITER.join(place).upper()


def _leaves(model: type[BaseModel], place: Place) -> Iterator[Place]:
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from _leaves(info.annotation, (*place, name))
        else:
            yield (*place, name)


def _source(
    place: Place, overrides: Mapping[str, Any] | None, variables: Mapping[Place, str], path: Path | None, file: SettingsFile
) -> str:
    """Where the value at a place comes from. A mistake of a whole section comes from any of its settings."""
    given: Any = overrides or {}
    for part in place:
        given = given.get(part) if isinstance(given, Mapping) else None
    if given is not None and not isinstance(given, Mapping):
        return "command line"
    if place in variables:
        return variables[place]
    if place in file.lines:
        return f"{_shown(str(path))}, line {file.lines[place]}"
    return ", ".join(variable for at, variable in variables.items() if at[: len(place)] == place)


def _text(error: Any) -> str:
    """The words of pydantic's error, without the name of a class and without the input."""
    place = tuple(str(part) for part in error["loc"])
    match error["type"]:
        case "extra_forbidden":
            return f"there is no such setting{_did_you_mean(place)}"
        case "model_type":
            return "must be a section: put its settings below it, indented"
        case "string_pattern_mismatch":
            return f"must match the pattern {error['ctx']['pattern']}"
        case _:
            text = str(error["msg"]).removeprefix("Value error, ").partition(", unable to")[0]
            for subject in ("Input should", "String should", "Value should"):
                text = text.replace(subject, "must")
            return text.replace("Input is", "is")


def _did_you_mean(place: Place) -> str:
    names = setting_names()
    wanted = ".".join(place).lower()
    in_place = [name for name in names if name.startswith(wanted + ".") or name.rpartition(".")[2] == place[-1].lower()]
    near = in_place or _near_sections(place) or difflib.get_close_matches(wanted, names, n=1)
    return f"; did you mean {near[0]}?" if near else " (see `sentistream config show`)"


def _near_sections(place: Place) -> list[str]:
    return difflib.get_close_matches(place[0].lower(), tuple(Settings.model_fields), n=1) if len(place) == 1 else []


def _read_environment(mistakes: list[Mistake]) -> tuple[dict[str, Any], dict[Place, str]]:
    """The values of the environment, nested, and the variable of each."""
    known = {variable_name(place): place for place in _leaves(Settings, ())}
    values: dict[str, Any] = {}
    variables: dict[Place, str] = {}
    for variable in sorted(os.environ):
        name = variable.upper()
        if not name.startswith(ENV_PREFIX) or name in OTHER_VARIABLES:
            continue
        if name not in known:
            mistakes.append(Mistake(_shown(variable), "", _unknown_variable(name, known)))
            continue
        *sections, leaf = known[name]
        section = values
        for part in sections:
            section = section.setdefault(part, {})
        section[leaf] = os.environ[variable]
        variables[known[name]] = variable
    return values, variables


def _unknown_variable(name: str, known: Mapping[str, Place]) -> str:
    if any(other.startswith(name + ENV_DELIMITER) for other in known):
        return f"it is a section; set {name}{ENV_DELIMITER}NAME"
    # Without the prefix, which makes all of them alike.
    names = [other.removeprefix(ENV_PREFIX) for other in (*known, *sorted(OTHER_VARIABLES))]
    near = difflib.get_close_matches(name.removeprefix(ENV_PREFIX), names, n=1)
    return f"there is no such setting{f'; did you mean {ENV_PREFIX}{near[0]}?' if near else ' (see `sentistream config show`)'}"


def _shown(name: str) -> str:
    """A name from a file or the environment, for a message: of readable length, in one line."""
    printable = "".join(character if character.isprintable() else "?" for character in name)
    return printable if len(printable) <= LONGEST_NAME or "/" in name else printable[:LONGEST_NAME] + "…"


def _merge(base: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in overrides.items():
        current = merged.get(name)
        if isinstance(current, dict) and isinstance(value, dict):
            merged[name] = _merge(current, value)
        # A value in place of a section stays, so that it is reported.
        elif current is None or not isinstance(value, dict):
            merged[name] = value
    return merged
