"""How Kafka clients choose a partition by the key: to tell which client, set how, has sent a record to the wrong one."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

MURMUR2_SETTING = (
    "all producers of these topics must use the murmur2 partitioner of the Java client: partitioner=murmur2_random for librdkafka and its "
    "bindings (Python, .NET, Go, Node.js, Rust), Partitioners.DefaultPartitioner for kafkajs 2, kafka.Murmur2Balancer for kafka-go"
)
"""What to do when no single client explains where the records are."""


@dataclass(frozen=True, slots=True)
class ForeignPartitioner:
    """A partitioner that is not the Java client's.

    Attributes:
        client: Who uses it.
        fix: The setting that mends it.
        partition: Partition of a key, given the number of partitions.
    """

    client: str
    fix: str
    partition: Callable[[bytes, int], int]


def crc32(key: bytes, partitions: int) -> int:
    """The partitioners ``consistent`` and ``consistent_random`` of librdkafka; kafka-go's ``CRC32Balancer``."""
    return zlib.crc32(key) % partitions


def fnv1a(key: bytes, partitions: int) -> int:
    """FNV-1a, as a signed number without its sign: librdkafka's ``fnv1a``, sarama's ``NewHashPartitioner``, kafka-go's ``Hash``."""
    value = _fnv1a(key)
    return abs(value - 2**32 if value >= 2**31 else value) % partitions


def fnv1a_masked(key: bytes, partitions: int) -> int:
    """FNV-1a without its highest bit: sarama's ``NewReferenceHashPartitioner``, kafka-go's ``ReferenceHash``."""
    return (_fnv1a(key) & 0x7FFFFFFF) % partitions


def kafkajs_legacy(key: bytes, partitions: int) -> int:
    """The partitioner of kafkajs 1, in kafkajs 2 ``LegacyPartitioner``: murmur2 in floating-point numbers, which lose low bits."""
    m = 0x5BD1E995
    h: float = float(_int32(0x9747B28C ^ len(key)))
    for index in range(-(-len(key) // 4)):
        four = key[4 * index : 4 * index + 4].ljust(4, b"\0")
        k = float(_int32(int.from_bytes(four, "little")))
        k *= m
        k = float(_int32(_int32(k) ^ (_uint32(k) >> 24)))
        k *= m
        h *= m
        h = float(_int32(_int32(h) ^ _int32(k)))
    rest = key[len(key) & ~3 :]
    for index in reversed(range(len(rest))):
        h = float(_int32(_int32(h) ^ _int32(rest[index] << (8 * index))))
    if rest:
        h *= m
    h = float(_int32(_int32(h) ^ (_uint32(h) >> 13)))
    h *= m
    h = float(_int32(_int32(h) ^ (_uint32(h) >> 15)))
    return (_int32(h) & 0x7FFFFFFF) % partitions


FOREIGN_PARTITIONERS = (
    ForeignPartitioner(
        "librdkafka with its default partitioner (confluent-kafka for Python, .NET and Go, node-rdkafka, rdkafka for Rust)",
        "set partitioner=murmur2_random",
        crc32,
    ),
    ForeignPartitioner(
        "sarama or kafka-go with their FNV-1a partitioner, or librdkafka with fnv1a_random",
        "kafka-go: Balancer: kafka.Murmur2Balancer{Consistent: true}; sarama: Partitioner = sarama.NewMurmur2Partitioner; "
        "librdkafka: partitioner=murmur2_random",
        fnv1a,
    ),
    ForeignPartitioner(
        "sarama or kafka-go with their reference FNV-1a partitioner",
        "kafka-go: Balancer: kafka.Murmur2Balancer{Consistent: true}; sarama: Partitioner = sarama.NewMurmur2Partitioner",
        fnv1a_masked,
    ),
    ForeignPartitioner(
        "kafkajs 1, or kafkajs 2 with LegacyPartitioner",
        "set createPartitioner: Partitioners.DefaultPartitioner (kafkajs 2)",
        kafkajs_legacy,
    ),
)


def likely_partitioners(placed: Iterable[tuple[bytes, int, int]]) -> list[ForeignPartitioner]:
    """The partitioners that explain all of these records.

    Args:
        placed: Key, number of partitions and actual partition of records that are in a wrong partition.
    """
    seen = list(placed)
    return [foreign for foreign in FOREIGN_PARTITIONERS if all(foreign.partition(key, count) == at for key, count, at in seen)]


def _fnv1a(key: bytes) -> int:
    value = 0x811C9DC5
    for byte in key:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def _uint32(number: float) -> int:
    return int(number) & 0xFFFFFFFF


def _int32(number: float) -> int:
    unsigned = _uint32(number)
    return unsigned - 2**32 if unsigned >= 2**31 else unsigned
