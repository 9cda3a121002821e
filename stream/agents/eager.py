"""Coroutines run on the spot until they have to wait: most never do, and need no task of their own."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Waiting(Generic[T]):
    """The rest of a coroutine that has begun and now waits; awaiting it, in whatever task, is awaiting the coroutine."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], awaited: Any) -> None:
        self._coroutine = coroutine
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, T]:
        """Hand on what the coroutine waits for, and to the coroutine what comes of it, until it ends."""
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


def begin(coroutine: Coroutine[Any, Any, T]) -> Waiting[T] | tuple[T]:
    """Run a coroutine until it ends or waits: its result in a tuple, or what is left of it. Raises what it raises."""
    try:
        awaited = coroutine.send(None)
    except StopIteration as end:
        return (end.value,)
    return Waiting(coroutine, awaited)
