"""The load of the benchmark of the gateway, and the account of the benchmark of hosts."""

from __future__ import annotations

from collections import Counter

from benchmarks.gateway_runs.writer import EVERY_MS, Sessions, _due
from benchmarks.host_runs.traffic import expected_windows
from benchmarks.hosts import _settings
from benchmarks.tables import texts
from tests.support.delivery import EXPECTED, SECONDS


def test_each_session_writes_a_final_and_a_partial_result_every_two_seconds() -> None:
    due = list(_due(sessions=4, first_window=7, seconds=6.0))
    finals = Counter(number for _, number, _, is_final in due if is_final)
    partials = Counter(number for _, number, _, is_final in due if not is_final)
    assert finals == partials == dict.fromkeys(range(4), 3)
    assert [offset for offset, *_ in due] == sorted(offset for offset, *_ in due)
    assert due[-1][0] < 6.0
    ids = [(number, window) for _, number, window, is_final in due if is_final]
    assert len(set(ids)) == len(ids)


def test_records_have_the_times_of_their_windows_and_rise() -> None:
    sessions = Sessions(3)
    score, explanation = sessions.final(2, 5, 1_000_000)
    assert (score.end_ms, score.media_end_at_ms) == (6 * EVERY_MS, 1_000_000)
    assert score.window_id == explanation.window_id == f"{score.tenant}/{score.session}/{score.track}/0-{score.end_ms}"
    assert sessions.partial(2, 5, 1_000_000).is_final is False


def test_windows_of_hosts_are_those_of_the_delivery_tests() -> None:
    assert expected_windows(SECONDS) == EXPECTED


def test_services_of_hosts_are_found_on_their_address() -> None:
    settings = _settings("10.99.0.1")
    assert settings.kafka.bootstrap == "10.99.0.1:9092"
    assert settings.redis.address.hosts == (("10.99.0.1", 6379),)


def test_the_pages_have_the_tables_of_the_results() -> None:
    for file, text in texts().items():
        assert file.read_text(encoding="utf-8") == text, file.name
