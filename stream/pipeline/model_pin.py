"""Which version of ``mmci`` scores an epoch: the one that is promoted when the epoch's first sound is encoded, until the epoch ends.

A replayed window must have the same content, also if another version was promoted meanwhile. So the version is written to Redis before the
first sound is encoded, or the first window scored, in one atomic step: of two workers that begin the epoch, both get the version of the
first.

Beside ``mmci``, only the audio encoder has several versions at a time: a version of ``mmci`` may have been trained with one of its own. It
belongs to the version that the epoch keeps, so the voices and contexts of the epoch's windows can be compared with each other.
"""

from __future__ import annotations

import asyncio

import structlog

from stream.aio.tasks import TaskSet
from stream.domain.identity import SessionKey
from stream.pipeline.metrics import Metrics
from stream.pipeline.ports import ResultStore, Scorer

log = structlog.get_logger(__name__)


class ModelPins:
    """Pins epochs to the version that is in force.

    Args:
        store: Redis.
        scorer: Says which version is in force where none was ever promoted.
        metrics: Receives the number of open epochs by version.
    """

    def __init__(self, store: ResultStore, scorer: Scorer, metrics: Metrics) -> None:
        self._store = store
        self._scorer = scorer
        self.metrics = metrics
        self._in_force: str | None = None

    async def pin(self, session: SessionKey, epoch: int) -> str:
        """The version that the epoch keeps; it is pinned to the version in force if it is not pinned yet. Outages are waited out."""
        version = await self._store.promoted_version() or await self._scorer.default_version()
        if version != self._in_force:
            log.info("model_in_force", version=version, before=self._in_force)
            self._in_force = version
        return await self._store.pin_version(session, epoch, version)


class EpochModel:
    """The version of one epoch. It is pinned when it is first asked for.

    Args:
        pins: Pins the epoch.
        session: The session.
        epoch: The epoch of its media clock.
        tasks: Runs the pinning. Its failure stops the worker: without it, the window would count as one that the model refuses.
    """

    def __init__(self, pins: ModelPins, session: SessionKey, epoch: int, tasks: TaskSet) -> None:
        self._pins = pins
        self._session = session
        self._epoch = epoch
        self._tasks = tasks
        self._version: asyncio.Future[str] | None = None
        self._released = False

    async def version(self) -> str:
        """The version; waits until it is pinned."""
        if self._version is None:
            self._version = asyncio.get_running_loop().create_future()
            self._tasks.spawn(self._pin(self._version))
        return self._version.result() if self._version.done() else await asyncio.shield(self._version)

    async def _pin(self, version: asyncio.Future[str]) -> None:
        version.set_result(await self._pins.pin(self._session, self._epoch))
        if not self._released:
            self._pins.metrics.open_epochs.labels(version.result()).inc()

    def release(self) -> None:
        """The epoch is over on this worker."""
        if self._version is not None and self._version.done() and not self._released:
            self._pins.metrics.open_epochs.labels(self._version.result()).dec()
        self._released = True
