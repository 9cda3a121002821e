"""Which sessions this worker may process: those of its partitions, unless another worker has fenced them off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from stream.domain.identity import SessionKey

log = structlog.get_logger(__name__)

REJOIN_EVERY_S = 60.0
"""A worker joins its group again at most this often: each time, the whole group stands still for a moment."""

REMEMBERED_S = 600.0
"""For so long after the last fence, a session counts as fenced off before, or as given up."""


class Claim:
    """This worker's claim to a session while one record is processed. It may be lost at every ``await``."""

    def __init__(self, ownership: Ownership, session: SessionKey) -> None:
        self._ownership = ownership
        self._session = session
        self._generation = ownership.generation

    @property
    def is_lost(self) -> bool:
        """True once the record must be dropped: acknowledging it now could commit past it, so it would never be reread."""
        return self._generation != self._ownership.generation or self._session in self._ownership.fenced


class Ownership:
    """Tracks rebalances and sessions that another worker has fenced off.

    A fenced session is left alone, unacknowledged, until its partition is revoked: restarting it midway would publish incomplete windows.
    What happens if Kafka leaves the partition with this worker all the same:

    1. The worker leaves the group and joins it again. It gets a newer token, and reads the session again from its committed offsets. This
       settles the case of workers that got their tokens in another order than their partitions.
    2. If the session is fenced off once more, another worker is really publishing it, for example one of another group with the same
       Redis. The worker joins again and gives this session up: its records go to the dead letters. All its other sessions go on.

    Args:
        patience_s: How long to wait for the revocation of a fenced session's partition.
        rejoin: Leaves the consumer group and joins it again.
    """

    def __init__(self, patience_s: float, rejoin: Callable[[], None]) -> None:
        self.generation = 0
        """Increases with each revocation; work that began in an earlier generation is void."""
        self.fenced: dict[SessionKey, int] = {}
        """Fenced sessions and their partitions."""
        self._patience_s = patience_s
        self._rejoin = rejoin
        self._rejoining: asyncio.TimerHandle | None = None
        self._rejoined_at = float("-inf")
        self._rejoined: dict[SessionKey, float] = {}
        """Sessions for which the worker has joined again, and when."""
        self._given_up: dict[SessionKey, float] = {}
        """Sessions that are left to another worker, and since when."""

    def claim(self, session: SessionKey) -> Claim:
        """Claim a session while one of its records is processed."""
        return Claim(self, session)

    def void_claims(self) -> None:
        """Void every claim that was made so far."""
        self.generation += 1

    def is_given_up(self, session: SessionKey) -> bool:
        """Whether a session is left to another worker; then its records cannot be used here."""
        return bool(self._given_up) and session in self._given_up

    def fence_off(self, session: SessionKey, partition: int) -> None:
        """Another worker has a newer fencing token for the session."""
        self.fenced[session] = partition
        if self._rejoining is None:
            loop = asyncio.get_running_loop()
            at = max(loop.time() + self._patience_s, self._rejoined_at + REJOIN_EVERY_S)
            self._rejoining = loop.call_at(at, self._join_again)

    def _join_again(self) -> None:
        self._rejoining, now = None, asyncio.get_running_loop().time()
        self._rejoined_at = now
        for session in self.fenced:
            if session in self._rejoined:
                log.error("session_given_up", partition=self.fenced[session])
                self._given_up[session] = now
            self._rejoined[session] = now
        self._rejoin()

    def on_revoked(self, partitions: Iterable[int]) -> None:
        """Forget the fenced sessions of partitions that another worker will take."""
        gone = set(partitions)
        self.fenced = {session: partition for session, partition in self.fenced.items() if partition not in gone}
        if not self.fenced and self._rejoining is not None:
            self._rejoining.cancel()
            self._rejoining = None

    def on_time(self, now: float) -> None:
        """Forget what happened `REMEMBERED_S` ago (seconds on the event loop's clock)."""
        if self._rejoined:
            self._rejoined = {session: at for session, at in self._rejoined.items() if now - at < REMEMBERED_S}
            self._given_up = {session: at for session, at in self._given_up.items() if now - at < REMEMBERED_S}
