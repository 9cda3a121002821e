"""Kinds of values that settings have, and what each of them checks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr

from stream.config.addresses import check_host, is_ipv6, parse_address, parse_addresses
from stream.config.redis_url import parse_redis_url

LONGEST_TEXT = 1000
SHORTEST_SECRET = 32


def _plain(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"must not be longer than {LONGEST_TEXT} characters")
    if not text.isprintable():
        raise ValueError("must not hold line breaks or other control characters")
    return text


def _plain_path(path: Path) -> Path:
    _plain(str(path) if path.parts else "")
    return path


def _plain_secret(secret: SecretStr) -> SecretStr:
    _plain(secret.get_secret_value())
    return secret


def _address(text: str) -> str:
    parse_address(text)
    return text


def _addresses(text: str) -> str:
    parse_addresses(text)
    return text


def _host(text: str) -> str:
    if ":" in text and not is_ipv6(text):
        raise ValueError("must be a host alone; the port is a setting of its own")
    check_host(text)
    return text


def _redis_url(url: SecretStr) -> SecretStr:
    parse_redis_url(url.get_secret_value())
    return url


Text = Annotated[str, AfterValidator(_plain)]
Secret = Annotated[SecretStr, AfterValidator(_plain_secret)]
FilePath = Annotated[Path, AfterValidator(_plain_path)]
RedisUrl = Annotated[Secret, AfterValidator(_redis_url)]
Host = Annotated[Text, AfterValidator(_host)]
Address = Annotated[Text, AfterValidator(_address)]
Addresses = Annotated[Text, AfterValidator(_addresses)]


class Section(BaseModel):
    """A part of the settings: frozen, and without unknown keys."""

    # Errors do not quote the input: it may be a password.
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False, hide_input_in_errors=True)
