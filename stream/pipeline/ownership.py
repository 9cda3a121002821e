"""Which sessions this worker may process: those of its partitions, unless another worker has fenced them off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from stream.domain.identity import SessionKey
from stream.pipeline.fence import FencedOffError


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
    If Kafka leaves the partition with this worker all the same, the worker fails with `FencedOffError`, so that the worker
    that is assigned the partition next reads everything again.

    Args:
        patience_s: How long to wait for the revocation of a fenced session's partition.
        on_failure: Called with `FencedOffError` after that.
    """

    def __init__(self, patience_s: float, on_failure: Callable[[BaseException], None]) -> None:
        self.generation = 0
        """Increases with each revocation; work that began in an earlier generation is void."""
        self.fenced: dict[SessionKey, int] = {}
        """Fenced sessions and their partitions."""
        self._patience_s = patience_s
        self._on_failure = on_failure
        self._failing: asyncio.TimerHandle | None = None

    def claim(self, session: SessionKey) -> Claim:
        """Claim a session while one of its records is processed."""
        return Claim(self, session)

    def void_claims(self) -> None:
        """Void every claim that was made so far."""
        self.generation += 1

    def fence_off(self, session: SessionKey, partition: int) -> None:
        """Another worker has a newer fencing token for the session."""
        self.fenced[session] = partition
        if self._failing is None:
            error = FencedOffError("another worker's fencing token is newer")
            self._failing = asyncio.get_running_loop().call_later(self._patience_s, self._on_failure, error)

    def on_revoked(self, partitions: Iterable[int]) -> None:
        """Forget the fenced sessions of partitions that another worker will take."""
        gone = set(partitions)
        self.fenced = {session: partition for session, partition in self.fenced.items() if partition not in gone}
        if not self.fenced and self._failing is not None:
            self._failing.cancel()
            self._failing = None
