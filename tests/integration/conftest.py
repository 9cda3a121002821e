"""Real services for integration tests: brokers, Redis and Triton, started once for the session, and clients of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from kafka import KafkaProducer
from pydantic import SecretStr
from redis.asyncio import Redis

from stream.config.service_settings import RedisSettings
from stream.config.settings import Settings
from stream.kafka_admin.connection import kafka_options
from stream.kafka_admin.topics import ensure_topics
from stream.local.broker import Broker
from stream.local.redis_server import RedisServer
from stream.local.stack import Stack
from stream.local.triton import TritonServer
from stream.model_repository.repository import build_encoders
from stream.sinks.redis_sink import RedisSink
from tests.support.kafka import ApacheKafka, why_unavailable
from tests.support.settings import own_settings


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
    build_encoders(repository)
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
    own = own_settings("test", kafka_bootstrap, redis_url)
    return own.model_copy(update={"triton": own.triton.model_copy(update={"url": triton_url})})


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[RedisSink]:
    """The Redis that the settings name."""
    sink = RedisSink(settings.redis)
    yield sink
    await sink.close()


@pytest.fixture
def producer(settings: Settings) -> Iterator[KafkaProducer]:
    """On the broker that the settings name, with the topics."""
    ensure_topics(settings.kafka)
    with KafkaProducer(**kafka_options(settings.kafka)) as producer:
        yield producer


@pytest.fixture
def redis_settings(server: RedisServer) -> RedisSettings:
    """For the test's own Redis."""
    return RedisSettings(url=SecretStr(server.url))


@pytest.fixture
async def sink(redis_settings: RedisSettings) -> AsyncIterator[RedisSink]:
    """The test's own Redis, as workers see it."""
    sink = RedisSink(redis_settings)
    yield sink
    await sink.close()


@pytest.fixture
async def redis(server: RedisServer) -> AsyncIterator[Redis]:
    """The test's own Redis, as it is."""
    client = Redis.from_url(server.url, decode_responses=True)
    yield client
    await client.aclose()


@pytest.fixture
async def local_stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """A whole embedded stack of the test's own, supervised."""
    async with Stack(Settings(), tmp_path / "run") as stack:
        yield stack
