"""JSON Schemas (2020-12) of our types, with the descriptions of their docstrings.

Schemas are open: a reader ignores fields that it does not know, so a later release may add some.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, get_args, get_type_hints

import msgspec

from stream.domain.identity import NAME_PATTERN

Schema = dict[str, Any]

NAMES = frozenset({"tenant", "session", "track", "role", "reviewer"})
"""Fields that hold a name: each of them has passed `stream.domain.identity.check_name`."""
WINDOW_ID = "/".join([NAME_PATTERN] * 3) + r"/\d+-\d+"

_ATTRIBUTE = re.compile(r"^(\w+): (.*(?:\n +.*)*)", re.MULTILINE)


def definitions(types: Iterable[Any], template: str) -> tuple[list[Schema], dict[str, Schema]]:
    """The schema of each type, and those of the types inside them by name.

    Args:
        types: Types that msgspec can write.
        template: Where the definitions will stand: ``#/$defs/{name}``.
    """
    wanted = list(types)
    refs, found = msgspec.json.schema_components(wanted, ref_template=template)
    for cls in _classes(wanted):
        if cls.__name__ in found:
            _describe(cls, found[cls.__name__])
    return [_without_discriminator(ref) for ref in refs], {name: _without_discriminator(found[name]) for name in sorted(found)}


def standalone(kind: Any, name: str, title: str) -> Schema:
    """A schema document that needs no other."""
    (schema,), found = definitions([kind], "#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:sentistream:schema:{name}",
        "title": title,
        **schema,
        "$defs": found,
    }


def _classes(types: Iterable[Any]) -> Iterator[type]:
    """Every struct and enumeration in the types, each once."""
    seen: set[Any] = set()
    waiting = list(types)
    while waiting:
        kind = waiting.pop()
        if kind in seen:
            continue
        seen.add(kind)
        waiting.extend(part for part in get_args(kind) if not isinstance(part, msgspec.Meta))
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct | Enum):
            yield kind
            if issubclass(kind, msgspec.Struct):
                waiting.extend(get_type_hints(kind, include_extras=True).values())


def _describe(cls: type, schema: Schema) -> None:
    """Put the sentences of the docstring where they belong, and the patterns of names."""
    summary, _, _ = inspect.cleandoc(cls.__doc__ or "").partition("\n\nAttributes:\n")
    schema["description"] = _plain(summary)
    if not issubclass(cls, msgspec.Struct):
        return
    attributes = _attributes(cls)
    for field in msgspec.structs.fields(cls):
        wire = schema["properties"].get(field.encode_name)
        if wire is None:
            continue
        if field.name in attributes:
            wire["description"] = attributes[field.name]
        if wire.get("type") == "string" and "enum" not in wire and field.name in NAMES:
            wire["pattern"] = f"^{NAME_PATTERN}$"
        if field.name == "window_id":
            wire["pattern"] = f"^{WINDOW_ID}$"


def _attributes(cls: type) -> dict[str, str]:
    """What the docstrings of a class and its bases say of its attributes."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        _, _, block = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")
        found |= {name: _plain(text) for name, text in _ATTRIBUTE.findall(inspect.cleandoc(block))}
    return found


def _plain(text: str) -> str:
    """Prose on one line, with Markdown's code marks."""
    return re.sub(r"\s+", " ", text.replace("``", "`")).strip()


def _without_discriminator(schema: Schema) -> Schema:
    """OpenAPI's hint is no part of JSON Schema, and AsyncAPI's has another form; the tags in the union say the same."""
    return {key: value for key, value in schema.items() if key != "discriminator"}
