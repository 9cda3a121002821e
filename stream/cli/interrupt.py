"""Ctrl-C and SIGTERM: both cancel the command's task, so that everything it started is stopped."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from types import FrameType
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")

_noticed: list[int] = []


def notice() -> None:
    """From now on remember SIGINT, too: Python drops a ``KeyboardInterrupt`` that falls into a weak reference's callback.

    Imports are full of those, and a command spends its first second with imports. Call it first of all.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` that ends orderly on SIGINT and SIGTERM: raises ``KeyboardInterrupt`` once the task has cleaned up.

    SIGINT is handled here, too, because shells start background jobs with it ignored, and Python then leaves it so.
    """

    async def cancellable() -> T:
        task = asyncio.ensure_future(main)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        if _noticed:
            task.cancel()
        return await task

    try:
        return asyncio.run(cancellable())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    _noticed.append(number)
    raise KeyboardInterrupt
