"""Merges calls that many callers make at about the same time into one request: windows of all sessions, for Triton and for Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Batcher(Generic[Item, Answer]):
    """Collects items of one shape for a short time, or until the batch is full, and has them answered together.

    Args:
        run: Answers a batch; the answers are in the order of its items.
        shape: Items of one shape may share a batch.
        max_size: Largest batch.
        delay_s: How long the first item of a batch waits for others.
        refusals: Errors that `run` raises because of one item: every item of the batch is then asked again on its own.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        shape: Callable[[Item], Hashable],
        max_size: int,
        delay_s: float,
        refusals: tuple[type[Exception], ...] = (),
    ) -> None:
        self._run = run
        self._shape = shape
        self._max_size = max_size
        self._delay_s = delay_s
        self._refusals = refusals
        self._waiting: dict[Hashable, list[tuple[Item, asyncio.Future[Answer]]]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def answer(self, item: Item) -> Answer:
        """The answer to one item. Raises what `run` raises; a refused item does not fail the others of its batch."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        shape = self._shape(item)
        batch = self._waiting.setdefault(shape, [])
        batch.append((item, future))
        if len(batch) >= self._max_size:
            self._start(shape, batch)
        elif len(batch) == 1:
            loop.call_later(self._delay_s, self._start, shape, batch)
        return await future

    def close(self) -> None:
        """Cancel all items that wait or are being answered."""
        for task in self._running:
            task.cancel()
        for batch in self._waiting.values():
            _cancel(batch)
        self._waiting.clear()

    def _start(self, shape: Hashable, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        if self._waiting.get(shape) is not batch:
            return
        del self._waiting[shape]
        wanted = [(item, future) for item, future in batch if not future.done()]
        if wanted:
            task = asyncio.create_task(self._answer(wanted))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _answer(self, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._run([item for item, _ in batch])
        except self._refusals as error:
            if len(batch) > 1:
                await asyncio.gather(*(self._answer([entry]) for entry in batch))
            else:
                _fail(batch, error)
        except asyncio.CancelledError:
            _cancel(batch)
            raise
        except Exception as error:
            _fail(batch, error)
        else:
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)


def _cancel(batch: Sequence[tuple[object, asyncio.Future[Answer]]]) -> None:
    for _, future in batch:
        future.cancel()


def _fail(batch: Sequence[tuple[object, asyncio.Future[Answer]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
