"""A commit never passes an unacknowledged record, and passes all others."""

from __future__ import annotations

from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from stream.agents.faust_patches.commits import Commits, ReadTo

AUDIO, TEXT = TP("audio", 0), TP("text", 0)


def test_nothing_is_committed_past_the_first_record_of_a_partition() -> None:
    commits = Commits()
    for offset in range(4):
        commits.deliver(AUDIO, offset)
    acknowledged = {1, 2}
    assert commits.take(AUDIO, acknowledged) is None
    acknowledged.add(0)
    assert commits.take(AUDIO, acknowledged) == 3
    assert not acknowledged


def test_an_unacknowledged_record_after_a_commit_holds_back_the_records_behind_it() -> None:
    commits = Commits()
    for offset in range(6):
        commits.deliver(AUDIO, offset)
    acknowledged = {0, 1, 3, 4, 5}
    assert commits.take(AUDIO, acknowledged) == 2
    assert commits.take(AUDIO, acknowledged) is None
    acknowledged.add(2)
    assert commits.take(AUDIO, acknowledged) == 6


def test_offsets_that_the_topic_lacks_hold_nothing_back() -> None:
    commits = Commits()
    for offset in (7, 9, 40):
        commits.deliver(AUDIO, offset)
    assert commits.take(AUDIO, {7, 9, 40}) == 41


def test_a_record_from_before_a_rebalance_does_not_hide_records_that_are_read_again() -> None:
    commits = Commits()
    for offset in (9, 6, 7, 8, 9, 10):
        commits.deliver(AUDIO, offset)
    acknowledged = {9, 10}
    assert commits.take(AUDIO, acknowledged) is None
    acknowledged |= {6, 7}
    assert commits.take(AUDIO, acknowledged) == 8
    commits.deliver(AUDIO, 7)
    acknowledged |= {8}
    assert commits.take(AUDIO, acknowledged) == 11


def test_partitions_are_independent_and_a_forgotten_partition_starts_again() -> None:
    commits = Commits()
    commits.deliver(AUDIO, 5)
    commits.deliver(TEXT, 0)
    commits.forget([AUDIO])
    assert commits.take(AUDIO, {5}) is None
    assert commits.take(TEXT, {0}) == 1
    commits.deliver(AUDIO, 3)
    assert commits.take(AUDIO, {3}) == 4


@given(st.lists(st.integers(1, 3), min_size=1, max_size=20), st.data())
def test_every_commit_is_the_first_open_offset_whatever_the_order_of_acknowledgement(steps: list[int], data: st.DataObject) -> None:
    offsets = [sum(steps[: number + 1]) for number in range(len(steps))]
    commits, acknowledged, committed = Commits(), set[int](), 0
    for offset in offsets:
        commits.deliver(AUDIO, offset)
        commits.deliver(AUDIO, offset)
    done: set[int] = set()
    for offset in data.draw(st.permutations(offsets)):
        acknowledged.add(offset)
        done.add(offset)
        committed = commits.take(AUDIO, acknowledged) or committed
        before = [known for known in offsets if known < committed]
        assert set(before) <= done
        assert before == offsets[: len(before)]
        assert len(before) == len(offsets) or offsets[len(before)] not in done
    assert committed == offsets[-1] + 1


def test_markers_behind_the_last_record_are_committed_once_everything_is_acknowledged() -> None:
    commits = Commits()
    for offset in (3, 4, 7):
        commits.deliver(AUDIO, offset)
    assert commits.take(AUDIO, {3, 7}, ReadTo(9, 7)) == 4
    assert commits.take(AUDIO, {4, 7}, ReadTo(9, 7)) == 9
    assert commits.take(AUDIO, set(), ReadTo(9, 7)) is None
    assert commits.take(AUDIO, set(), ReadTo(12, 7)) == 12


def test_records_that_were_read_and_not_yet_delivered_are_not_committed() -> None:
    commits = Commits()
    commits.deliver(AUDIO, 3)
    assert commits.take(AUDIO, {3}, ReadTo(9, 8)) == 4
    assert commits.take(AUDIO, set(), ReadTo(9, 8)) is None
    commits.deliver(AUDIO, 8)
    assert commits.take(AUDIO, set(), ReadTo(9, 8)) is None
    assert commits.take(AUDIO, {8}, ReadTo(9, 8)) == 9


def test_where_nothing_was_acknowledged_nothing_is_committed() -> None:
    assert Commits().take(AUDIO, set(), ReadTo(9, 8)) is None
    assert Commits().take(AUDIO, set(), ReadTo(9)) is None
