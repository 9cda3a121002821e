"""The largest number of sessions whose p95 stays within a second."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks.pipeline_runs.schedule import LATENESS_MS
from benchmarks.pipeline_runs.systems import Bench, Job, Run

LIMIT_MS = 1000.0

BUSY = 0.75
"""Share of the cores that is thought to be of use: beyond it, queues grow. The second run of a search has the sessions that take this."""

GROWTH = 1.2
"""While no number of sessions was too many, each is at least this multiple of the one before it."""

LARGEST_JUMP = 4
"""And at most this multiple: a process may be full before all cores are."""

STEP_DOWN = 0.75
"""While every number of sessions was too many, each is this share of the one before it."""

CLOSE_ENOUGH = 1.1
"""The search ends when the smallest number of sessions that was too many is at most this multiple of the largest that was not."""

MAJORITY, REPETITIONS = 3, 5
"""A number of sessions is confirmed if it is within the limit in so many runs of so many. No run is made that cannot change that."""

RUNG = 0.05
"""Step of the numbers of sessions that are repeated, as a share of the first of them."""

LARGEST_REPEATED = 3
"""So many numbers of sessions are repeated, and more only while none was confirmed."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a search has found.

    Attributes:
        sessions: The largest number of sessions within the limit; 0 if none was.
        runs: The runs with that many.
    """

    sessions: int
    runs: Sequence[Run]

    @property
    def run(self) -> Run | None:
        """The middle one of the runs; of two, the better one."""
        ranked = sorted(self.runs, key=lambda run: (not is_within_limit(run), late_ms(run)))
        return ranked[(len(ranked) - 1) // 2] if ranked else None


async def capacity(bench: Bench, job: Job, steps: int, progress: Progress) -> Capacity:
    """Search for the largest number of sessions of a kind of chunk, with one run for each number.

    Args:
        bench: The services.
        job: What to run. Its number of sessions has a short run first, which does not count: the models have not answered such requests
            yet. What a session costs in it says where the search begins.
        steps: Most further runs; there are more as long as each number was too many.
        progress: Is told of each run.
    """
    first = await bench.run(replace(job, seconds=job.seconds // 2))
    progress(f"first run: {sentence(first)}")
    runs: dict[int, list[Run]] = {0: []}
    # What does not keep up does less work, and seems to cost less.
    most = job.sessions * LARGEST_JUMP if first.kept_up else int(job.sessions * STEP_DOWN)
    best, bad, sessions = 0, None, max(1, min(affordable_sessions(first), most))
    while len(runs) <= steps or best == 0:
        run = await bench.run(replace(job, sessions=sessions))
        runs[sessions] = [run]
        progress(sentence(run))
        if is_within_limit(run):
            best = sessions
        else:
            bad = sessions
        following = next_sessions(best, bad, affordable_sessions(run))
        if following is None:
            break
        sessions = following
    return Capacity(best, runs[best])


async def confirmed(bench: Bench, job: Job, progress: Progress) -> Capacity:
    """The largest number of sessions near that of a job that is within the limit in most of several runs."""
    step, sessions, best = max(1, round(job.sessions * RUNG)), job.sessions, 0
    runs: dict[int, list[Run]] = {0: []}
    while sessions > 0 and sessions not in runs and (best == 0 or len(runs) <= LARGEST_REPEATED):
        runs[sessions] = []
        while is_confirmed(runs[sessions]) is None:
            runs[sessions].append(await bench.run(replace(job, sessions=sessions)))
            progress(f"run {len(runs[sessions])} of at most {REPETITIONS}: {sentence(runs[sessions][-1])}")
        if is_confirmed(runs[sessions]):
            best = max(best, sessions)
            sessions += step
        else:
            sessions -= step
    return Capacity(best, runs[best])


def is_confirmed(runs: Sequence[Run]) -> bool | None:
    """Whether most of the runs are within the limit, however those that are missing end; None while that is open."""
    within = sum(map(is_within_limit, runs))
    if within >= MAJORITY:
        return True
    return False if len(runs) - within > REPETITIONS - MAJORITY else None


def is_within_limit(run: Run) -> bool:
    """Whether the windows of a run were final, and in time."""
    return run.kept_up and late_ms(run) <= LIMIT_MS


def late_ms(run: Run) -> float:
    """The p95 of the time from a window's end to Redis, less the allowed lateness."""
    return run.timings["total"]["p95"] - LATENESS_MS if "total" in run.timings else float("inf")


def affordable_sessions(run: Run, cores: int | None = None) -> int:
    """The number of sessions that keeps the cores as busy as they may be, by the CPU time of a run, with the broker's and the load's."""
    return max(1, int(BUSY * (cores or os.cpu_count() or 1) * 1000 / sum(run.cpu_ms_per_session_second.values())))


def next_sessions(best: int, bad: int | None, affordable: int) -> int | None:
    """The number of sessions to try next. None ends the search: the two numbers are within a tenth of each other, or adjacent.

    Args:
        best: The largest number of sessions that was within the limit so far.
        bad: The smallest number that was too many so far, if there is one.
        affordable: What the CPU time of the last run suggests; it counts as long as no number was too many.
    """
    if bad is None:
        return max(best + 1, round(best * GROWTH), min(affordable, best * LARGEST_JUMP))
    middle = round(math.sqrt(best * bad)) if best else int(bad * STEP_DOWN)
    return middle if bad > best * CLOSE_ENOUGH and middle > best else None


def sentence(run: Run) -> str:
    """A run in words."""
    job, ms = run.job, run.cpu_ms_per_session_second
    busy = sum(run.cpu_s.values()) / run.took_s / (os.cpu_count() or 1)
    parts = ", ".join(f"{name} {part_ms:.2f}" for name, part_ms in sorted(ms.items(), key=lambda part: -part[1]))
    partials = " with partial results" if job.partials else ""
    workers = f" on {job.workers} workers" if job.workers > 1 else ""
    return (
        f"{job.sessions} sessions of {job.kind}{partials}{workers}: p95 {late_ms(run):.0f} ms, "
        f"{run.due - run.missing} of {run.due} windows{f', {run.lost} chunks lost' if run.lost else ''}, "
        f"{sum(ms.values()):.1f} CPU ms for each session-second ({parts}), {busy:.0%} of all cores"
    )
