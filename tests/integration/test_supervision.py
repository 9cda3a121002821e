"""The embedded stack restarts services that die, and callers only have to wait."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import redis.asyncio

from stream.config.settings import Settings
from stream.domain.media_format import FACE_WIDTH
from stream.local.errors import LocalStackError
from stream.local.events import ServiceState, StackEvent
from stream.local.stack import Stack, StackPorts
from stream.local.triton import SHARED_MEMORY
from stream.model_repository.served_models import BUILT
from stream.serving.models import Models
from tests.support.processes import contribution, descendants

RECOVERY_S = 60.0


async def encode(models: Models) -> tuple[int, ...]:
    async with asyncio.timeout(RECOVERY_S):
        return (await models.encode_faces(np.ones((1, 1, 48, 48), np.float32))).shape


async def wait_for_event(events: list[StackEvent], service: str, state: ServiceState) -> StackEvent:
    async with asyncio.timeout(RECOVERY_S):
        while not (found := [event for event in events if (event.service, event.state) == (service, state)]):
            await asyncio.sleep(0.1)
    return found[0]


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_dead_or_hanging_stub_is_detected_and_replaced(tmp_path: Path, fault: signal.Signals) -> None:
    events: list[StackEvent] = []
    async with Stack(Settings(), tmp_path, embed_kafka=False, embed_redis=False, on_event=events.append) as stack:
        assert stack.triton is not None
        models = Models(stack.settings.triton)
        assert await encode(models) == (1, FACE_WIDTH)
        stub = next(child for child in descendants(stack.triton.process.pid) if "face_encoder" in child.command)
        os.kill(stub.pid, fault)
        assert await encode(models) == (1, FACE_WIDTH)
        restarted = await wait_for_event(events, "triton", ServiceState.RESTARTED)
        assert restarted.restarts == stack.supervisors["triton"].restarts == 1
        await models.close()
    assert contribution(str(tmp_path)) == []
    assert not list(SHARED_MEMORY.glob(f"{stack.triton.shared_memory_prefix}*"))


async def test_a_killed_triton_comes_back_at_its_address(tmp_path: Path) -> None:
    events: list[StackEvent] = []
    async with Stack(Settings(), tmp_path, embed_kafka=False, embed_redis=False, on_event=events.append) as stack:
        assert stack.triton is not None
        models = Models(stack.settings.triton)
        address, pid = stack.endpoints.triton_grpc, stack.triton.process.pid
        os.kill(pid, signal.SIGKILL)
        assert await encode(models) == (1, FACE_WIDTH)
        assert stack.endpoints.triton_grpc == address
        assert stack.triton.process.pid != pid
        assert (await wait_for_event(events, "triton", ServiceState.RESTARTING)).detail == "its process ended"
        await models.close()


async def test_a_killed_redis_comes_back_with_its_data(tmp_path: Path) -> None:
    events: list[StackEvent] = []
    async with Stack(Settings(), tmp_path, embed_kafka=False, embed_triton=False, on_event=events.append) as stack:
        assert stack.redis is not None
        async with redis.asyncio.from_url(stack.redis.url) as client:
            await client.set("kept", "yes")
            await client.waitaof(1, 0, 5000)
        os.kill(stack.redis.process.pid, signal.SIGKILL)
        await wait_for_event(events, "redis", ServiceState.RESTARTED)
        async with redis.asyncio.from_url(stack.redis.url, decode_responses=True) as client:
            assert await client.get("kept") == "yes"


async def test_a_killed_broker_ends_the_run(tmp_path: Path) -> None:
    async with Stack(Settings(), tmp_path, embed_redis=False, embed_triton=False) as stack:
        assert stack.broker is not None
        os.kill(stack.broker.process.pid, signal.SIGKILL)
        async with asyncio.timeout(RECOVERY_S):
            assert "topics with it" in str(await stack.wait_for_failure())


async def test_the_whole_stack_runs_and_leaves_no_process(local_stack: Stack, tmp_path: Path) -> None:
    environment = local_stack.environment()
    assert environment["SENTISTREAM_KAFKA__BOOTSTRAP"] == local_stack.endpoints.kafka
    assert environment["SENTISTREAM_TRITON__URL"] == local_stack.settings.triton.url
    started = descendants(os.getpid())
    assert len(started) >= 7  # the broker, Redis, Triton and its four stubs
    await local_stack.__aexit__(None, None, None)
    assert not [process for process in started if process.alive() and str(tmp_path) in process.command]


async def test_a_port_in_use_is_reported_and_the_other_services_are_stopped(tmp_path: Path) -> None:
    taken = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    with pytest.raises(LocalStackError, match=f"port {port} for Redis is in use"):
        async with Stack(Settings(), tmp_path, ports=StackPorts(redis=port)):
            pytest.fail("entered")
    assert contribution(str(tmp_path)) == []
    taken.close()


async def test_a_model_that_does_not_load_is_reported_in_one_line(tmp_path: Path) -> None:
    repository = tmp_path / "models"
    for model in BUILT:
        shutil.copytree(Settings().triton.model_repository / model, repository / model)
    for name in ("config.pbtxt", "configs/cpu.pbtxt"):
        config = repository / "text_encoder" / name
        config.write_text(config.read_text().replace('"input_ids"', '"no_such_input"'))
    settings = Settings.model_validate({"triton": {"model_repository": str(repository)}})
    with pytest.raises(LocalStackError, match="Triton") as caught:
        async with Stack(settings, tmp_path / "run", embed_kafka=False, embed_redis=False):
            pytest.fail("entered")
    assert "\n" not in str(caught.value)
    assert contribution(str(tmp_path)) == []
