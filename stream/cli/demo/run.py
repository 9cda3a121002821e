"""Runs a demo: services, workers, producers and a reader, until every session has its summary."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from stream.cli.browser import open_page
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
from stream.produce.producer import ProducedSession, produce_session
from stream.sinks.reader import ResultReader

STALL_S = 60.0
"""The run has failed if nothing has happened for this time since the last chunk was sent. A healthy run is never quiet for that long, not
even while Triton restarts. Without this limit, `demo` would wait for ever for a summary that was lost."""


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """The plan of a run.

    Attributes:
        settings: The effective settings.
        sessions: The sessions to send.
        speed: Media seconds for each second of wall clock; None = as fast as possible.
        workers: Number of worker processes.
        external: Names of the services that are not embedded: ``kafka``, ``redis``, ``triton``.
        json: Whether to print results as JSON lines.
        open_browser: Whether to open the live page, and to keep everything running for it at the end.
    """

    settings: Settings
    sessions: Sequence[PreparedSession]
    speed: float | None
    workers: int
    external: frozenset[str]
    json: bool
    open_browser: bool


async def run_demo(plan: DemoPlan, directory: Path, steps: StepReporter, on_summary: Callable[[RunSummary], None]) -> None:
    """Run a demo. Everything that it started is stopped when this returns or raises.

    Args:
        plan: The plan.
        directory: For logs and data.
        steps: Shows every step.
        on_summary: Called once everything is sent and scored. With `DemoPlan.open_browser` the page stays up after that.

    Raises:
        CommandError: With one sentence, if the run cannot be finished. Errors of the services and producers pass through.
    """
    await _check_models(plan, steps)
    async with DemoServices(plan.settings, plan.external, plan.workers, directory, steps) as services:
        if services.page is not None:
            steps.print_line(f"live page: {services.page.address}", "bold")
            if plan.open_browser and not open_page(services.page.address):
                steps.print_line("no browser was found here; open the live page yourself", "yellow")
        elif plan.open_browser:
            raise CommandError("the live page is not installed; install it with: pip install 'sentistream[gateway]'")
        on_summary(await _Run(plan, services, directory).stream(steps.console))
        if plan.open_browser and services.page is not None:
            steps.print_line(f"the recordings are over; the live page stays at {services.page.address} until Ctrl-C", "bold")
            await services.wait_for_failure()


async def _check_models(plan: DemoPlan, steps: StepReporter) -> None:
    if "triton" in plan.external:
        return
    triton = plan.settings.triton
    with steps.step("checking models", "models are complete"):
        reports = await asyncio.to_thread(build_models, triton.model_repository, triton.text_model)
    broken = [f"{report.name}: {report.problems[0]}" for report in reports if not report.ok]
    if broken:
        raise CommandError(f"Triton cannot serve the model repository: {'; '.join(broken)}")


class _Run:
    """The part of a run in which media is sent and results are shown."""

    def __init__(self, plan: DemoPlan, services: DemoServices, directory: Path) -> None:
        self._plan = plan
        self._services = services
        self._directory = directory
        self._settings = services.settings
        self._keys = frozenset(session.plan.key for session in plan.sessions)
        self._report = RunReport(self._keys, live=plan.speed == 1.0)
        self._unsent = len(plan.sessions)
        self._stop = threading.Event()
        self._sent: dict[SessionKey, ProducedSession] = {}
        self._last_event_at = time.monotonic()

    async def stream(self, console: Console) -> RunSummary:
        """Send all sessions and show their results, until each session has ended."""
        topics = Topics(self._settings.kafka.topic_prefix)
        growth = await asyncio.to_thread(TopicGrowth, self._settings.kafka, (topics.dead_letters, topics.late))
        async with ResultReader(self._settings.redis, self._keys) as reader:
            began = time.monotonic()
            with open_display(Console() if self._plan.json else console, json=self._plan.json) as display:
                await self._run_until_complete(reader, display)
            wall_s = time.monotonic() - began
        grown = await asyncio.to_thread(growth.added)
        return self._report.summary(
            media_ms={key: sent.media_ms for key, sent in self._sent.items()},
            recordings=[self._sent[session.plan.key].recording for session in self._plan.sessions],
            wall_s=wall_s,
            dead_letters=grown[topics.dead_letters],
            late=grown[topics.late],
        )

    async def _run_until_complete(self, reader: ResultReader, display: Display) -> None:
        sessions = self._plan.sessions
        with ThreadPoolExecutor(max_workers=len(sessions), thread_name_prefix="produce") as threads:
            loop = asyncio.get_running_loop()
            sending = [loop.run_in_executor(threads, self._produce, session) for session in sessions]
            sent = [
                asyncio.ensure_future(self._on_sent(session.plan.key, future)) for session, future in zip(sessions, sending, strict=True)
            ]
            guards = [asyncio.ensure_future(guard) for guard in (self._services.wait_for_failure(), self._watch_for_stall())]
            work = asyncio.ensure_future(self._send_and_follow(reader, display, sent))
            try:
                await asyncio.wait((work, *guards), return_when=asyncio.FIRST_COMPLETED)
                for task in (work, *guards):
                    if task.done():
                        task.result()
            finally:
                # Threads cannot be cancelled: tell them to end their sessions, and wait until they have.
                self._stop.set()
                for task in (work, *guards):
                    task.cancel()
                await asyncio.gather(work, *guards, *sending, return_exceptions=True)

    def _produce(self, session: PreparedSession) -> ProducedSession:
        """Send a session, blocking."""
        return produce_session(self._settings.kafka, session, speed=self._plan.speed, stop=self._stop)

    async def _on_sent(self, session: SessionKey, future: asyncio.Future[ProducedSession]) -> None:
        # Shielded, because cancelling the future would not end its thread, and the end of the run waits for the thread through the future.
        self._sent[session] = await asyncio.shield(future)
        self._unsent -= 1
        self._last_event_at = time.monotonic()

    async def _send_and_follow(self, reader: ResultReader, display: Display, sent: Sequence[asyncio.Future[None]]) -> None:
        """Return once everything is sent and every session has ended."""
        await asyncio.gather(self._follow(reader, display), *sent)

    async def _follow(self, reader: ResultReader, display: Display) -> None:
        async for seen in reader:
            self._last_event_at = time.monotonic()
            self._report.add(seen.record, seen.received_at_ms)
            display.show(seen.record)
            if self._report.complete:
                return

    async def _watch_for_stall(self) -> NoReturn:
        while self._unsent or time.monotonic() - self._last_event_at < STALL_S:  # noqa: ASYNC110 (no event says that nothing happens)
            await asyncio.sleep(1.0)
        missing = sorted(str(key) for key in self._report.sessions - self._report.ended)
        raise CommandError(
            f"the worker has sent nothing for {STALL_S:.0f} s, and {', '.join(missing)} did not end; its log is in {self._directory}"
        )
