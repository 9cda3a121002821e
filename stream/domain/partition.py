"""Which partition a key belongs to: the hash of the Java client, which every producer of a session must use."""

from __future__ import annotations

from functools import lru_cache

SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF

REMEMBERED = 4096
"""Keys whose partition stays known: nearly every record belongs to a session that was seen shortly before."""


@lru_cache(maxsize=REMEMBERED)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition in which Kafka's Java client, kafka-python and aiokafka put a key (murmur2)."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """MurmurHash2 with Kafka's seed, as an unsigned 32-bit number."""
    value = SEED ^ len(data)
    whole = len(data) & ~3
    for start in range(0, whole, 4):
        four = int.from_bytes(data[start : start + 4], "little") * _M & _MASK
        four = (four ^ four >> 24) * _M & _MASK
        value = value * _M & _MASK ^ four
    if whole < len(data):
        value = (value ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    value = (value ^ value >> 13) * _M & _MASK
    return value ^ value >> 15
