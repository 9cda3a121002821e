from __future__ import annotations

from stream.align.expiry import Expiry


def test_a_session_expires_when_no_record_arrives() -> None:
    expiry = Expiry(3000, 60_000, now=0)
    expiry.on_record(1000)
    assert expiry.expires_at(is_leftover=False) == 61_000
    assert expiry.end_grace_over_at == 4000


def test_the_leftover_of_a_session_that_is_done_expires_after_the_grace_period() -> None:
    assert Expiry(3000, 60_000, now=500).expires_at(is_leftover=True) == 3500


def test_records_do_not_prolong_a_retired_epoch() -> None:
    expiry = Expiry(3000, 60_000, now=0)
    expiry.retire(10_000)
    expiry.retire(11_000)
    expiry.on_record(12_000)
    assert expiry.expires_at(is_leftover=False) == 13_000
    assert expiry.end_grace_over_at == 13_000
