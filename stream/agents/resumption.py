"""After the last of the rebalances, and no other, reading goes on from the committed offsets, however long going back takes.

Faust 0.15.3 (``faust/tables/recovery.py``) reads on once it has gone back, even if another rebalance has begun meanwhile, because the
broker was slow or away. What it then reads before it goes back for that one is in part dropped and never read again. And if going back
takes longer than a request may, it never reads on.
"""

from __future__ import annotations

import logging

from faust.tables import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery
from faust.types import TP
from mode.services import WaitArgT
from mode.utils.times import Seconds

# Faust's services log under the name of the module that defines them; their every start is no news.
logging.getLogger(__name__).setLevel(logging.WARNING)


class PatientRecovery(Recovery):
    """What comes after each rebalance; there are no tables to recover."""

    _rebalance = 0

    async def on_rebalance(self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0) -> None:
        """Partitions were assigned: go back, and then on, in the background."""
        self._rebalance = self.app.rebalancing_count
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    async def _wait(self, coro: WaitArgT, timeout: Seconds | None = None) -> None:  # noqa: ASYNC109 (Faust's)
        """Wait for as long as it takes; raises `RebalanceAgain` if another rebalance has begun meanwhile."""
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
    """Faust's manager of tables, of which there are none: it does what comes after a rebalance."""

    @property
    def recovery(self) -> Recovery:
        """Made on first use, as Faust does."""
        if self._recovery is None:
            self._recovery = PatientRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
