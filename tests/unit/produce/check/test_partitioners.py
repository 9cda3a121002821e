"""Where other clients put a key: values that the clients themselves have computed."""

from __future__ import annotations

import pytest

from stream.domain.partition import partition_of
from stream.produce.check.partitioners import crc32, fnv1a, fnv1a_masked, kafkajs_legacy, likely_partitioners

MANY = 2**31


@pytest.mark.parametrize(
    ("key", "hashed"),
    # `(murmur2(key) & 0x7fffffff)` of kafkajs's LegacyPartitioner, version 2.2.4, under Node.js 20.
    [
        (b"default/call-0", 764214297),
        (b"default/call-1x", 1742956999),
        (b"default/call-2xx", 506874990),
        (b"default/call-3xxx", 1484882946),
    ],
)
def test_the_legacy_partitioner_of_kafkajs_loses_the_low_bits_of_products(key: bytes, hashed: int) -> None:
    assert kafkajs_legacy(key, MANY) == hashed
    assert kafkajs_legacy(key, MANY) != partition_of(key, MANY)


def test_crc32_and_fnv1a_are_the_standard_ones() -> None:
    assert crc32(b"123456789", 2**32) == 0xCBF43926
    assert fnv1a(b"foobar", 2**32) == abs(0xBF9CF968 - 2**32)
    assert fnv1a_masked(b"foobar", 2**32) == 0xBF9CF968 & 0x7FFFFFFF


def test_a_partitioner_has_to_explain_every_record() -> None:
    keys = [b"default/%d-call" % number for number in range(20)]
    (found,) = likely_partitioners((key, 6, fnv1a(key, 6)) for key in keys)
    assert "sarama" in found.client
    assert likely_partitioners((key, 6, 0) for key in keys) == []
