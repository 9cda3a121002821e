"""Reads a file of rules, and finds every mistake in it at once, with its line."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stream.config.yaml_file import YamlMistake, read_yaml
from stream.domain.alert import AlertMode, Severity
from stream.domain.identity import check_name
from stream.rules.condition import OWN_VARIABLES, Condition
from stream.rules.rehearsal import mistakes_in
from stream.rules.rule import CONTEST, Rule, RuleBook
from stream.rules.variables import BY_NAME

MOST_RULES = 100
MOST_NAMES = 50
"""Most roles or tracks of a rule."""
LONGEST_MS = 24 * 3600 * 1000

_NAME = re.compile(r"[a-z][a-z0-9-]{0,47}")
_CATEGORY = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
_DURATION = re.compile(r"(?:(\d{1,3})h)?(?:(\d{1,4})m(?!s))?(?:(\d{1,5}(?:\.\d{1,3})?)s)?(?:(\d{1,8})ms)?")
_NULL = "tag:yaml.org,2002:null"


@dataclass(frozen=True, slots=True, order=True)
class RuleMistake:
    """A mistake in a file of rules.

    Attributes:
        line: Its line, from 1; 0 for the whole file.
        text: What is wrong, and what to do.
    """

    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}" if self.line else self.text


class RulesError(Exception):
    """A file of rules cannot be used. The message has one line for each mistake.

    Args:
        path: The file.
        mistakes: All of them.
    """

    def __init__(self, path: Path, mistakes: Iterable[RuleMistake]) -> None:
        self.mistakes = tuple(sorted(mistakes))
        super().__init__("\n".join(f"{path}, {mistake}" if mistake.line else f"{path}: {mistake}" for mistake in self.mistakes))


def read_rules(path: Path) -> RuleBook:
    """The rules of a file. Raises `RulesError` with every mistake."""
    reader = _Reader()
    try:
        book = reader.book(read_yaml(path))
    except YamlMistake as mistake:
        raise RulesError(path, [RuleMistake(mistake.line or 0, mistake.text)]) from None
    if reader.mistakes:
        raise RulesError(path, reader.mistakes)
    return book


class _Wrong(Exception):
    """A value is not what its key needs; the message says what it must be."""


class _Reader:
    """Turns nodes into rules and notes each mistake."""

    def __init__(self) -> None:
        self.mistakes: list[RuleMistake] = []
        self._lines: dict[str, int] = {}

    def note(self, node: yaml.Node, text: str) -> None:
        self.mistakes.append(RuleMistake(_line(node), text))

    def book(self, root: yaml.Node | None) -> RuleBook:
        if root is None or (isinstance(root, yaml.ScalarNode) and root.tag == _NULL):
            self.mistakes.append(RuleMistake(0, "is empty: it needs `rules:` with a list of rules"))
            return RuleBook()
        if not isinstance(root, yaml.MappingNode):
            self.note(root, "must be a mapping with the key `rules`")
            return RuleBook()
        values = self._entries(root, {"rules": _node, "contest": _text(1000)}, "of the file")
        if "rules" not in values:
            self.note(root, "`rules` is missing: it is a list of rules")
            return RuleBook()
        return RuleBook(self._rules(values["rules"]), values.get("contest", CONTEST))

    def _rules(self, node: yaml.Node) -> tuple[Rule, ...]:
        if not isinstance(node, yaml.SequenceNode):
            self.note(node, "`rules` must be a list of rules, each beginning with `- name:`")
            return ()
        if len(node.value) > MOST_RULES:
            self.note(node, f"more than {MOST_RULES} rules: put them into several deployments, or join some")
            return ()
        return tuple(rule for item in node.value if (rule := self._rule(item)) is not None)

    def _rule(self, node: yaml.Node) -> Rule | None:
        if not isinstance(node, yaml.MappingNode):
            self.note(node, "a rule must be a mapping that begins with `- name:`")
            return None
        before = len(self.mistakes)
        values = self._entries(node, KEYS, "of a rule")
        named = f"the rule {values['name']}" if "name" in values else "a rule"
        if (name := values.get("name")) is not None and self._lines.setdefault(name, _line(node)) != _line(node):
            self.note(node, f"{named} is there twice (before in line {self._lines[name]}): give it another name")
        given = {key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)}
        for key in ("name", "title", "text", "when"):
            if key not in given:
                self.note(node, f"{named} lacks `{key}`")
        lines = {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}
        for key in ("when", "clear", "value"):
            if key in values:
                self._names(lines[key], key, values[key], values)
        conditions = [values[key] for key in ("when", "clear", "value") if key in values]
        if "when" in values and not any(c.unknown or c.unknown_functions for c in conditions):
            # Also of a rule with other mistakes: all are to be reported at once.
            rule = _made({"name": "", "title": "", "text": ""} | values, node)
            for key, text in mistakes_in(rule):
                self.note(lines.get(key, node), f"`{key}` of {named} {text}")
        return _made(values, node) if len(self.mistakes) == before else None

    def _names(self, node: yaml.Node, key: str, condition: Condition, values: dict[str, Any]) -> None:
        known = [*BY_NAME, *OWN_VARIABLES]
        for name in condition.unknown:
            self.note(node, f"`{key}` names `{name}`, which is no variable{_meant(name, known)}")
        for name in condition.unknown_functions:
            self.note(node, f"`{key}` calls `{name}`, which is no function of rules")
        for name in OWN_VARIABLES:
            if name in condition.variables and (name not in values or key == "value"):
                what = "a rule's own `value` cannot use it" if key == "value" else f"the rule has no key `{name}`"
                self.note(node, f"`{key}` names `{name}`, but {what}")

    def _entries(self, node: yaml.MappingNode, keys: dict[str, Callable[[yaml.Node], Any]], of: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        seen: set[str] = set()
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if name not in keys:
                self.note(key, f"`{name[:60]}` is no key {of}{_meant(name, keys)}")
            elif name in seen:
                self.note(key, f"`{name}` is there twice: remove one of them")
            else:
                seen.add(name)
                try:
                    values[name] = keys[name](value)
                except _Wrong as wrong:
                    self.note(value, f"`{name}` {wrong}")
        return values


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _made(values: dict[str, Any], node: yaml.Node) -> Rule:
    renamed = {"for": "for_ms", "keep_firing_for": "keep_firing_for_ms", "cool_down": "cool_down_ms"}
    return Rule(**{renamed.get(key, key): value for key, value in values.items()}, line=_line(node))


def _meant(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean `{close[0]}`?" if close else ""


def _node(node: yaml.Node) -> yaml.Node:
    return node


def _scalar(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode) or node.tag == _NULL or not node.value.strip():
        raise _Wrong("must have a value")
    return str(node.value).strip()


def _text(longest: int) -> Callable[[yaml.Node], str]:
    def read(node: yaml.Node) -> str:
        text = " ".join(_scalar(node).split())
        if len(text) > longest:
            raise _Wrong(f"is longer than {longest} characters")
        if not text.isprintable():
            raise _Wrong("holds control characters")
        return text

    return read


def _matching(pattern: re.Pattern[str], what: str) -> Callable[[yaml.Node], str]:
    def read(node: yaml.Node) -> str:
        text = _scalar(node)
        if not pattern.fullmatch(text):
            raise _Wrong(f"must be {what}")
        return text

    return read


def _one_of(kind: type[Severity] | type[AlertMode]) -> Callable[[yaml.Node], Severity | AlertMode]:
    def read(node: yaml.Node) -> Severity | AlertMode:
        try:
            return kind(_scalar(node))
        except ValueError:
            raise _Wrong(f"must be one of {', '.join(kind)}") from None

    return read


def _number(node: yaml.Node) -> float:
    try:
        number = float(_scalar(node))
    except ValueError:
        raise _Wrong("must be a number") from None
    if not math.isfinite(number):
        raise _Wrong("must be a finite number")
    return number


def _duration(node: yaml.Node) -> int:
    text = _scalar(node).replace(" ", "")
    found = _DURATION.fullmatch(text)
    if text == "0":
        return 0
    if found is None or not any(found.groups()):
        raise _Wrong("must be a time such as 500ms, 10s, 1m30s or 2h")
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in found.groups())
    total = round(((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds)
    if total > LONGEST_MS:
        raise _Wrong("must not be longer than 24h")
    return total


def _names(node: yaml.Node) -> tuple[str, ...]:
    items = node.value if isinstance(node, yaml.SequenceNode) else [node]
    if not items or len(items) > MOST_NAMES:
        raise _Wrong(f"must be a list of 1 to {MOST_NAMES} names, for example [customer]")
    try:
        return tuple(check_name("each name", _scalar(item)) for item in items)
    except ValueError as error:
        raise _Wrong(f"is a list in which {error}") from None


def _condition(node: yaml.Node) -> Condition:
    try:
        return Condition(" ".join(_scalar(node).split()))
    except ValueError as error:
        raise _Wrong(str(error)) from None


KEYS: dict[str, Callable[[yaml.Node], Any]] = {
    "name": _matching(_NAME, "a name of at most 48 small letters, digits and hyphens that begins with a letter"),
    "title": _text(120),
    "text": _text(500),
    "when": _condition,
    "clear": _condition,
    "value": _condition,
    "threshold": _number,
    "clear_at": _number,
    "for": _duration,
    "keep_firing_for": _duration,
    "cool_down": _duration,
    "severity": _one_of(Severity),
    "mode": _one_of(AlertMode),
    "roles": _names,
    "tracks": _names,
    "respond": _text(500),
    "policy": _text(500),
    "category": _matching(_CATEGORY, "capital letters and underscores, for example STATEMENT_CATEGORY_CYBER_VIOLENCE"),
}
"""The keys of a rule, and how each is read."""
