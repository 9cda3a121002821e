"""The access file: hashes of tokens, and further roles. It never holds a token.

::

    tokens:
      wall-1:
        role: wallboard
        tenants: acme, beta     # '*' in quotes for all of them
        expires: 2027-06-30     # optional
        hash: $argon2id$v=19$…
    roles:
      auditor: scores, words, alerts
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from stream.config.yaml_file import SettingsFile, read_settings_file
from stream.domain.identity import check_name
from stream.domain.permission import ROLES, Permission

ALL = "*"
_ENTRY = frozenset({"role", "tenants", "hash", "expires"})
_REQUIRED = ("role", "tenants", "hash")
_HASH = "$argon2id$"


class AccessFileError(Exception):
    """The access file cannot be used; the message has a line for each mistake, and quotes no hash."""


@dataclass(frozen=True, slots=True)
class TokenEntry:
    """What a token allows.

    Attributes:
        name: Its name, which is part of the token.
        role: Name of a role.
        tenants: Tenants; None for all.
        hash: Argon2 hash of the secret.
        expires_at_ms: Unix ms; None if it does not expire.
    """

    name: str
    role: str
    tenants: frozenset[str] | None
    hash: str
    expires_at_ms: int | None = None

    @property
    def fingerprint(self) -> str:
        """Changes with everything that the entry says: a session that was opened with another entry is over."""
        tenants = ALL if self.tenants is None else ",".join(sorted(self.tenants))
        text = "\n".join((self.name, self.role, tenants, self.hash, str(self.expires_at_ms)))
        return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class AccessFile:
    """The content of the file: tokens by name, and all roles, those that every gateway has and further ones."""

    tokens: Mapping[str, TokenEntry] = field(default_factory=dict)
    roles: Mapping[str, frozenset[Permission]] = field(default_factory=lambda: dict(ROLES))


def read_access_file(path: Path) -> AccessFile:
    """Read and check a file. Raises `AccessFileError`."""
    file = read_settings_file(path)
    reading = _Reading(path, file)
    for line, text in file.mistakes:
        reading.note(text, line)
    for section in file.values.keys() - {"tokens", "roles"}:
        reading.note(f"there is no section {section!r}: there are `tokens` and `roles`", file.lines.get((section,)))
    roles = dict(ROLES) | reading.roles(_section(file, "roles", reading))
    tokens = reading.tokens(_section(file, "tokens", reading), roles)
    if reading.mistakes:
        raise AccessFileError("\n".join(reading.mistakes))
    return AccessFile(tokens, roles)


def parse_tenants(text: str) -> frozenset[str] | None:
    """``acme, beta`` → its names; ``*`` → None: all. Raises ``ValueError``."""
    names = [name.strip() for name in text.split(",")]
    if names == [ALL]:
        return None
    return frozenset(check_name("tenant", name) for name in names)


def parse_expiry(text: str) -> int:
    """The end of a day (UTC), or a time with an offset, in Unix ms. Raises ``ValueError``."""
    moment = datetime.fromisoformat(text)
    if len(text) == len("2027-06-30"):
        moment = moment.replace(tzinfo=UTC) + timedelta(days=1)
    if moment.tzinfo is None:
        raise ValueError("a time needs an offset")
    return round(moment.timestamp() * 1000)


def _section(file: SettingsFile, name: str, reading: _Reading) -> dict[str, Any]:
    values = file.values.get(name)
    if values is None:
        return {}
    if not isinstance(values, dict):
        reading.note(f"{name} must be a section with indented names", file.lines.get((name,)))
        return {}
    return values


class _Reading:
    """Collects mistakes."""

    def __init__(self, path: Path, file: SettingsFile) -> None:
        self._path = path
        self._file = file
        self.mistakes: list[str] = []

    def note(self, text: str, line: int | None) -> None:
        self.mistakes.append(f"{self._path}{f', line {line}' if line else ''}: {text}")

    def roles(self, section: dict[str, Any]) -> dict[str, frozenset[Permission]]:
        found = {}
        for name, text in section.items():
            line = self._file.lines.get(("roles", name))
            names = [part.strip() for part in text.split(",")] if isinstance(text, str) else []
            if name in ROLES:
                self.note(f"the role {name!r} is there already: choose another name", line)
            elif not names or not set(names) <= set(Permission):
                self.note(f"a role is a list of permissions, separated by commas: {', '.join(Permission)}", line)
            else:
                found[name] = frozenset(map(Permission, names))
        return found

    def tokens(self, section: dict[str, Any], roles: Mapping[str, frozenset[Permission]]) -> dict[str, TokenEntry]:
        found = {}
        for name, values in section.items():
            line = self._file.lines.get(("tokens", name))
            try:
                found[name] = _token(name, values, roles)
            except ValueError as error:
                self.note(f"token {name!r}: {error}", line)
        return found


def _token(name: str, values: Any, roles: Mapping[str, frozenset[Permission]]) -> TokenEntry:
    check_name("its name", name)
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise ValueError("it needs `role`, `tenants` and `hash`, each with one text")
    if unknown := values.keys() - _ENTRY:
        raise ValueError(f"{sorted(unknown)[0]!r} means nothing here; there are {', '.join(sorted(_ENTRY))}")
    if missing := [part for part in _REQUIRED if part not in values]:
        raise ValueError(f"{missing[0]!r} is missing")
    if values["role"] not in roles:
        raise ValueError(f"there is no such role; there are {', '.join(sorted(roles))}")
    if not values["hash"].startswith(_HASH):
        raise ValueError("the hash is not of Argon2id: make the entry with `sentistream gateway token`")
    try:
        expires_at_ms = parse_expiry(values["expires"]) if "expires" in values else None
    except ValueError:
        raise ValueError("`expires` is a day like 2027-06-30, or a time with an offset") from None
    return TokenEntry(name, values["role"], parse_tenants(values["tenants"]), values["hash"], expires_at_ms)
