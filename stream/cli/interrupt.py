"""Ctrl-C and SIGTERM: both cancel the command's task, so that everything it started is stopped."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` that ends orderly on SIGINT and SIGTERM: raises ``KeyboardInterrupt`` once the task has cleaned up.

    SIGINT is handled here, too, because shells start background jobs with it ignored, and Python then leaves it so.
    """

    async def cancellable() -> T:
        task = asyncio.ensure_future(main)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await task

    try:
        return asyncio.run(cancellable())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
