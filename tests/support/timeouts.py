"""Says where the tasks of a test wait when its time is over: a test that hangs once in a thousand runs leaves nothing else."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Generator
from types import AsyncGeneratorType, FrameType
from typing import Any

import pytest


def places_of_tasks(loop: asyncio.AbstractEventLoop) -> list[str]:
    """Where the tasks of a loop that have not ended wait, innermost call first, as ``file:line function``."""
    return sorted(" < ".join(_calls(task)) for task in asyncio.all_tasks(loop))


def _calls(task: asyncio.Task[Any]) -> list[str]:
    # `Task.get_stack` stops at the outermost coroutine: the awaited ones follow from each other.
    calls = list[str]()
    awaited: Any = task.get_coro()
    while awaited is not None:
        frame: FrameType | None = _first_of(awaited, "cr_frame", "gi_frame", "ag_frame")
        if frame is not None:
            code = frame.f_code
            calls.append(f"{'/'.join(code.co_filename.split('/')[-2:])}:{frame.f_lineno} {code.co_name}")
        awaited = _first_of(awaited, "cr_await", "gi_yieldfrom", "ag_await") or _generator_behind(awaited)
    return calls[::-1]


def _generator_behind(step: object) -> AsyncGeneratorType[Any, Any] | None:
    """The asynchronous generator, such as a fixture, that a step belongs to; Python does not tell."""
    if not type(step).__name__.startswith("async_generator_"):
        return None
    return next((found for found in gc.get_referents(step) if isinstance(found, AsyncGeneratorType)), None)


def _first_of(awaited: object, *names: str) -> Any:
    return next((value for name in names if (value := getattr(awaited, name, None)) is not None), None)


@pytest.hookimpl(wrapper=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> Generator[None, object, object]:
    """Put the places of the tasks into the message of pytest-timeout's failure."""
    answer = yield
    fail = signal.getsignal(signal.SIGALRM)
    if not callable(fail):
        return answer

    def say_and_fail(number: int, frame: FrameType | None) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            fail(number, frame)
            return
        pytest.fail(f"Timeout (>{settings.timeout:g}s). Tasks wait in: " + "; ".join(places_of_tasks(loop)))

    signal.signal(signal.SIGALRM, say_and_fail)
    return answer
