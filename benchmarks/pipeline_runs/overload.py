"""A minute of more load than the system carries, and how soon its results are in time again."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from benchmarks.pipeline_runs.broker import Final, TopicReader
from benchmarks.pipeline_runs.capacity import LIMIT_MS, Progress
from benchmarks.pipeline_runs.schedule import LATENESS_MS, WindowName
from benchmarks.pipeline_runs.systems import WARM_UP_S, Bench, Job, sleep_until

OVERLOAD_S = 60
NORMAL, TOO_MANY = 0.5, 2.0
"""Live sessions before and after, and meanwhile, as shares of the largest number whose results are in time."""

LONGEST_S = 120
"""The measurement ends so long after the overload, at the latest."""

IN_TIME_S = 10
"""And earlier, once all windows have been in time for so long."""

LOOK_EVERY_S = 5


@dataclass(frozen=True, slots=True)
class Recovery:
    """What an overload came to.

    Attributes:
        late_s: The most that a window was late.
        gone_s: Time from the end of the overload until the last late window was final; None if there were late ones to the end.
        due: Number of windows that were due, before, meanwhile and after.
        missing: How many of these did not come.
    """

    late_s: float
    gone_s: float | None
    due: int
    missing: int


async def overload(bench: Bench, job: Job, too_many: int, seconds: int, progress: Progress) -> Recovery:
    """Run a job, add sessions for some seconds, and watch the results until they are in time again.

    Args:
        bench: The services.
        job: What is run before and after; its seconds do not count.
        too_many: Number of sessions during the overload.
        seconds: Its duration.
        progress: Is told of the lag from time to time.
    """
    usual_s = 2 * WARM_UP_S + seconds + LONGEST_S + LOOK_EVERY_S
    async with contextlib.AsyncExitStack() as stack:
        system = await stack.enter_async_context(bench.started(job))
        usual, _ = await stack.enter_async_context(bench.load(system, job.kind, range(job.sessions), usual_s))
        since_s = usual.began_s + WARM_UP_S
        await sleep_until(since_s)
        async with bench.load(system, job.kind, range(job.sessions, too_many), seconds) as (more, _):
            # Sessions start within a second, and each sends a chunk at its end.
            over_s = more.began_s + seconds + 1
            progress(f"{too_many} sessions instead of {job.sessions}")
            await sleep_until(over_s)
        progress(f"{job.sessions} sessions again")
        scores = stack.enter_context(TopicReader(bench.bootstrap, system.topics.scores))
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            until_s = time.time() - LIMIT_MS / 1000
            due = {*usual.due(since_s, until_s), *more.due(since_s, until_s)}
            found = recovery(await asyncio.to_thread(scores.finals), due, over_s, until_s)
            progress(f"{until_s - over_s:.0f} s later: at most {found.late_s:.1f} s late, {found.missing} windows still to come")
            if found.gone_s is not None or until_s > over_s + LONGEST_S:
                return found


def recovery(finals: Iterable[Final], due: Collection[WindowName], over_s: float, until_s: float) -> Recovery:
    """What an overload came to, by the windows that were due so far.

    Args:
        finals: Windows that became final.
        due: Windows that had to.
        over_s: When the overload ended (Unix s).
        until_s: The moment up to which windows are in `due` (Unix s). A late one in the last `IN_TIME_S` means that the lag is not gone.
    """
    came = {(final.session, final.end_ms): final for final in finals if (final.session, final.end_ms) in due}
    late = {name: final.at_ms - (final.media_end_at_ms or 0) - LATENESS_MS for name, final in came.items()}
    last_s = max((came[name].at_ms / 1000 for name, ms in late.items() if ms > LIMIT_MS), default=over_s)
    missing = len(due) - len(came)
    is_gone = missing == 0 and last_s < until_s - IN_TIME_S
    return Recovery(max(late.values(), default=0.0) / 1000, max(0.0, last_s - over_s) if is_gone else None, len(due), missing)
