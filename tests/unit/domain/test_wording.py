"""Texts, numbers and spans of time in messages."""

from __future__ import annotations

import pytest

from stream.domain.wording import data_size, duration, listed, printable, quantity, rough_duration, seconds


@pytest.mark.parametrize(
    ("milliseconds", "text"), [(0, "0.0 s"), (3240, "3.2 s"), (60_000, "1:00 min"), (725_400, "12:05 min"), (7_400_000, "2:03:20 h")]
)
def test_durations_read_like_those_of_players(milliseconds: int, text: str) -> None:
    assert duration(milliseconds) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"), [(90 * 60_000, "90 min"), (2 * 3_600_000, "2 h"), (36 * 3_600_000, "36 h"), (7 * 86_400_000, "7 days")]
)
def test_long_spans_are_rough(milliseconds: int, text: str) -> None:
    assert rough_duration(milliseconds) == text


def test_one_thing_is_not_many() -> None:
    assert [quantity(number, "audio track") for number in (0, 1, 2)] == ["0 audio tracks", "1 audio track", "2 audio tracks"]


def test_seconds_have_tenths() -> None:
    assert [seconds(milliseconds) for milliseconds in (0, 1_460, 3_600_000)] == ["0.0 s", "1.5 s", "3,600.0 s"]


def test_only_what_prints_is_left() -> None:
    assert [printable(text) for text in ("schön, 素晴らしい", "a\x1b[31m\u202eb\n")] == ["schön, 素晴らしい", "a[31mb"]


def test_numbers_of_bytes_have_the_unit_that_fits() -> None:
    sizes = (1, 950, 43_210, 999_499, 999_500, 1_920_000)
    assert [data_size(size) for size in sizes] == ["1 byte", "950 bytes", "43 kB", "999 kB", "1.0 MB", "1.9 MB"]


def test_a_list_ends_with_and() -> None:
    assert [listed(tuple("abc"[:count])) for count in range(4)] == ["", "a", "a and b", "a, b and c"]
