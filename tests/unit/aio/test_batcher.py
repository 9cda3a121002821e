"""Items of many callers share a request."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from stream.aio.batcher import Batcher
from stream.serving.errors import ModelRejectedError


class Doubler:
    """Doubles numbers, refuses negative numbers, and records its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        await asyncio.sleep(0)
        if min(items) < 0:
            raise ModelRejectedError("negative")
        if max(items) > 1000:
            raise RuntimeError("broken")
        return [2 * item for item in items]


def batcher(model: Doubler, max_size: int = 4, delay_s: float = 0.02, *, follows_load: bool = False) -> Batcher[int, int]:
    return Batcher(
        model,
        shape=lambda item: abs(item) % 2,
        max_size=max_size,
        delay_s=delay_s,
        follows_load=follows_load,
        refusals=(ModelRejectedError,),
    )


async def test_items_of_one_shape_that_come_together_share_a_batch() -> None:
    model = Doubler()
    batching = batcher(model)
    assert await asyncio.gather(*(batching.answer(item) for item in (2, 3, 4, 5))) == [4, 6, 8, 10]
    assert sorted(model.batches) == [[2, 4], [3, 5]]


async def test_a_full_batch_does_not_wait() -> None:
    model = Doubler()
    batching = batcher(model, max_size=2, delay_s=60)
    assert await asyncio.gather(*(batching.answer(item) for item in (2, 4, 6, 8))) == [4, 8, 12, 16]
    assert model.batches == [[2, 4], [6, 8]]


async def test_a_refused_item_does_not_fail_the_others() -> None:
    batching = batcher(Doubler())
    answers = await asyncio.gather(*(batching.answer(item) for item in (2, -4, 6)), return_exceptions=True)
    assert answers[0] == 4
    assert isinstance(answers[1], ModelRejectedError)
    assert answers[2] == 12


async def test_any_other_error_is_raised_to_every_caller() -> None:
    batching = batcher(Doubler())
    answers = await asyncio.gather(*(batching.answer(item) for item in (2, 1002)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [RuntimeError, RuntimeError]


async def test_a_cancelled_item_is_left_out_of_its_batch() -> None:
    model = Doubler()
    batching = batcher(model)
    cancelled, waiting = asyncio.ensure_future(batching.answer(2)), asyncio.ensure_future(batching.answer(4))
    await asyncio.sleep(0)
    cancelled.cancel()
    assert await waiting == 8
    assert model.batches == [[4]]


async def test_items_that_wait_for_nobody_still_share_a_batch_if_they_come_at_once() -> None:
    model = Doubler()
    batching = batcher(model, delay_s=0.9, follows_load=True)
    async with asyncio.timeout(0.8):
        assert await asyncio.gather(*map(batching.submit, (2, 4, 6))) == [4, 8, 12]
    assert model.batches == [[2, 4, 6]]


async def test_a_batch_that_nobody_wants_any_more_is_stopped() -> None:
    stopped = asyncio.Event()

    async def outage(_items: Sequence[int]) -> list[int]:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.set()
            raise
        return []

    batching: Batcher[int, int] = Batcher(outage, shape=lambda _: 0, max_size=2, delay_s=0)
    first, second = batching.submit(1), batching.submit(2)
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.sleep(0.01)
    assert not stopped.is_set()
    second.cancel()
    async with asyncio.timeout(1):
        await stopped.wait()


async def test_too_few_answers_are_an_error_of_every_caller() -> None:
    async def one_answer(_items: Sequence[int]) -> list[int]:
        return [2]

    batching: Batcher[int, int] = Batcher(one_answer, shape=lambda _: 0, max_size=3, delay_s=0)
    async with asyncio.timeout(1):
        answers = await asyncio.gather(*map(batching.submit, (1, 2, 3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ValueError] * 3


async def test_a_refused_item_does_not_wait_for_the_others_of_its_batch() -> None:
    async def refuse_or_hang(items: Sequence[int]) -> list[int]:
        if min(items) < 0:
            raise ModelRejectedError("negative")
        await asyncio.Event().wait()
        return []

    batching: Batcher[int, int] = Batcher(refuse_or_hang, shape=lambda _: 0, max_size=2, delay_s=0, refusals=(ModelRejectedError,))
    refused, hanging = batching.submit(-1), batching.submit(1)
    async with asyncio.timeout(1):
        with pytest.raises(ModelRejectedError):
            await refused
        hanging.cancel()
        while batching._running:
            await asyncio.sleep(0)


async def test_closing_cancels_running_batches() -> None:
    async def never(_items: Sequence[int]) -> list[int]:
        await asyncio.Event().wait()
        return []

    batching: Batcher[int, int] = Batcher(never, shape=lambda _: 0, max_size=1, delay_s=0)
    waiting = asyncio.ensure_future(batching.answer(1))
    await asyncio.sleep(0.01)
    batching.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_closing_cancels_waiting_items() -> None:
    model = Doubler()
    batching = batcher(model, delay_s=0.01)
    waiting = asyncio.ensure_future(batching.answer(2))
    await asyncio.sleep(0)
    batching.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0.03)
    assert model.batches == []
