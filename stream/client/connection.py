"""One HTTP connection to a gateway: requests with the token, and its answers as types or as errors."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import time
from typing import TypeVar
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec

from stream.client.errors import GatewayAwayError, GatewayError, ProblemError
from stream.gateway.views import Problem

Answer = TypeVar("Answer")

TIMEOUT_S = 30.0
"""Longest time for a request, and longest silence of a live stream: the gateway writes at least every 10 s."""
LARGEST_ANSWER = 64 * 1024 * 1024
LARGEST_PROBLEM = 65_536
"""Bytes. More of an answer is not read."""

_PROBLEM = msgspec.json.Decoder(Problem)


class Connection:
    """Sends requests to one gateway.

    Args:
        url: Where the gateway is: ``https://host`` or ``http://127.0.0.1:8080``, perhaps with a path before ``/api``.
        token: Bearer token; None where the gateway lets everybody in.
        ca_file: PEM file of the authority that signed the gateway's certificate; None for the system's authorities.
    """

    def __init__(self, url: str, token: str | None = None, ca_file: Path | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
            raise ValueError("the address of a gateway is http://HOST:PORT or https://HOST:PORT")
        if token is not None and not (token.isascii() and token.isprintable() and token.strip()):
            raise ValueError("a token is printable ASCII text")
        self._base = url.rstrip("/") + "/api/v1"
        self.place = f"{parts.scheme}://{parts.netloc}"
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._ca_file = ca_file
        self._session: aiohttp.ClientSession | None = None

    async def get(self, kind: type[Answer], *path: str, **query: object) -> Answer:
        """The answer to GET. Raises `GatewayError`."""
        return await self.request(kind, "GET", *path, query=query)

    async def request(
        self, kind: type[Answer], method: str, *path: str, query: Mapping[str, object] | None = None, body: object = None
    ) -> Answer:
        """The answer to a request. Raises `GatewayError`."""
        async with self.open(method, *path, query=query, body=body) as response:
            try:
                return _decode(kind, await _bounded(response, LARGEST_ANSWER), self.place)
            except (aiohttp.ClientError, TimeoutError) as error:
                raise self._away(error) from None

    @asynccontextmanager
    async def open(
        self,
        method: str,
        *path: str,
        query: Mapping[str, object] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        endless: bool = False,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A response of success, whose body the caller reads. Raises `GatewayError`.

        Args:
            method: ``GET``, ``POST`` or ``DELETE``.
            path: Parts of the path below ``/api/v1``; they are quoted.
            query: Parameters; those that are None are left out.
            body: Sent as JSON; None for none.
            headers: Further headers.
            endless: Whether the body may take longer than `TIMEOUT_S`, as long as something comes.
        """
        timeout = aiohttp.ClientTimeout(total=None if endless else TIMEOUT_S, sock_connect=TIMEOUT_S, sock_read=TIMEOUT_S)
        try:
            response = await self._client().request(
                method,
                "/".join([self._base, *(quote(part, safe="") for part in path)]),
                params={name: _text(value) for name, value in (query or {}).items() if value is not None},
                data=None if body is None else msgspec.json.encode(body),
                headers={**self._headers, **({"Content-Type": "application/json"} if body is not None else {}), **(headers or {})},
                timeout=timeout,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._away(error) from None
        try:
            if response.status >= 300:
                raise await _problem(response)
            yield response
        finally:
            response.close()

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            secured = ssl.create_default_context(cafile=self._ca_file) if self._ca_file else True
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=secured), auto_decompress=True)
        return self._session

    def _away(self, error: Exception) -> GatewayAwayError:
        reason = "did not answer in time" if isinstance(error, TimeoutError) else "does not answer"
        if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
            reason = "has a certificate that is not trusted here: name the authority with ca_file"
        return GatewayAwayError(f"The gateway at {self.place} {reason} ({type(error).__name__})")


def _text(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _decode(kind: type[Answer], data: bytes, place: str) -> Answer:
    if kind is type(None):
        return None
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeError) as error:
        what = str(error) if isinstance(error, msgspec.ValidationError) else "it is no JSON"
        raise GatewayError(f"The answer of {place} is not that of a gateway of this release: {what}") from None


async def _bounded(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body. Raises `GatewayError` if it is larger than `most` bytes."""
    pieces, size = [], 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > most:
            raise GatewayError(f"An answer of more than {most // 1024 // 1024} MB: ask for fewer items at once")
        pieces.append(piece)
    return b"".join(pieces)


async def _problem(response: aiohttp.ClientResponse) -> ProblemError:
    """What the gateway, or a proxy before it, says."""
    try:
        problem = _PROBLEM.decode(await response.content.read(LARGEST_PROBLEM))
    except (msgspec.DecodeError, UnicodeError, aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError):
        problem = Problem(type="about:blank", title=response.reason or "no reason", status=response.status)
    return ProblemError(problem, _retry_after_s(response.headers.get("Retry-After")))


def _retry_after_s(text: str | None) -> float | None:
    """``Retry-After``: seconds, or a date."""
    if text is None:
        return None
    if text.isdigit() and len(text) <= 9:
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time())
    except (ValueError, TypeError):
        return None
