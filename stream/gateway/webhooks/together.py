"""Runs coroutines together.

``asyncio.TaskGroup`` would do, but up to Python 3.12 it leaves its task marked as cancelled after an error, and a loop that checks for
cancellations (`stream.aio.cancellation`) would end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any


async def together(work: Iterable[Coroutine[Any, Any, None]], *, until: str = asyncio.FIRST_EXCEPTION) -> None:
    """Run them until all have ended or one has failed; with ``FIRST_COMPLETED``, until one has ended. The others are cancelled.

    Raises the error of one that has failed.
    """
    tasks = [asyncio.create_task(each) for each in work]
    if not tasks:
        return
    try:
        done, _ = await asyncio.wait(tasks, return_when=until)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
