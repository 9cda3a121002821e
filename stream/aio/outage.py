"""Waits out the outage of a service: repeats a call until the service answers again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from stream.aio.backoff import Backoff
from stream.aio.cancellation import CancellationGuard

T = TypeVar("T")


class ServiceError(Exception):
    """A service cannot be used. The message is one sentence that says what to do, and holds no secret.

    Attributes:
        code: Short code of the reason, for logs and /ready.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _ignore(*_: object) -> None:
    """Report nothing."""


async def wait_out(
    attempt: Callable[[int], Awaitable[T]],
    *,
    is_outage: Callable[[Exception], bool],
    backoff: Backoff,
    on_outage: Callable[[Exception, int], None] = _ignore,
    on_recovery: Callable[[int], None] = _ignore,
) -> T:
    """Repeat a call until it succeeds or fails for another reason than an outage. Cancelling the task ends it.

    Args:
        attempt: The call. It is given the number of failed attempts so far, so that it can say that it may be a repeat.
        is_outage: Tells an outage, which passes, from an error, which is raised.
        backoff: Pauses between attempts.
        on_outage: Called after each failed attempt, with its error and the number of failed attempts so far (1, 2, 3…).
        on_recovery: Called with the number of failed attempts once the service answers again.

    Returns:
        The answer of the first attempt that succeeds.
    """
    failures = 0
    cancellation = CancellationGuard()
    while True:
        try:
            answer = await attempt(failures)
        except Exception as error:
            if not is_outage(error):
                raise
            cancellation.check()
            failures += 1
            on_outage(error, failures)
            await asyncio.sleep(backoff.delay_s(failures))
        else:
            cancellation.check()
            if failures:
                on_recovery(failures)
            return answer
