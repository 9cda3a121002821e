"""A share of the windows is chosen by name alone."""

from __future__ import annotations

from stream.domain.sampling import in_share

NAMES = [f"default/call-{call}/customer/0-{1000 * end}" for call in range(20) for end in range(1, 101)]


def test_about_the_share_is_chosen_and_always_the_same() -> None:
    chosen = [name for name in NAMES if in_share(name, 0.1)]
    assert 150 < len(chosen) < 250
    assert chosen == [name for name in NAMES if in_share(name, 0.1)]


def test_a_larger_share_keeps_what_a_smaller_one_has() -> None:
    assert all(in_share(name, 0.3) for name in NAMES if in_share(name, 0.1))
    assert not any(in_share(name, 0.0) for name in NAMES)
    assert all(in_share(name, 1.0) for name in NAMES)
