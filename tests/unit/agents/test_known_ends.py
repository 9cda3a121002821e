"""How long a record has waited, whatever the clocks of producers say."""

from __future__ import annotations

from stream.agents.known_ends import MOST, KnownEnds


def test_a_record_is_known_since_the_first_answer_that_counts_it() -> None:
    known = KnownEnds()
    for end_offset, at_ms in ((10, 100), (10, 200), (25, 300), (20, 350), (30, 400)):
        known.note(end_offset, at_ms)
    assert [known.known_at_ms(offset) for offset in (0, 9, 10, 24, 25, 29)] == [100, 100, 300, 300, 400, 400]
    assert known.known_at_ms(30) is None


def test_what_has_been_read_is_forgotten() -> None:
    known = KnownEnds()
    known.note(10, 100)
    known.note(20, 200)
    known.on_read(8)
    assert known.known_at_ms(9) == 100
    known.on_read(9)
    assert known.known_at_ms(10) == 200
    known.on_read(19)
    assert known.known_at_ms(20) is None


def test_memory_is_bounded_and_ages_are_rather_too_small() -> None:
    known = KnownEnds()
    for number in range(100_000):
        known.note(number + 1, number)
    assert len(known._ends) <= MOST
    ages = [known.known_at_ms(offset) or 0 for offset in range(0, 100_000, 997)]
    assert ages == sorted(ages)
    assert all(at_ms >= offset for at_ms, offset in zip(ages, range(0, 100_000, 997), strict=True))
