from __future__ import annotations

import pytest

from stream.media.holes import HoleFinder

PACKET_S = 0.02
PACKET_BYTES = 200


def _found(*, jump_s: float, skipped_bytes: int, skipped_at: int = 50, corrupt_at: int | None = None) -> float:
    """Lost time of 100 packets whose clock jumps before the fiftieth."""
    finder = HoleFinder()
    for number in range(100):
        finder.add(
            PACKET_S,
            jump_s if number == 50 else 0.0,
            PACKET_BYTES,
            number * 10 + (skipped_bytes if number >= skipped_at else 0),
            corrupt=number == corrupt_at,
        )
    return finder.lost_s


def test_a_pause_takes_no_bytes_and_is_no_loss() -> None:
    assert _found(jump_s=5.0, skipped_bytes=0) == 0.0
    assert _found(jump_s=5.0, skipped_bytes=900) == 0.0


@pytest.mark.parametrize("skipped_at", [48, 50, 53])
def test_bytes_without_packets_near_a_jump_are_a_loss(skipped_at: int) -> None:
    assert _found(jump_s=2.0, skipped_bytes=20_000, skipped_at=skipped_at) == 2.0


def test_bytes_far_from_a_jump_and_jumps_of_a_moment_are_no_loss() -> None:
    assert _found(jump_s=2.0, skipped_bytes=20_000, skipped_at=10) == 0.0
    assert _found(jump_s=0.05, skipped_bytes=20_000) == 0.0


def test_a_jump_where_the_container_misses_packets_is_a_loss() -> None:
    assert _found(jump_s=2.0, skipped_bytes=0, corrupt_at=49) == 2.0
    assert _found(jump_s=2.0, skipped_bytes=0, corrupt_at=20) == 0.0
