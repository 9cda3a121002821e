"""Static tokens: made once, kept as hashes, recognised in microseconds after the first time."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from secrets import token_urlsafe

import structlog
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from stream.gateway.access_file import AccessFile, AccessFileError, TokenEntry, read_access_file

log = structlog.get_logger(__name__)

PREFIX = "sst"
SEPARATOR = "~"
LONGEST = 256
SECRET_BYTES = 32
CACHED = 1024
"""Tokens that are recognised without their hash."""
LOOK_S = 1.0
"""The file is looked at this often."""

# Secrets are random, so that a hash has to withstand no list of usual passwords.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def new_token(name: str) -> tuple[str, str]:
    """A new token for a name, and the hash for the access file."""
    secret = token_urlsafe(SECRET_BYTES)
    return SEPARATOR.join((PREFIX, name, secret)), _HASHER.hash(secret)


class TokenStore:
    """The tokens of an access file, which is read again when it changes: a token whose entry is gone no longer works.

    A file that has become wrong changes nothing: the log says so, and the tokens of before stay.

    Args:
        path: The file; None for no tokens.
        clock: Seconds that only rise.

    Raises:
        AccessFileError: It is wrong at the start.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._verified: OrderedDict[bytes, str] = OrderedDict()
        self._verifying = asyncio.Lock()
        self._looked_s = clock()
        self._stamp = self._stamp_now()
        self._file = AccessFile() if path is None else read_access_file(path)
        self.generation = 0
        """Rises whenever the content changes."""

    @property
    def file(self) -> AccessFile:
        """The content, as it is now."""
        if self._path is not None and self._clock() - self._looked_s >= LOOK_S:
            self._looked_s = self._clock()
            stamp = self._stamp_now()
            if stamp != self._stamp:
                self._stamp = stamp
                self._read_again(self._path)
        return self._file

    def entry(self, name: str, now_ms: int) -> TokenEntry | None:
        """The entry of a name, unless it has expired."""
        entry = self.file.tokens.get(name)
        return None if entry is None or (entry.expires_at_ms is not None and entry.expires_at_ms <= now_ms) else entry

    def recall(self, token: str, now_ms: int) -> TokenEntry | None:
        """The entry of a token that was verified before, in microseconds; None for others."""
        entry = self._entry_named_in(token, now_ms)
        return entry if entry is not None and self._verified.get(_digest(token)) == entry.hash else None

    async def verify(self, token: str, now_ms: int) -> TokenEntry | None:
        """The entry of a token; None if it is none of ours. For a name that is known it takes tens of milliseconds of a processor."""
        entry = self._entry_named_in(token, now_ms)
        if entry is None:
            return None
        # One at a time: a hash takes 19 MB, and anybody can send wrong tokens.
        async with self._verifying:
            if not await asyncio.to_thread(_matches, entry.hash, token.rpartition(SEPARATOR)[2]):
                return None
        self._verified[_digest(token)] = entry.hash
        while len(self._verified) > CACHED:
            self._verified.popitem(last=False)
        return entry

    def _entry_named_in(self, token: str, now_ms: int) -> TokenEntry | None:
        parts = token.split(SEPARATOR) if len(token) <= LONGEST and token.isascii() else []
        return self.entry(parts[1], now_ms) if len(parts) == 3 and parts[0] == PREFIX else None

    def _stamp_now(self) -> tuple[int, int, int] | None:
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read_again(self, path: Path) -> None:
        try:
            self._file = read_access_file(path)
        except AccessFileError as error:
            log.error("access_file_not_read", mistakes=str(error), what="the tokens of before stay in force; correct gateway.access")
            return
        self._verified.clear()
        self.generation += 1
        log.info("access_file_read", tokens=len(self._file.tokens))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("ascii")).digest()


def _matches(hashed: str, secret: str) -> bool:
    try:
        return _HASHER.verify(hashed, secret)
    except (Argon2Error, InvalidHashError):
        return False
