"""Addresses are parsed, and services that do not answer are named."""

from __future__ import annotations

import asyncio
import time

import pytest

from stream.aio.service_monitor import WrongServiceError
from stream.config.settings import Settings
from stream.domain.service_problem import ServiceProblem
from stream.local import reachable
from stream.local.errors import LocalStackError
from stream.local.ports import LOOPBACK, free_port
from stream.local.reachable import Service, look_at, require_services


async def test_a_missing_service_is_reported_without_secrets() -> None:
    port = free_port()
    settings = Settings.model_validate({"redis": {"url": f"redis://user:hunter2@127.0.0.1:{port}/0"}})
    with pytest.raises(LocalStackError, match=f"Redis does not answer at 127.0.0.1:{port}; start it, or correct --redis") as caught:
        await require_services(settings, [Service.REDIS])
    assert "hunter2" not in str(caught.value)


async def test_services_that_are_away_are_all_named() -> None:
    port = free_port()
    address = f"{LOOPBACK}:{port}"
    settings = Settings.model_validate(
        {"kafka": {"bootstrap": address}, "redis": {"url": f"redis://{address}"}, "triton": {"url": address}}
    )
    looked = await look_at(settings, Service)
    assert {service: [problem.code for problem in problems] for service, problems in looked.items()} == {
        Service.KAFKA: ["refused"],
        Service.REDIS: ["away"],
        Service.TRITON: ["refused"],
    }


async def test_another_server_is_told_apart_from_an_outage() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, LOOPBACK, 0)
    address = f"{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    settings = Settings.model_validate({"kafka": {"bootstrap": address}, "triton": {"url": address}})
    for service, name in ((Service.KAFKA, "Kafka"), (Service.TRITON, "Triton")):
        with pytest.raises(WrongServiceError, match=f"{address} is an HTTP server, not {name}; correct --{service} or {service}"):
            await require_services(settings, [service])
    server.close()


async def test_a_service_that_hangs_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: object, **__: object) -> list[ServiceProblem]:
        await asyncio.sleep(60)
        return []

    monkeypatch.setattr(reachable, "LONGEST_S", 0.2)
    monkeypatch.setattr(reachable, "_look_at_triton", hang)
    monkeypatch.setattr(reachable, "_look_at_redis", hang)
    began = time.monotonic()
    looked = await look_at(Settings(), [Service.REDIS, Service.TRITON])
    assert time.monotonic() - began < 10
    assert [problem.text for problem in looked[Service.TRITON]] == [
        "Triton does not answer within 0.2 s; see its log, or correct its address"
    ]
