"""Reads a settings file: YAML whose keys have line numbers and whose values are texts, as those of environment variables are.

It refuses what a settings file does not need and what makes YAML dangerous: aliases (a few of them can stand for gigabytes), deep nesting,
tags, duplicate keys. No message quotes a value, which may be a password.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 256 * 1024
"""A file with every setting and its meaning has a tenth of this."""
MAX_DEPTH = 20
"""Settings are two levels deep; deeper nesting is read only to say where it is."""

_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "map", "seq", "value", "merge")
)
_NULL = "tag:yaml.org,2002:null"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(slots=True)
class SettingsFile:
    """The content of a settings file.

    Attributes:
        values: Nested mappings with texts as leaves; None where a key has no value.
        lines: Line (from 1) of each key, by its path.
        mistakes: Line (None for the whole file) and description of each mistake of form.
    """

    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[tuple[str, ...], int] = field(default_factory=dict)
    mistakes: list[tuple[int | None, str]] = field(default_factory=list)


def read_settings_file(path: Path) -> SettingsFile:
    """Read a file. Everything that is wrong with its form is in the result; nothing is raised."""
    file = SettingsFile()
    try:
        root = read_yaml(path)
        if root is not None:
            _read_root(root, file)
    except YamlMistake as mistake:
        file.mistakes.append((mistake.line, mistake.text))
    return file


def read_yaml(path: Path) -> yaml.Node | None:
    """The nodes of a file, with their lines; None if it is empty. Raises `YamlMistake` for a file that may be dangerous or is no YAML."""
    try:
        text = _decode(_read(path))
        _refuse_dangers(text)
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlMistake(f"not valid YAML{_hint(error)}", mark.line + 1 if mark else None) from None
    except yaml.YAMLError:
        raise YamlMistake("not a text file: it holds control characters") from None


class YamlMistake(Exception):
    """What is wrong with the form of a file, and where.

    Args:
        text: What is wrong; it quotes no value.
        line: Line, from 1; None for the whole file.
    """

    def __init__(self, text: str, line: int | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.line = line


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise YamlMistake(error.strerror or "cannot be read") from None
    except ValueError:
        raise YamlMistake("not the name of a file") from None
    if len(content) > MAX_BYTES:
        raise YamlMistake(f"larger than {MAX_BYTES // 1024} KiB, so it is not a settings file")
    return content


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-16" if content.startswith(_UTF_16) else "utf-8-sig")
    except UnicodeDecodeError:
        raise YamlMistake("not UTF-8: save it as UTF-8 text") from None


def _refuse_dangers(text: str) -> None:
    """Look through the events first: they take time in proportion to the text, whatever is in it."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else None
        if isinstance(event, yaml.AliasEvent):
            raise YamlMistake("an alias (*NAME), which a settings file may not hold; put a value that begins with * in quotes", line)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise YamlMistake("nested too deeply: there are sections, and settings in them", line)


def _read_root(root: yaml.Node, file: SettingsFile) -> None:
    if isinstance(root, yaml.ScalarNode) and root.tag == _NULL:
        return
    if not isinstance(root, yaml.MappingNode):
        raise YamlMistake("must be a mapping of sections, for example `kafka:` with indented settings")
    file.values = _mapping(root, (), file)


def _mapping(node: yaml.MappingNode, path: tuple[str, ...], file: SettingsFile) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in _entries(node, file):
        at = (*path, key.value)
        if key.value in values:
            file.mistakes.append((_line(key), f"{'.'.join(at)} is there twice (before in line {file.lines[at]}): remove one of them"))
            continue
        file.lines[at] = _line(key)
        values[key.value] = _value(value, at, file)
    return values


def _entries(node: yaml.MappingNode, file: SettingsFile) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode):
            yield key, value
        else:
            file.mistakes.append((_line(key), "a key that is not a name"))


def _value(node: yaml.Node, path: tuple[str, ...], file: SettingsFile) -> Any:
    if node.tag not in _TAGS:
        file.mistakes.append((_line(node), "a tag (!NAME), which a settings file may not hold; put a value that begins with ! in quotes"))
        return None
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, file)
    if isinstance(node, yaml.SequenceNode):
        return [None for _ in node.value]
    return None if node.tag == _NULL else node.value


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _hint(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or ""
    if "\\t" in problem:
        return ": a tab; indent with blanks"
    if "cannot start any token" in problem or "unknown escape" in problem:
        return ": put a value with special characters in 'single quotes'"
    if "mapping values are not allowed" in problem:
        return ": two settings in one line, a wrong indentation, or a value with a colon that needs 'quotes'"
    if "single document" in (error.context or "") + problem:
        return ": more than one document (---)"
    return ": a bracket, a quote or a colon is missing, or the indentation is wrong"
