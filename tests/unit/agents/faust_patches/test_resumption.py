"""When a worker reads on after a rebalance."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from faust import App
from faust.tables.recovery import RebalanceAgain

from stream.agents.faust_patches.resumption import NoTables, PatientRecovery


class Recovery(PatientRecovery):
    """Tells when it would read on."""

    def __init__(self, app: App) -> None:
        super().__init__(app, NoTables(app))

    async def assign(self) -> None:
        """A rebalance takes place."""
        self.app.rebalancing_count += 1
        await self.on_rebalance(set(), set(), set(), self.app.consumer_generation_id)
        self.signal_recovery_start.clear()

    async def go_back(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """What Faust does before it reads on: raises if it does not."""
        await self._wait(coroutine, timeout=0.01)


@pytest.fixture
async def recovery() -> Recovery:
    recovery = Recovery(App("resumption"))
    await recovery.assign()
    return recovery


async def test_going_back_may_take_longer_than_a_request(recovery: Recovery) -> None:
    await recovery.go_back(asyncio.sleep(0.05))


async def test_one_that_another_rebalance_overtook_does_not_read_on(recovery: Recovery) -> None:
    async def overtaken() -> None:
        recovery.app.rebalancing_count += 1

    with pytest.raises(RebalanceAgain):
        await recovery.go_back(overtaken())
    await recovery.assign()
    await recovery.go_back(asyncio.sleep(0))


async def test_nor_when_partitions_are_assigned_in_the_moment_in_which_it_has_gone_back(recovery: Recovery) -> None:
    async def assigned() -> None:
        recovery.app.rebalancing_count += 1
        await recovery.on_rebalance(set(), set(), set(), recovery.app.consumer_generation_id)

    with pytest.raises(RebalanceAgain):
        await recovery.go_back(assigned())


async def test_what_fails_because_it_was_overtaken_is_no_failure(recovery: Recovery) -> None:
    async def refused() -> None:
        recovery.app.rebalancing_count += 1
        raise AssertionError("No partitions are currently assigned")

    with pytest.raises(RebalanceAgain):
        await recovery.go_back(refused())


async def test_what_fails_otherwise_is_one(recovery: Recovery) -> None:
    async def broken() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        await recovery.go_back(broken())
