"""Merges calls that many callers make at about the same time into one request: rows of all sessions, for Triton and for Redis."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import partial
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")
_Batch = list[tuple[Item, asyncio.Future[Answer]]]

MEMORY_S = 1.0
"""Over about this time is counted how often items come."""

SAME_BURST_S = 0.002
"""Items that come closer together than this come from one caller, and say nothing about others."""

OTHERS = 4
"""Others that must be expected within the longest wait, for an item to wait so long."""

MOST_IN_FLIGHT = 2
"""Batches of one shape that are answered at a time: one, and one that is ready when it ends."""

MOST_HELD_S = 1.0
"""A batch waits no longer than this for one in flight to end: an outage must not pile up more than it does by itself."""


class Batcher(Generic[Item, Answer]):
    """Collects items of one shape for a short time, or until the batch is full, and has them answered together.

    With `follows_load`, the wait grows with the load by itself. Where less than one other is expected within `delay_s`, an item waits for
    nobody; where four are, it waits for all of `delay_s`. And while two batches are in flight, those that come gather for the next.

    Args:
        run: Answers a batch; the answers are in the order of its items.
        shape: Items of one shape may share a batch.
        max_size: Largest batch.
        delay_s: How long the first item of a batch waits for others, at most.
        follows_load: Whether it waits less when items come seldom, and whether batches in flight are waited for.
        refusals: Errors that `run` raises because of one item: every item of the batch is then asked again on its own.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        shape: Callable[[Item], Hashable],
        max_size: int,
        delay_s: float,
        follows_load: bool = False,
        refusals: tuple[type[Exception], ...] = (),
    ) -> None:
        self._run = run
        self._shape = shape
        self._max_size = max_size
        self._delay_s = delay_s
        self._follows_load = follows_load
        self._refusals = refusals
        self._queues: dict[Hashable, _Queue[Item, Answer]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def answer(self, item: Item, spare_s: float = 0.0) -> Answer:
        """The answer to one item. Raises what `run` raises; a refused item does not fail the others of its batch.

        An item with ``spare_s`` is in no hurry: it goes with the next batch that others make necessary, or after that time.
        """
        return await self.submit(item, spare_s)

    def submit(self, item: Item, spare_s: float = 0.0) -> asyncio.Future[Answer]:
        """The future of `answer`. Items that are submitted together share batches; one that is cancelled is no longer wanted."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        shape = self._shape(item)
        queue = self._queues.get(shape)
        if queue is None:
            queue = self._queues[shape] = _Queue()
        queue.waiting.append((item, future))
        if spare_s:
            spent = loop.call_later(spare_s, self._on_spent, queue, future)
            future.add_done_callback(lambda _: spent.cancel())
        else:
            queue.count_arrival(loop.time())
        if len(queue.waiting) >= self._max_size:
            self._start_ready(queue)
        if queue.waiting and queue.timer is None and not spare_s:
            self._wait(queue)
        return future

    def close(self) -> None:
        """Cancel all items that wait or are being answered."""
        for task in self._running:
            task.cancel()
        for queue in self._queues.values():
            queue.stop_timer()
            _cancel(queue.waiting)
        self._queues.clear()

    def _on_spent(self, queue: _Queue[Item, Answer], future: asyncio.Future[Answer]) -> None:
        """An item that was in no hurry has waited for as long as it could."""
        if queue.timer is None and any(waiting is future for _, waiting in queue.waiting):
            self._on_due(queue)

    def _wait(self, queue: _Queue[Item, Answer]) -> None:
        # Even without a delay, the batch takes in what is submitted in the same turn of the loop.
        queue.timer = asyncio.get_running_loop().call_later(self._wait_s(queue), self._on_due, queue)

    def _wait_s(self, queue: _Queue[Item, Answer]) -> float:
        if not self._follows_load:
            return self._delay_s
        expected = queue.arrivals_per_s * self._delay_s
        return self._delay_s * min(1.0, expected / OTHERS) if expected >= 1 else 0.0

    def _on_due(self, queue: _Queue[Item, Answer]) -> None:
        queue.timer = None
        queue.is_due = True
        self._start_ready(queue)
        if queue.is_due:
            queue.timer = asyncio.get_running_loop().call_later(MOST_HELD_S, self._start, queue)

    def _start_ready(self, queue: _Queue[Item, Answer]) -> None:
        """Start what is full or has waited long enough, unless enough batches are in flight."""
        most = MOST_IN_FLIGHT if self._follows_load else math.inf
        while (queue.is_due or len(queue.waiting) >= self._max_size) and len(queue.in_flight) < most:
            self._start(queue)

    def _start(self, queue: _Queue[Item, Answer]) -> None:
        queue.stop_timer()
        queue.is_due = False
        batch, queue.waiting = queue.waiting[: self._max_size], queue.waiting[self._max_size :]
        if queue.waiting:
            self._wait(queue)
        wanted = [(item, future) for item, future in batch if not future.done()]
        if wanted:
            task = asyncio.create_task(self._ask(queue, wanted))
            self._running.add(task)
            queue.in_flight.add(task)
            task.add_done_callback(partial(self._on_end, queue, wanted))
            for _, future in wanted:
                future.add_done_callback(partial(_cancel_unwanted, task, wanted))

    async def _ask(self, queue: _Queue[Item, Answer], batch: _Batch[Item, Answer]) -> None:
        refused = await self._answer(batch)
        if refused is not None and len(batch) > 1:
            # No longer in flight: items that are refused again and again must not hold up the others.
            queue.in_flight -= {asyncio.current_task()}
            self._start_ready(queue)
            await asyncio.gather(*(self._ask_alone(entry) for entry in batch))
        else:
            _fail(batch, refused)

    async def _ask_alone(self, entry: tuple[Item, asyncio.Future[Answer]]) -> None:
        _fail([entry], await self._answer([entry]))

    def _on_end(self, queue: _Queue[Item, Answer], batch: _Batch[Item, Answer], task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        queue.in_flight.discard(task)
        if task.cancelled():
            _cancel(batch)
        self._start_ready(queue)

    async def _answer(self, batch: _Batch[Item, Answer]) -> Exception | None:
        """Answer a batch, or return the error with which it was refused."""
        try:
            answers = await self._run([item for item, _ in batch])
            answered = list(zip(batch, answers, strict=True))
        except self._refusals as error:
            return error
        except Exception as error:
            _fail(batch, error)
        else:
            for (_, future), answer in answered:
                if not future.done():
                    future.set_result(answer)
        return None


class _Queue(Generic[Item, Answer]):
    """The items of one shape that wait, and how often such items come."""

    __slots__ = ("_arrivals", "_came_s", "in_flight", "is_due", "timer", "waiting")

    def __init__(self) -> None:
        self.waiting: _Batch[Item, Answer] = []
        self.in_flight: set[asyncio.Task[None]] = set()
        """The batches that are being answered."""
        self.is_due = False
        """Whether those that wait have waited long enough."""
        self.timer: asyncio.TimerHandle | None = None
        self._arrivals = 0.0
        self._came_s = -math.inf

    def count_arrival(self, now_s: float) -> None:
        """An item has come."""
        since_s = now_s - self._came_s
        if since_s > SAME_BURST_S:
            self._arrivals = self._arrivals * math.exp(-since_s / MEMORY_S) + 1
            self._came_s = now_s

    @property
    def arrivals_per_s(self) -> float:
        """How often items came lately, when the last one came."""
        return self._arrivals / MEMORY_S

    def stop_timer(self) -> None:
        """Start nothing by itself."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


def _cancel_unwanted(task: asyncio.Task[None], batch: Sequence[tuple[object, asyncio.Future[Answer]]], _: asyncio.Future[Answer]) -> None:
    """Stop a batch that nobody waits for any more: it might wait for the end of an outage, and others like it would pile up."""
    if all(future.done() for _, future in batch):
        task.cancel()


def _cancel(batch: Sequence[tuple[object, asyncio.Future[Answer]]]) -> None:
    for _, future in batch:
        future.cancel()


def _fail(batch: Sequence[tuple[object, asyncio.Future[Answer]]], error: Exception | None) -> None:
    for _, future in batch:
        if error is not None and not future.done():
            future.set_exception(error)
