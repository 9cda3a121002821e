"""The services that the other integration tests use are reachable and configured as expected."""

from __future__ import annotations

import redis.asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pydantic import SecretStr

from stream.config.settings import Settings


async def test_a_record_makes_the_round_trip(kafka_bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic("round-trip", 3, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=kafka_bootstrap) as producer:
        await producer.send_and_wait("round-trip", b"value", key=b"key", headers=[("name", b"header")])
    async with AIOKafkaConsumer("round-trip", bootstrap_servers=kafka_bootstrap, auto_offset_reset="earliest") as consumer:
        record = await consumer.getone()
    assert (record.key, record.value, record.headers) == (b"key", b"value", (("name", b"header"),))


async def test_redis_keeps_an_append_only_file(redis_url: str) -> None:
    client = redis.asyncio.from_url(redis_url)
    assert await client.set("services-test", "1")
    assert await client.config_get("appendonly") == {"appendonly": "yes"}
    assert await client.config_get("bind") == {"bind": "127.0.0.1"}
    await client.aclose()


def test_settings_point_at_the_services(settings: Settings, redis_url: str, triton_url: str, kafka_bootstrap: str) -> None:
    assert settings.kafka.bootstrap == kafka_bootstrap
    assert settings.kafka.topic_prefix.endswith(".")
    assert settings.redis.url == SecretStr(redis_url)
    assert settings.triton.url == triton_url
