"""Reads the file of the receivers of webhooks, and their secrets."""

from __future__ import annotations

import base64
import binascii
import secrets
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import yaml

from stream.domain.alert import Severity
from stream.domain.identity import check_name
from stream.gateway.webhooks.addresses import is_private_literal

MAX_BYTES = 256 * 1024
MAX_RECEIVERS = 100
MAX_DEPTH = 10
SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix of all secrets
SECRET_BYTES = 32
LEAST_SECRET_BYTES = 24
ALL = "*"


class WebhooksError(Exception):
    """The receivers cannot be used; the message has one line for each mistake, and quotes no secret."""


class Kind(StrEnum):
    """What a receiver is told of."""

    ALERTS = "alerts"
    """Alerts of rules in mode live, raised and cleared."""
    FINALS = "finals"
    """Final windows: score and explanation."""
    SUMMARIES = "summaries"
    """Ended sessions."""


class Receiver(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who receives messages.

    Attributes:
        name: Its name, for the command line.
        url: Where messages are posted: https, or http on this machine.
        secret_file: File with its secret (``whsec_…``); with two lines, messages have two signatures while a secret is replaced. The path
            counts from the folder of the file of receivers.
        tenants: Whose sessions it is told of; ``*`` for all.
        events: What it is told of.
        min_severity: Alerts below it are left out.
        words: Whether it gets to know what was said.
    """

    name: str
    url: str
    secret_file: str
    tenants: tuple[str, ...]
    events: tuple[Kind, ...] = (Kind.ALERTS,)
    min_severity: Severity = Severity.LOW
    words: bool = False

    def wants(self, tenant: str, kind: Kind) -> bool:
        """Whether it is told of this kind of this tenant."""
        return kind in self.events and (ALL in self.tenants or tenant in self.tenants)


def read_receivers(path: Path, *, private_addresses: bool) -> tuple[Receiver, ...]:
    """The receivers of a file. Raises `WebhooksError` with every mistake."""
    entries = _entries(path)
    found: list[Receiver] = []
    mistakes: list[str] = []
    for number, entry in enumerate(entries, 1):
        try:
            receiver = msgspec.convert(entry, Receiver)
            _check(receiver, path, private_addresses=private_addresses)
            if any(receiver.name == other.name for other in found):
                raise ValueError("name: another receiver has this name")
        except (msgspec.ValidationError, ValueError) as error:
            mistakes.append(f"{path}: receiver {number}: {_plain(error)}")
        else:
            found.append(receiver)
    if mistakes:
        raise WebhooksError("\n".join(mistakes))
    return tuple(found)


def read_secrets(path: Path) -> tuple[str, ...]:
    """The secrets of a file, the newest first. Raises ``ValueError``, which never quotes them."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="ascii").splitlines() if line.strip()]
    except OSError as error:
        raise ValueError(f"secret_file: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("secret_file: must be text") from None
    if not 1 <= len(lines) <= 2:
        raise ValueError("secret_file: must have one secret, or two while one is replaced")
    for line in lines:
        try:
            long_enough = len(base64.b64decode(line.removeprefix(SECRET_PREFIX), validate=True)) >= LEAST_SECRET_BYTES
        except (binascii.Error, ValueError):
            long_enough = False
        if not line.startswith(SECRET_PREFIX) or not long_enough:
            raise ValueError("secret_file: a secret is whsec_ and base64 of 24 bytes or more: make one with `sentistream webhooks secret`")
    return tuple(lines)


def new_secret() -> str:
    """A secret of random bytes."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _entries(path: Path) -> list[object]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WebhooksError(f"{path}: {error.strerror}") from None
    try:
        if len(content) > MAX_BYTES:
            raise ValueError("is too large to be a file of receivers")
        text = content.decode("utf-8-sig")
        _refuse_dangers(text)
        root = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, UnicodeDecodeError):
        raise WebhooksError(f"{path}: is not YAML in UTF-8") from None
    except ValueError as error:
        raise WebhooksError(f"{path}: {error}") from None
    entries = root.get("receivers") if isinstance(root, dict) and set(root) == {"receivers"} else None
    if not isinstance(entries, list) or len(entries) > MAX_RECEIVERS:
        raise WebhooksError(
            f"{path}: must have one list, `receivers:`, of at most {MAX_RECEIVERS}; each has name, url, secret_file, tenants"
        )
    return entries


def _refuse_dangers(text: str) -> None:
    """Raises ``ValueError`` for what can stand for gigabytes, or takes long to read."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("holds an alias (*NAME); put a value that begins with * in quotes")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ValueError("is nested too deeply")


def _check(receiver: Receiver, path: Path, *, private_addresses: bool) -> None:
    """Raises ``ValueError``."""
    check_name("name", receiver.name)
    for tenant in receiver.tenants:
        if tenant != ALL:
            check_name("tenants", tenant)
    if not receiver.tenants or not receiver.events:
        raise ValueError("tenants and events: name at least one")
    check_url(receiver.url, private_addresses=private_addresses)
    read_secrets(path.parent / receiver.secret_file)


def check_url(url: str, *, private_addresses: bool) -> None:
    """Raises ``ValueError`` unless messages may be posted there. Names are resolved, and their addresses checked, with each message."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc or parts.fragment or not url.isascii() or " " in url:
        raise ValueError("url: must be https://HOST/PATH, without a user and a fragment")
    private = is_private_literal(host)
    if parts.scheme == "http" and not (private is not None and private.is_loopback):
        raise ValueError("url: must begin with https://; http is for this machine alone")
    if private is not None and not private_addresses:
        raise ValueError("url: is an address of this machine or of a private network: set webhooks.private_addresses to allow them")


def _plain(error: Exception) -> str:
    return str(error).replace("`$.", "`").replace("Object ", "").replace("Expected", "expected")
