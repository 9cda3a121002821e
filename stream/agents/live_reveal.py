"""Writes what this worker's probes have shown to Redis, judges what those of all workers have shown, and raises an operator alert."""

from __future__ import annotations

import asyncio
import secrets
import time
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from stream.config.worker_settings import RevealSettings
from stream.domain.live_reveal import LiveNuisance, LiveReport
from stream.pipeline.live_reveal import LiveReveal
from stream.pipeline.metrics import Metrics
from stream.reveal.findings import HONEST, Detector, Reference, read_references
from stream.reveal.live import PROBES, LiveReference, judged, read_live_reference
from stream.sinks.connection import RedisConnection
from stream.sinks.live_reveal import LiveRevealStore
from stream.sinks.problems import RedisUnusableError

log = structlog.get_logger(__name__)

EVERY_S = 10.0
"""How often sums are written and judged, if they have changed."""

LAST_S = 2.0
"""How long a worker that stops waits for its last sums to be written: statistics must not hold it up."""

PROBE_WINDOWS = "sample"
"""Kind of the probe windows in the honest reference of which words are judged: what words alone score does not depend on it."""


class Honest(NamedTuple):
    """What honest models of the release show.

    Attributes:
        live: What probes do to honest windows.
        words: What words score alone.
    """

    live: LiveReference
    words: Reference


def read_honest(folder: Path) -> Honest | None:
    """The references in the folder of the model ``mmci``; None, and a line in the log, if they cannot be used."""
    try:
        return Honest(read_live_reference(folder / PROBES), read_references(folder / HONEST).of(PROBE_WINDOWS))
    except (OSError, msgspec.MsgspecError, KeyError) as error:
        log.warning("no_probes", why="the honest references beside mmci cannot be read, so no window is probed", error=type(error).__name__)
        return None


class LiveRevealReports:
    """An async context manager: inside it, sums are written and judged in the background.

    Args:
        reveal: The sums of this worker.
        honest: What honest models show.
        redis: The connection.
        settings: Hours that count.
        metrics: Shows the suspects.
        every_s: How often.
    """

    def __init__(
        self,
        reveal: LiveReveal,
        honest: Honest,
        redis: RedisConnection,
        settings: RevealSettings,
        metrics: Metrics,
        *,
        every_s: float = EVERY_S,
    ) -> None:
        self._reveal = reveal
        self._honest = honest
        self._store = LiveRevealStore(redis, settings.hours)
        self._metrics = metrics
        self._every_s = every_s
        self._worker = secrets.token_hex(6)
        self._alerted: set[tuple[str, str]] = set()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> LiveRevealReports:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
        try:
            async with asyncio.timeout(LAST_S):
                await self._reveal.finished()
                await self.report()
        except Exception as error:
            # Neither an outage nor a fault of the statistics may hold up a worker that stops, or make it fail.
            log.warning("last_probes_not_written", error=type(error).__name__)
        self._reveal.close()

    async def report(self) -> LiveReport | None:
        """Write the sums that have changed, and a new report; None if nothing has changed, or Redis is away."""
        changed = self._reveal.changed()
        if not changed:
            return None
        now_ms = round(time.time() * 1000)
        try:
            for own in changed:
                await self._store.put(self._worker, own)
            report = judged(await self._store.hours(now_ms), self._honest.live, self._honest.words, now_ms)
            await self._store.put_report(report)
        except RedisUnusableError:
            # Whatever Redis lacks now is written with the next change of the hour. The monitor says that Redis is away.
            return None
        self._alert(report)
        return report

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.report()
            except Exception as error:
                # Statistics must not stop a worker that scores.
                log.warning("probes_not_reported", error=type(error).__name__)

    def _alert(self, report: LiveReport) -> None:
        """Log each new suspect once, and show all of them as metrics. What somebody has said is named in neither."""
        suspects: dict[tuple[str, str], LiveNuisance] = {}
        for own in report.suspects:
            suspects.setdefault(("word" if own.found_by == Detector.WORDS else own.name, own.version), own)
        self._metrics.show_suspects({key: own.strength or 0.0 for key, own in suspects.items()})
        for (name, version), own in suspects.items():
            if (name, version) not in self._alerted:
                strength = round(own.strength or 0.0, 2)
                look = "sentistream reveal --live"
                log.warning("nuisance_suspected", nuisance=name, version=version, strength=strength, windows=own.windows, look=look)
        self._alerted = set(suspects)
