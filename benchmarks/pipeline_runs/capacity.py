"""The largest number of sessions whose p95 stays within a second, and what a session costs on the way there."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks.pipeline_runs.systems import Bench, Job, Run
from stream.config.settings import Settings

LIMIT_MS = 1000.0
LATENESS_MS = Settings().windows.allowed_lateness_ms

BUSY = 0.75
"""Share of the cores that is thought to be of use: beyond it, queues grow. The second run of a search has the sessions that take this."""

GROWTH = 1.2
"""While no number of sessions was too many, each is at least this multiple of the one before it."""

LARGEST_JUMP = 4
"""And at most this multiple: a process may be full before all cores are."""

CLOSE_ENOUGH = 1.1
"""The search ends when the smallest number of sessions that was too many is at most this multiple of the largest that was not."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a search has found.

    Attributes:
        sessions: The largest number of sessions within the limit; 0 if none was.
        runs: All runs, in their order.
    """

    sessions: int
    runs: tuple[Run, ...]

    @property
    def run(self) -> Run | None:
        """The run with the largest number of sessions within the limit."""
        return next((run for run in self.runs if run.job.sessions == self.sessions), None)


async def capacity(bench: Bench, job: Job, steps: int, progress: Progress) -> Capacity:
    """Search for the largest number of sessions of a kind of chunk.

    Args:
        bench: The services.
        job: What to run; its number of sessions comes first.
        steps: Most runs.
        progress: Is told of each run.
    """
    runs: list[Run] = []
    best, bad, sessions = 0, None, job.sessions
    for _ in range(steps):
        run = await bench.run(replace(job, sessions=sessions))
        runs.append(run)
        progress(sentence(run))
        if is_within_limit(run):
            best = sessions
        else:
            bad = sessions
        following = next_sessions(best, bad, affordable_sessions(run))
        if following is None:
            break
        sessions = following
    return Capacity(best, tuple(runs))


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
    middle = round(math.sqrt(best * bad)) if best else bad // 2
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
        f"{run.windows} of {run.expected:.0f} windows{f', {run.lost} chunks lost' if run.lost else ''}, "
        f"{sum(ms.values()):.1f} CPU ms for each session-second ({parts}), {busy:.0%} of all cores"
    )
