"""Runs a coroutine immediately, until it has to wait. Most coroutines on the hot path never do, and need no task of their own."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Suspended(Generic[T]):
    """The rest of a coroutine that has begun and now waits. To await it, in any task, is to await the coroutine."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], awaited: Any) -> None:
        self._coroutine = coroutine
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, T]:
        """Pass on what the coroutine waits for, and pass the answer back to it, until it ends."""
        while True:
            error: BaseException | None = None
            answer = None
            try:
                answer = yield self._awaited
            except BaseException as raised:
                error = raised
            try:
                self._awaited = self._coroutine.send(answer) if error is None else self._coroutine.throw(error)
            except StopIteration as end:
                result: T = end.value
                return result


def start_eagerly(coroutine: Coroutine[Any, Any, T]) -> Suspended[T] | tuple[T]:
    """Run a coroutine until it ends or waits: return its result in a tuple, or its suspended rest. Raises what the coroutine raises."""
    try:
        awaited = coroutine.send(None)
    except StopIteration as end:
        return (end.value,)
    return Suspended(coroutine, awaited)
