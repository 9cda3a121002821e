"""The gateway as a child of `up` and `demo`."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import httpx

from stream.local.events import ServiceState, StackEvent
from stream.local.gateway import LocalGateway
from stream.local.redis_server import RedisServer
from tests.support.gateways import gateway_settings


async def test_it_takes_another_port_if_its_own_is_taken_and_comes_back_after_a_crash(server: RedisServer, tmp_path: Path) -> None:
    events: list[StackEvent] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = gateway_settings(server.url, port=taken.getsockname()[1])
        async with LocalGateway(settings, tmp_path, on_event=events.append) as gateway:
            address = gateway.address
            assert f":{taken.getsockname()[1]}/" not in address
            async with httpx.AsyncClient(base_url=address, verify=False) as client:
                assert (await client.get("/api/v1/me")).json()["uploads"]
            gateway.process.kill()
            async with asyncio.timeout(60):
                while events[-1].state is not ServiceState.RESTARTED:
                    await asyncio.sleep(0.1)
            async with httpx.AsyncClient(base_url=address, verify=False) as client:
                assert (await client.get("/live")).status_code == 200
            process = gateway.process
    assert gateway.address == address
    assert not process.running
    assert [event.state for event in events] == [
        ServiceState.STARTING,
        ServiceState.READY,
        ServiceState.RESTARTING,
        ServiceState.RESTARTED,
    ]
