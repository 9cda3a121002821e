"""SIGINT (Ctrl-C) and SIGTERM: the one place that installs signal handlers.

Three kinds of programs end in order in three ways:

- `run_until_signal` cancels the main task. For commands that only have to release their resources.
- `stop_on_signals` sets an ``asyncio.Event``. For a worker, which goes on with the work that it has begun.
- `stop_thread_on_signals` sets a ``threading.Event``. For synchronous code, which asks for it between two steps.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_remembered: list[int] = []


def remember_interrupts() -> None:
    """Remember a SIGINT that comes before `run_until_signal`. Call this first of all.

    A command spends its first second with imports, which are full of weak references. Python drops a ``KeyboardInterrupt`` that falls into
    the callback of one: without this, the user's Ctrl-C would be lost.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _remember)


def _remember(number: int, _frame: FrameType | None) -> NoReturn:
    _remembered.append(number)
    raise KeyboardInterrupt


def run_until_signal(main: Coroutine[Any, Any, T]) -> T:
    """As ``asyncio.run``, but SIGINT and SIGTERM cancel the task, so that it stops everything that it has started.

    SIGINT is handled here, too, because shells start background jobs with SIGINT ignored, and Python then leaves it ignored.

    Raises:
        KeyboardInterrupt: A signal came, and the task has cleaned up.
    """

    async def cancellable() -> T:
        task = asyncio.ensure_future(main)
        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        if _remembered:
            task.cancel()
        return await task

    try:
        return asyncio.run(cancellable())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def stop_on_signals(stop: asyncio.Event) -> None:
    """Set the event on SIGINT or SIGTERM; a second signal ends the process at once, even if the event loop is stuck."""
    loop = asyncio.get_running_loop()

    def on_first_signal() -> None:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in _SIGNALS:
        loop.add_signal_handler(number, on_first_signal)


@contextmanager
def stop_thread_on_signals() -> Iterator[threading.Event]:
    """Yield an event that SIGINT and SIGTERM set while the context lasts; a second signal raises ``KeyboardInterrupt``."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
