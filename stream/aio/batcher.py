"""Merges calls that many callers make at about the same time into one request: rows of all sessions, for Triton and for Redis."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import partial
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
        quiet_s: If no batch of its shape has begun for this long, an item waits for nobody, as others are unlikely to come; None: it
            always waits.
        refusals: Errors that `run` raises because of one item: every item of the batch is then asked again on its own.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        shape: Callable[[Item], Hashable],
        max_size: int,
        delay_s: float,
        quiet_s: float | None = None,
        refusals: tuple[type[Exception], ...] = (),
    ) -> None:
        self._run = run
        self._shape = shape
        self._max_size = max_size
        self._delay_s = delay_s
        self._quiet_s = quiet_s
        self._refusals = refusals
        self._waiting: dict[Hashable, list[tuple[Item, asyncio.Future[Answer]]]] = {}
        self._began_s: dict[Hashable, float] = {}
        """When the last batch of each shape began."""
        self._running: set[asyncio.Task[None]] = set()

    async def answer(self, item: Item) -> Answer:
        """The answer to one item. Raises what `run` raises; a refused item does not fail the others of its batch."""
        return await self.submit(item)

    def submit(self, item: Item) -> asyncio.Future[Answer]:
        """The future of `answer`. Items that are submitted together share batches; one that is cancelled is no longer wanted."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        shape = self._shape(item)
        batch = self._waiting.setdefault(shape, [])
        batch.append((item, future))
        if len(batch) >= self._max_size:
            self._start(shape, batch)
        elif len(batch) == 1:
            # Even without a delay, the batch takes in what is submitted in the same turn of the loop.
            loop.call_later(0 if self._is_quiet(shape) else self._delay_s, self._start, shape, batch)
        return future

    def close(self) -> None:
        """Cancel all items that wait or are being answered."""
        for task in self._running:
            task.cancel()
        for batch in self._waiting.values():
            _cancel(batch)
        self._waiting.clear()

    def _is_quiet(self, shape: Hashable) -> bool:
        now_s = asyncio.get_running_loop().time()
        return self._quiet_s is not None and now_s - self._began_s.get(shape, -math.inf) >= self._quiet_s

    def _start(self, shape: Hashable, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        if self._waiting.get(shape) is not batch:
            return
        del self._waiting[shape]
        wanted = [(item, future) for item, future in batch if not future.done()]
        if wanted:
            self._began_s[shape] = asyncio.get_running_loop().time()
            task = asyncio.create_task(self._answer(wanted))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            for _, future in wanted:
                future.add_done_callback(partial(_cancel_unwanted, task, wanted))

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


def _cancel_unwanted(
    task: asyncio.Task[None], batch: Sequence[tuple[object, asyncio.Future[Answer]]], done: asyncio.Future[Answer]
) -> None:
    """Stop a batch whose callers have all gone: it might wait for the end of an outage, and others like it would pile up."""
    if done.cancelled() and all(future.done() for _, future in batch):
        task.cancel()


def _cancel(batch: Sequence[tuple[object, asyncio.Future[Answer]]]) -> None:
    for _, future in batch:
        future.cancel()


def _fail(batch: Sequence[tuple[object, asyncio.Future[Answer]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
