"""Apache Kafka and Redis on an address: ``python -m benchmarks.host_runs.services ADDRESS FOLDER``. They end with standard input."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from stream.aio.probes import redis_answers
from stream.local.process import ManagedProcess
from stream.local.redis_server import START_TIMEOUT_S, server_binary
from tests.support.kafka import ApacheKafka

KAFKA_PORT, REDIS_PORT = 9092, 6379


async def run(address: str, directory: Path) -> None:
    """Start both, say so, and wait."""
    kafka = ApacheKafka(directory / "kafka", KAFKA_PORT, host=address)
    command = [
        server_binary(),
        "--bind",
        address,
        "--port",
        str(REDIS_PORT),
        "--protected-mode",
        "no",
        "--save",
        "",
        "--dir",
        str(directory),
    ]
    redis = ManagedProcess("Redis", command, directory / "redis.log", environment={"PATH": os.defpath, "HOME": str(directory)})
    await redis.start(lambda: redis_answers(address, REDIS_PORT), START_TIMEOUT_S)
    await kafka.start()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    kafka.kill()
    redis.kill()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], Path(sys.argv[2])))
