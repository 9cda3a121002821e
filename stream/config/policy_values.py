"""Reads the values of the section `policy`: from YAML as lists and sections, from a variable as text. Errors quote no value."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ValidationError

from stream.domain.identity import check_name

ANY = "*"
"""Stands for all roles that are not named, or for all languages."""

MAX_TENANTS = 10_000
MAX_NAMES = 100
"""Most tenants, and most roles or languages of one of them."""

Use = Literal["all", "text_only", "off"]
DEFAULT_ROLES: dict[str, Use] = {"agent": "text_only", ANY: "all"}
"""They hold unless a setting names the same role."""

_USES = ("all", "text_only", "off")
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_FORM = "must be a section of roles with all, text_only or off, or text such as agent=text_only,*=all"


def _roles(given: object) -> dict[str, str]:
    """Roles in lower case."""
    if given is None:
        raise ValueError(_FORM)
    pairs = dict(given) if isinstance(given, Mapping) else _pairs(given)
    if not pairs or len(pairs) > MAX_NAMES:
        raise ValueError(_FORM)
    roles: dict[str, str] = {}
    for name, given_use in pairs.items():
        # YAML reads `off` as a truth value.
        use = "off" if given_use is False else given_use
        if not isinstance(name, str) or use not in _USES:
            raise ValueError(_FORM)
        role = name if name == ANY else check_name("a role", name).lower()
        if roles.setdefault(role, use) != use:
            raise ValueError("names a role twice, with different values")
    return roles


def _with_defaults(given: object) -> dict[str, str]:
    return {**DEFAULT_ROLES, **_roles(given)}


def _pairs(given: object) -> dict[str, str]:
    parts = [part.partition("=") for part in given.split(",")] if isinstance(given, str) else []
    names = [name.strip() for name, _, _ in parts]
    if not parts or len(set(names)) < len(names):
        raise ValueError(_FORM)
    return {name.strip(): use.strip() for name, _, use in parts}


def _languages(given: object) -> tuple[str, ...]:
    codes = given.split(",") if isinstance(given, str) else given
    form = "must be codes of two or three letters such as en, separated by commas, or *"
    if not isinstance(codes, list | tuple) or not 0 < len(codes) <= MAX_NAMES or not all(isinstance(code, str) for code in codes):
        raise ValueError(form)
    read = tuple(dict.fromkeys(code.strip().lower() for code in codes))
    if not all(code == ANY or _LANGUAGE.fullmatch(code) for code in read):
        raise ValueError(form)
    return read


Roles = Annotated[dict[str, Use], BeforeValidator(_with_defaults)]
NamedRoles = Annotated[dict[str, Use], BeforeValidator(_roles)]
"""Roles without the defaults of those that are not named."""

Languages = Annotated[tuple[str, ...], BeforeValidator(_languages)]


def read_tenants(given: object, section: type[BaseModel]) -> dict[str, BaseModel]:
    """Policies by tenant, from a section or from JSON. Raises ``ValueError`` with a sentence that says which one is wrong, by its place."""
    form = "must be a section that has a section of roles, consent, without_consent and languages for each tenant"
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            raise ValueError(f"{form}; as text, JSON") from None
    if not isinstance(given, Mapping) or len(given) > MAX_TENANTS:
        raise ValueError(form)
    policies: dict[str, BaseModel] = {}
    for place, (tenant, policy) in enumerate(given.items(), 1):
        if not isinstance(tenant, str):
            raise ValueError(form)
        check_name("the name of a tenant", tenant)
        try:
            policies[tenant] = section.model_validate(policy)
        except ValidationError as error:
            fault = error.errors(include_input=False, include_url=False)[0]
            known = fault["loc"][:1] if fault["loc"][:1] and fault["loc"][0] in section.model_fields else ()
            text = str(fault["msg"]).removeprefix("Value error, ") if known else form
            raise ValueError(f"tenant no. {place}: {': '.join([*map(str, known), text])}") from None
    return policies
