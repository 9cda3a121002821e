"""Keys are placed as the Java client places them."""

from __future__ import annotations

import random

import pytest
from kafka.partitioner import murmur2 as murmur2_of_kafka_python

from stream.domain.partition import murmur2, partition_of


@pytest.mark.parametrize(
    ("key", "value"),
    # From the tests of Apache Kafka's `Utils.murmur2`.
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    ],
)
def test_the_hash_is_that_of_the_java_client(key: bytes, value: int) -> None:
    assert murmur2(key) == value & 0xFFFFFFFF


def test_keys_of_every_length_are_placed_as_by_kafka_python() -> None:
    chance = random.Random(0)
    for length in range(70):
        key = chance.randbytes(length)
        assert partition_of(key, 6) == (murmur2_of_kafka_python(key) & 0x7FFFFFFF) % 6
