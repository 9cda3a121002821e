"""Real services for integration tests: brokers, Redis and Triton, started once for the session."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from stream.config.settings import Settings
from stream.local.broker import Broker
from stream.local.redis_server import RedisServer
from stream.local.stack import Stack
from stream.local.triton import TritonServer
from stream.serving.repository import assemble_text_encoder
from tests.support.kafka import ApacheKafka, why_unavailable


@pytest.fixture(scope="session")
def tansu_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The embedded broker."""
    broker = Broker(tmp_path_factory.mktemp("tansu"))
    asyncio.run(broker.start())
    yield broker.bootstrap
    asyncio.run(broker.stop())


@pytest.fixture(scope="session")
def apache_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Apache Kafka, where there is one."""
    reason = why_unavailable()
    if reason:
        pytest.skip(reason)
    kafka = ApacheKafka(tmp_path_factory.mktemp("apache-kafka"))
    asyncio.run(kafka.start())
    yield kafka.bootstrap
    asyncio.run(kafka.stop())


@pytest.fixture(scope="session", params=["tansu", "apache"])
def kafka_bootstrap(request: pytest.FixtureRequest) -> str:
    """``HOST:PORT`` of a broker; tests that use it run on tansu and on Apache Kafka."""
    bootstrap: str = request.getfixturevalue(f"{request.param}_bootstrap")
    return bootstrap


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the embedded Redis."""
    redis = RedisServer(tmp_path_factory.mktemp("redis"))
    asyncio.run(redis.start())
    yield redis.url
    asyncio.run(redis.stop())


@pytest.fixture(scope="session")
def triton_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """The embedded Triton with our models, unsupervised."""
    repository = Settings().triton.model_repository
    assemble_text_encoder(repository)
    triton = TritonServer(repository, tmp_path_factory.mktemp("triton"))
    asyncio.run(triton.start())
    yield triton
    asyncio.run(triton.stop())


@pytest.fixture(scope="session")
def triton_url(triton_server: TritonServer) -> str:
    """``HOST:PORT`` of its gRPC endpoint."""
    return triton_server.grpc_url


@pytest.fixture
def settings(kafka_bootstrap: str, redis_url: str, triton_url: str) -> Settings:
    """Settings for all three services, with a topic prefix and a consumer group of the test's own."""
    own = f"test-{uuid.uuid4().hex[:8]}"
    plain = Settings()
    return plain.model_copy(
        update={
            "kafka": plain.kafka.model_copy(update={"bootstrap": kafka_bootstrap, "topic_prefix": f"{own}.", "group": own}),
            "redis": plain.redis.model_copy(update={"url": SecretStr(redis_url)}),
            "triton": plain.triton.model_copy(update={"url": triton_url}),
        }
    )


@pytest.fixture
async def local_stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """A whole embedded stack of the test's own, supervised."""
    async with Stack(Settings(), tmp_path / "run") as stack:
        yield stack
