"""One demo run: services, workers, producers and a reader together, until every session has its summary."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from stream.cli.demo.services import DemoServices
from stream.cli.displays import Display, open_display
from stream.cli.errors import CommandError
from stream.cli.run_report import RunReport, RunSummary
from stream.cli.steps import StepReporter
from stream.config.settings import Settings
from stream.domain.identity import SessionKey
from stream.domain.topics import Topics
from stream.kafka_admin.topic_growth import TopicGrowth
from stream.model_repository.repository import build_models
from stream.produce.prepare import PreparedSession
from stream.produce.producer import produce_session
from stream.sinks.reader import ResultReader

STALL_S = 60.0
"""Without any news for so long after the last chunk was sent, the run has failed."""


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """What a run shall do.

    Attributes:
        settings: The effective settings.
        sessions: What is sent.
        speed: Media seconds per second, None = as fast as possible.
        workers: Worker processes.
        given: Services that are not ours: names of `stream.cli.demo.services.SERVICES`.
        json: Results as JSON lines.
    """

    settings: Settings
    sessions: Sequence[PreparedSession]
    speed: float | None
    workers: int
    given: frozenset[str]
    json: bool


async def run_demo(plan: DemoPlan, directory: Path, progress: StepReporter) -> RunSummary:
    """Run it; everything started is stopped when this returns or raises.

    Args:
        plan: What to do.
        directory: For logs and data.
        progress: Told of every step.

    Raises:
        CommandError: With one sentence, when it cannot be finished; other errors of the parts pass through.
    """
    await _check_models(plan, progress)
    async with DemoServices(plan.settings, plan.given, plan.workers, directory, progress) as services:
        return await _Run(plan, services, directory).stream(progress.console)


async def _check_models(plan: DemoPlan, progress: StepReporter) -> None:
    if "triton" in plan.given:
        return
    triton = plan.settings.triton
    with progress.step("checking models", "models are complete"):
        reports = await asyncio.to_thread(build_models, triton.model_repository, triton.text_model)
    broken = [f"{report.name}: {report.problems[0]}" for report in reports if not report.ok]
    if broken:
        raise CommandError(f"the model repository cannot be served: {'; '.join(broken)}")


class _Run:
    """The part of a run in which media flows."""

    def __init__(self, plan: DemoPlan, services: DemoServices, directory: Path) -> None:
        self._plan = plan
        self._services = services
        self._directory = directory
        self._settings = services.settings
        self._keys = frozenset(session.plan.key for session in plan.sessions)
        self._report = RunReport(self._keys, live=plan.speed == 1.0)
        self._sending = len(plan.sessions)
        self._stop = threading.Event()
        self._media_ms: dict[SessionKey, int] = {}
        self._news_at = time.monotonic()

    async def stream(self, console: Console) -> RunSummary:
        """Send, follow and show until every session has ended."""
        topics = Topics(self._settings.kafka.topic_prefix)
        growth = await asyncio.to_thread(TopicGrowth, self._settings.kafka, (topics.dead_letters, topics.late))
        async with ResultReader(self._settings.redis, self._keys) as reader:
            began = time.monotonic()
            with open_display(Console() if self._plan.json else console, json=self._plan.json) as display:
                await self._until_complete(reader, display)
            wall_s = time.monotonic() - began
        grown = await asyncio.to_thread(growth.since)
        return self._report.summary(
            media_ms=self._media_ms, wall_s=wall_s, dead_letters=grown[topics.dead_letters], late=grown[topics.late]
        )

    async def _until_complete(self, reader: ResultReader, display: Display) -> None:
        sessions = self._plan.sessions
        with ThreadPoolExecutor(max_workers=len(sessions), thread_name_prefix="produce") as threads:
            loop = asyncio.get_running_loop()
            sending = [loop.run_in_executor(threads, self._produce, session) for session in sessions]
            sent = [asyncio.ensure_future(self._sent(session.plan.key, future)) for session, future in zip(sessions, sending, strict=True)]
            guards = [asyncio.ensure_future(guard) for guard in (self._services.failed(), self._stalled())]
            work = asyncio.ensure_future(self._work(reader, display, sent))
            try:
                await asyncio.wait((work, *guards), return_when=asyncio.FIRST_COMPLETED)
                for task in (work, *guards):
                    if task.done():
                        task.result()
            finally:
                self._stop.set()
                for task in (work, *guards):
                    task.cancel()
                await asyncio.gather(work, *guards, *sending, return_exceptions=True)

    def _produce(self, session: PreparedSession) -> int:
        """Send a session, blocking; its media time at the end."""
        return produce_session(self._settings.kafka, session, speed=self._plan.speed, stop=self._stop).media_ms

    async def _sent(self, session: SessionKey, future: asyncio.Future[int]) -> None:
        self._media_ms[session] = await asyncio.shield(future)
        self._sending -= 1
        self._news_at = time.monotonic()

    async def _work(self, reader: ResultReader, display: Display, sent: Sequence[asyncio.Future[None]]) -> None:
        """Everything sent and everything seen."""
        await asyncio.gather(self._follow(reader, display), *sent)

    async def _follow(self, reader: ResultReader, display: Display) -> None:
        async for seen in reader:
            self._news_at = time.monotonic()
            self._report.add(seen.record, seen.seen_at_ms)
            display.show(seen.record)
            if self._report.complete:
                return

    async def _stalled(self) -> NoReturn:
        while self._sending or time.monotonic() - self._news_at < STALL_S:  # noqa: ASYNC110 (it is the lack of events that counts)
            await asyncio.sleep(1.0)
        missing = sorted(str(key) for key in self._report.sessions - self._report.ended)
        raise CommandError(
            f"nothing has come from the worker for {STALL_S:.0f} s and {', '.join(missing)} did not end; its log is in {self._directory}"
        )
