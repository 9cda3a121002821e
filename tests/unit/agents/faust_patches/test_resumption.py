"""When a worker resumes reading after a rebalance."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from faust import App
from faust.tables.recovery import RebalanceAgain

from stream.agents.faust_patches.resumption import NoTables, PatientRecovery


class Recovery(PatientRecovery):
    """Lets a test drive rebalances and seeks."""

    def __init__(self, app: App) -> None:
        super().__init__(app, NoTables(app))

    async def assign(self) -> None:
        """Go through a rebalance."""
        self.app.rebalancing_count += 1
        await self.on_rebalance(set(), set(), set(), self.app.consumer_generation_id)
        self.signal_recovery_start.clear()

    async def seek(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Seek as Faust does before it resumes. Raises an error if it does not resume."""
        await self._wait(coroutine, timeout=0.01)


@pytest.fixture
async def recovery() -> Recovery:
    recovery = Recovery(App("resumption"))
    await recovery.assign()
    return recovery


async def test_seeking_may_take_longer_than_a_request(recovery: Recovery) -> None:
    await recovery.seek(asyncio.sleep(0.05))


async def test_a_rebalance_that_another_one_overtook_does_not_resume(recovery: Recovery) -> None:
    async def overtaken() -> None:
        recovery.app.rebalancing_count += 1

    with pytest.raises(RebalanceAgain):
        await recovery.seek(overtaken())
    await recovery.assign()
    await recovery.seek(asyncio.sleep(0))


async def test_a_rebalance_is_overtaken_even_if_the_next_assignment_comes_just_as_seeking_ends(recovery: Recovery) -> None:
    async def assigned() -> None:
        recovery.app.rebalancing_count += 1
        await recovery.on_rebalance(set(), set(), set(), recovery.app.consumer_generation_id)

    with pytest.raises(RebalanceAgain):
        await recovery.seek(assigned())


async def test_an_error_of_an_overtaken_seek_is_no_failure(recovery: Recovery) -> None:
    async def refused() -> None:
        recovery.app.rebalancing_count += 1
        raise AssertionError("No partitions are currently assigned")

    with pytest.raises(RebalanceAgain):
        await recovery.seek(refused())


async def test_any_other_error_is_raised(recovery: Recovery) -> None:
    async def broken() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        await recovery.seek(broken())
