"""How many requests somebody may make."""

from __future__ import annotations

from stream.gateway.limits import REMEMBERED, AtOnce, RateLimit


def test_requests_above_the_limit_wait() -> None:
    limit = RateLimit(60)
    assert [limit.wait_s("a", 0.0) for _ in range(60)] == [0] * 60
    assert limit.wait_s("a", 0.0) == 1
    assert limit.wait_s("b", 0.0) == 0
    assert limit.wait_s("a", 1.0) == 0
    assert limit.wait_s("a", 1.0) == 1


def test_a_refused_request_does_not_count() -> None:
    limit = RateLimit(60)
    for _ in range(60):
        limit.wait_s("a", 0.0)
    for _ in range(1000):
        assert limit.wait_s("a", 0.5) == 1
    assert limit.wait_s("a", 1.0) == 0


def test_looking_does_not_count() -> None:
    limit = RateLimit(10)
    assert [limit.would_wait_s("a", 0.0) for _ in range(100)] == [0] * 100


def test_a_crowd_does_not_fill_the_memory() -> None:
    limit = RateLimit(10)
    for number in range(2 * REMEMBERED):
        limit.wait_s(f"address {number}", 0.0)
    assert len(limit._buckets) == REMEMBERED


def test_so_many_are_under_way_of_each_and_of_all() -> None:
    limit = AtOnce(2, 3)
    with limit.under_way("a"), limit.under_way("a"):
        assert limit.is_full("a")
        assert not limit.is_full("b")
        with limit.under_way("b"):
            assert limit.is_full("c")
        assert not limit.is_full("c")
    assert not limit.is_full("a")
    assert not limit._under_way
