"""The stages of a measurement, one after the other. Each is stored as soon as it is measured."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.pipeline_runs import report
from benchmarks.pipeline_runs.capacity import REPETITIONS, Progress, capacity, confirmed, sentence
from benchmarks.pipeline_runs.comparison import RawComparison, compare, compare_raw, fer_ms
from benchmarks.pipeline_runs.overload import NORMAL, OVERLOAD_S, TOO_MANY, overload
from benchmarks.pipeline_runs.raw_media import kb_per_minute, read_clip, write_clip
from benchmarks.pipeline_runs.systems import FLOOR, OURS, PATIENCE_S, PEERS, READING, WARM_UP_S, Bench, Job, Run

PARTS = ("raw", "compare", "encoded", "cost", "overload")
PARTIALS = "+partials"
ALL_KINDS = ("320@5", "640@30", "jpeg", "audio", f"320@5{PARTIALS}", "opus")
DETAILED = "320@5"
"""The kind whose capacity is confirmed, and of which all else is measured."""

BESIDE_S = 7
"""A run takes so much longer than its load: its system starts and stops."""

Known = Mapping[str, Any]
"""What has been measured so far, now and earlier."""


@dataclass(frozen=True, slots=True)
class Search:
    """Sessions of the short first run of a search, and its most further runs."""

    first: int
    steps: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Extent of the measurement.

    Attributes:
        parts: Those of `PARTS` that are measured.
        kinds: Kinds of raw media; those without a search are left out.
        seconds: Seconds that each run is measured.
        searches: The search of each kind.
        confirm: Whether the capacity of `DETAILED` is confirmed in several runs.
        rounds: Rounds of the comparison with encoded chunks.
        systems: Systems in it.
        sessions: Number of sessions in it.
        raw_systems: Systems that are compared from raw media.
        numbers: Numbers of sessions with which the cost of a session is measured, besides the capacity.
        workers: Numbers of workers that are compared.
        overload_s: Seconds of overload.
    """

    parts: Sequence[str]
    kinds: Sequence[str]
    seconds: int
    searches: Mapping[str, Search]
    confirm: bool
    rounds: int
    systems: Sequence[str]
    sessions: int
    raw_systems: Sequence[str]
    numbers: Sequence[int]
    workers: Sequence[int]
    overload_s: int


FULL = Plan(
    PARTS,
    ALL_KINDS,
    seconds=13,
    searches={
        "320@5": Search(40, 5),
        "640@30": Search(24, 3),
        "jpeg": Search(36, 3),
        "audio": Search(80, 3),
        f"320@5{PARTIALS}": Search(30, 3),
        "opus": Search(36, 3),
        "encoded": Search(200, 4),
    },
    confirm=True,
    rounds=2,
    systems=(OURS, FLOOR, *PEERS, READING),
    sessions=100,
    raw_systems=(OURS, *PEERS),
    numbers=(1, 5, 10, 20, 30),
    workers=(1, 2),
    overload_s=OVERLOAD_S,
)
QUICK = replace(
    FULL,
    parts=("raw", "compare", "encoded"),
    kinds=(DETAILED,),
    seconds=8,
    searches={"320@5": Search(20, 2), "encoded": Search(120, 1)},
    confirm=False,
    rounds=1,
    systems=(OURS, FLOOR),
    sessions=60,
    raw_systems=(),
)


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the measurement that is stored by itself.

    Attributes:
        title: What it measures.
        expected_s: How long it takes, about.
        measure: Measures it; is given what is known already.
    """

    title: str
    expected_s: float
    measure: Callable[[Known], Awaitable[dict[str, Any]]]


class Stages:
    """Makes the stages of a plan.

    Args:
        bench: The services.
        plan: What to measure.
        directory: For files with media.
        fer_python: Python of an environment with the package fer.
        progress: Is told what happens.
    """

    def __init__(self, bench: Bench, plan: Plan, directory: Path, fer_python: Path | None, progress: Progress) -> None:
        self._bench = bench
        self._plan = plan
        self._directory = directory
        self._fer_python = fer_python
        self._progress = progress

    def all(self) -> Iterator[Stage]:
        """The stages, the most important ones first."""
        plan = self._plan
        kinds = [kind for kind in plan.kinds if kind in plan.searches] if "raw" in plan.parts else []
        yield from (self._raw_stage(kind) for kind in kinds if kind == DETAILED)
        if DETAILED in kinds and plan.confirm:
            yield Stage(f"capacity: {DETAILED}, repeated", self._runs_s(2 * REPETITIONS), self._confirm)
        if "compare" in plan.parts:
            if plan.raw_systems:
                yield Stage("raw media in other systems", self._runs_s(len(plan.raw_systems)), self._compare_raw)
            yield Stage("encoded chunks in other systems", self._runs_s(plan.rounds * len(plan.systems)), self._compare)
        if "encoded" in plan.parts:
            yield Stage("capacity: encoded", self._runs_s(1 + plan.searches["encoded"].steps), self._encoded)
        if "cost" in plan.parts:
            yield Stage("cost by the number of sessions and workers", self._runs_s(len(plan.numbers) + len(plan.workers)), self._cost)
        if "overload" in plan.parts:
            yield Stage("recovery from overload", plan.overload_s + self._runs_s(2), self._overload)
        yield from (self._raw_stage(kind) for kind in kinds if kind != DETAILED)

    def _runs_s(self, count: int) -> float:
        return count * (self._plan.seconds + WARM_UP_S + PATIENCE_S + BESIDE_S)

    def _raw_stage(self, kind: str) -> Stage:
        return Stage(f"capacity: {kind}", self._runs_s(1 + self._plan.searches[kind].steps), lambda _known: self._raw(kind))

    async def _raw(self, kind: str) -> dict[str, Any]:
        search = self._plan.searches[kind]
        found = await capacity(self._bench, job_of(kind, search.first, self._plan.seconds), search.steps, self._progress)
        return report.raw_keys(kind, found, await self._kb_per_minute(kind))

    async def _confirm(self, known: Known) -> dict[str, Any]:
        found = await confirmed(self._bench, self._detailed(known), self._progress)
        return report.raw_keys(DETAILED, found, await self._kb_per_minute(DETAILED))

    async def _kb_per_minute(self, kind: str) -> float:
        return await asyncio.to_thread(lambda: kb_per_minute(read_clip(write_clip(kind.removesuffix(PARTIALS), self._directory))))

    async def _encoded(self, _known: Known) -> dict[str, Any]:
        search = self._plan.searches["encoded"]
        job = Job(OURS, "encoded", search.first, self._plan.seconds)
        return report.encoded_keys(await capacity(self._bench, job, search.steps, self._progress))

    async def _compare(self, _known: Known) -> dict[str, Any]:
        plan, job = self._plan, Job(OURS, "encoded", self._plan.sessions, self._plan.seconds)
        return report.compare_keys(await compare(self._bench, job, plan.systems, plan.rounds, self._progress), plan.sessions)

    async def _compare_raw(self, known: Known) -> dict[str, Any]:
        job = self._detailed(known)
        raw = await compare_raw(self._bench, job, self._plan.raw_systems, self._progress)
        if self._fer_python is not None:
            clip = read_clip(write_clip(DETAILED, self._directory))
            ms = await asyncio.to_thread(fer_ms, self._fer_python, clip, self._directory / "fer")
            raw = RawComparison({**raw.ms, "fer": ms}, {**raw.sessions, "fer": 1})
        return report.raw_compare_keys(raw)

    async def _cost(self, known: Known) -> dict[str, Any]:
        at_capacity = self._detailed(known)
        runs = [await self._run(replace(at_capacity, sessions=number)) for number in self._plan.numbers if number < at_capacity.sessions]
        by_workers = {workers: await self._run(replace(at_capacity, workers=workers)) for workers in self._plan.workers}
        return {**report.cost_keys(DETAILED, [*runs, by_workers[1]]), **report.worker_keys(by_workers)}

    async def _overload(self, known: Known) -> dict[str, Any]:
        most = self._detailed(known).sessions
        job = job_of(DETAILED, max(1, round(most * NORMAL)), self._plan.seconds)
        too_many = max(job.sessions + 1, round(most * TOO_MANY))
        found = await overload(self._bench, job, too_many, self._plan.overload_s, self._progress)
        return report.overload_keys(found, job.sessions, too_many, self._plan.overload_s)

    async def _run(self, job: Job) -> Run:
        run = await self._bench.run(job)
        self._progress(sentence(run))
        return run

    def _detailed(self, known: Known) -> Job:
        """The job with as many sessions of `DETAILED` as were found, or as the search would begin with."""
        sessions = known.get("raw_sessions_at_1s", {}).get(DETAILED) or self._plan.searches[DETAILED].first
        return job_of(DETAILED, sessions, self._plan.seconds)


def job_of(kind: str, sessions: int, seconds: int, workers: int = 1) -> Job:
    """The job of a kind of chunk, which may have `PARTIALS` at its end."""
    return Job(OURS, kind.removesuffix(PARTIALS), sessions, seconds, partials=kind.endswith(PARTIALS), workers=workers)


async def measure_stages(
    stages: Sequence[Stage], known: Known, store: Callable[[dict[str, Any]], Known], progress: Progress, end_s: float | None = None
) -> list[str]:
    """Measure one stage after the other. One that fails does not keep the others from being measured.

    Args:
        stages: What to measure.
        known: What has been measured earlier.
        store: Is given what each stage has measured, and returns all that is known then.
        progress: Is told what happens.
        end_s: When all should be done (Unix s): a stage that is expected to end later is left out.

    Returns:
        The stages without a result, each with the reason.
    """
    without: list[str] = []
    for number, stage in enumerate(stages):
        now_s, rest_s = time.time(), sum(later.expected_s for later in stages[number:])
        minutes = f"about {stage.expected_s / 60:.1f} minutes; all ends about {time.strftime('%H:%M', time.localtime(now_s + rest_s))}"
        progress(f"[{time.strftime('%H:%M:%S')}, {number + 1} of {len(stages)}] {stage.title}: {minutes}")
        if end_s is not None and now_s + stage.expected_s > end_s:
            without.append(f"{stage.title}: there was no time")
            continue
        try:
            known = store(await stage.measure(known))
        except Exception as error:
            progress(traceback.format_exc())
            without.append(f"{stage.title}: {type(error).__name__}: {error}")
    return without
