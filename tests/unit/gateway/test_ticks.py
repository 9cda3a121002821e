"""The queue of a viewer."""

from __future__ import annotations

import asyncio

from stream.gateway.ticks import QUEUE, Viewer


async def test_items_come_in_order() -> None:
    viewer = Viewer[int]()
    for item in range(QUEUE):
        viewer.put(item)
    assert [await viewer.get() for _ in range(QUEUE)] == list(range(QUEUE))


async def test_a_viewer_waits_for_the_next_item() -> None:
    viewer = Viewer[int]()
    waiting = asyncio.create_task(viewer.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    viewer.put(7)
    assert await waiting == 7


async def test_one_that_falls_behind_is_told_once_and_begins_anew() -> None:
    viewer = Viewer[int]()
    for item in range(QUEUE + 3):
        viewer.put(item)
    assert await viewer.get() is None
    viewer.put(100)
    assert await viewer.get() == 100
