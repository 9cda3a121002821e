"""A CEL expression of a rule: compiled once, evaluated on every window."""

from __future__ import annotations

import re
from typing import Any

import cel

from stream.rules.variables import BY_NAME, Value

OWN_VARIABLES = ("value", "threshold", "clear_at")
"""Variables that come from the rule itself: what it measures, and its two thresholds."""

FUNCTIONS = frozenset({"abs", "contains", "dyn", "double", "endsWith", "int", "matches", "size", "startsWith", "string"})
"""Functions that an expression may call, beside the macros ``has``, ``all``, ``exists``, ``exists_one``, ``filter`` and ``map``."""

MOST_CHARACTERS = 1000
MOST_MACROS = 3
"""Most macros that go through a list, in one expression: nested, each of them multiplies the work."""

UNDECIDED = (TypeError, LookupError, ValueError, RuntimeError, ArithmeticError)
"""What an evaluation raises if the window lacks something that the expression names: a value, a key of a map, an entry of a list."""

_MACRO = re.compile(r"\.\s*(?:all|exists|exists_one|filter|map)\s*\(\s*([A-Za-z_]\w*)?")
_TYPES = frozenset({"bool", "double", "int", "string", "null_type", "list", "map"})


class Condition:
    """A compiled expression.

    Args:
        source: The expression. Raises ``ValueError`` with a sentence that says what is wrong with it.
    """

    def __init__(self, source: str) -> None:
        if len(source) > MOST_CHARACTERS:
            raise ValueError(f"is longer than {MOST_CHARACTERS} characters")
        bound = _MACRO.findall(source)
        if len(bound) > MOST_MACROS:
            raise ValueError(f"goes through more than {MOST_MACROS} lists (`exists`, `all`, `map` …)")
        try:
            self._program: Any = cel.compile(source)
        except ValueError as error:
            raise ValueError(f"is no CEL expression: {_first_line(str(error))}") from None
        self.source = source
        named = set(self._program.variables()) - _TYPES
        self.unknown = tuple(sorted(named - set(bound) - set(BY_NAME) - set(OWN_VARIABLES)))
        """Names that are no variables."""
        self.unknown_functions = tuple(sorted(name for name in self._program.functions() if name[0].isalpha() and name not in FUNCTIONS))
        """Names that are no functions."""
        self.variables = tuple(sorted(named & (set(BY_NAME) | set(OWN_VARIABLES))))
        """The variables that the expression names."""

    def of(self, context: cel.Context) -> Value:
        """Value of the expression. Raises one of `UNDECIDED` if the window lacks something that it names."""
        return self._program.execute(context)

    def holds(self, context: cel.Context) -> bool | None:
        """Whether the condition holds; None if the window lacks something that it names, so that it says nothing."""
        try:
            answer = self.of(context)
        except UNDECIDED:
            return None
        return answer if isinstance(answer, bool) else None

    def number(self, values: dict[str, Value]) -> float | None:
        """The expression as a number, with these variables; None if the window lacks something that it names."""
        try:
            # Most rules measure a variable as it is.
            answer = values[self.source] if self.source in values else self.of(context_of(values))
        except UNDECIDED:
            return None
        return round(float(answer), 4) + 0.0 if isinstance(answer, int | float) and not isinstance(answer, bool) else None


def context_of(values: dict[str, Value]) -> cel.Context:
    """What expressions are evaluated in: variables with their values, and the function ``abs``."""
    return cel.Context(variables=values, functions={"abs": abs})


def _first_line(message: str) -> str:
    """The reason in CEL's message, which also repeats the expression."""
    found = re.search(r"ERROR: <input>:\d+:\d+: ([^\n]*)", message)
    reason = found.group(1) if found else message.partition("\n")[0]
    reason = reason.partition(" expecting {")[0]
    return reason if len(reason) <= 120 else reason[:119] + "…"
