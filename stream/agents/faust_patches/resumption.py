"""Resumes reading after the last of several rebalances only, however long it takes to seek to the committed offsets.

Faust 0.15.3 (``faust/tables/recovery.py``, ``Recovery._resume_streams``) resumes once it has sought, even if another rebalance has begun in
the meantime because the broker was slow or away. Some records that it reads before it seeks for that rebalance are dropped and never
read again: windows lacked chunks. And if seeking takes longer than a request may, it never resumes.
"""

from __future__ import annotations

import logging

from faust.tables import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery
from faust.types import TP
from mode.services import WaitArgT
from mode.utils.times import Seconds

# Faust's services log each of their starts, under the name of the module that defines them.
logging.getLogger(__name__).setLevel(logging.WARNING)


class PatientRecovery(Recovery):
    """What follows each rebalance. There are no tables to recover: it only seeks and resumes."""

    _rebalance = 0

    async def on_rebalance(self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0) -> None:
        """Partitions were assigned: seek and resume in the background."""
        self._rebalance = self.app.rebalancing_count
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    async def _wait(self, coro: WaitArgT, timeout: Seconds | None = None) -> None:  # noqa: ASYNC109 (Faust's signature)
        """Wait without a time-out; raises `RebalanceAgain` if another rebalance has begun in the meantime."""
        try:
            await super()._wait(coro)
        except Exception as error:
            if self._is_void:
                raise RebalanceAgain from error
            raise
        if self._is_void:
            raise RebalanceAgain

    @property
    def _is_void(self) -> bool:
        return self.app.rebalancing_count != self._rebalance or self.signal_recovery_start.is_set()


class NoTables(TableManager):
    """Faust's table manager, which also handles rebalances; this app has no tables."""

    @property
    def recovery(self) -> Recovery:
        """Made on first use, as in Faust."""
        if self._recovery is None:
            self._recovery = PatientRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
