from __future__ import annotations

from msgspec import structs

from stream.domain.identity import SessionKey, TrackKey
from stream.domain.result import Record, encode_record
from stream.explain.session_summary import summarise
from stream.sinks.history import History
from tests.fakes.results import SESSION, make_explanation, make_partial, make_score
from tests.support.rules import alerts_of

TRACK = TrackKey(SESSION, "customer")


def history(*records: Record, finals_per_track: int = 100) -> History:
    collected = History(finals_per_track)
    for number, record in enumerate(records):
        collected.add(encode_record(record), number)
    return collected


def windows(*ends: int) -> list[Record]:
    return [record for end in ends for record in (make_score(end, end / 4000), make_explanation(make_score(end, end / 4000)))]


def positions(collected: History) -> list[tuple[int, int]]:
    return [(score.epoch, score.end_ms) for score, _ in collected.finals(TRACK)]


def test_windows_come_in_order_with_their_own_explanation() -> None:
    next_epoch = make_score(1000, epoch=1)
    collected = history(next_epoch, make_explanation(next_epoch), *windows(6000, 4000))
    assert positions(collected) == [(0, 4000), (0, 6000), (1, 1000)]
    assert all(explanation.window_id == score.window_id for score, explanation in collected.finals(TRACK))


def test_the_topics_may_be_read_in_any_order() -> None:
    score, explanation = windows(4000)
    assert positions(history(explanation, score)) == [(0, 4000)]


def test_a_repeat_with_the_same_content_is_counted_and_kept_once() -> None:
    collected = history(*windows(4000), *windows(4000))
    assert positions(collected) == [(0, 4000)]
    assert collected.repeated == 2
    assert not collected.conflicts


def test_different_content_under_one_id_is_reported_and_the_first_is_kept() -> None:
    score = make_score(4000, 1.0)
    collected = history(score, make_explanation(score), make_score(4000, -1.0), make_explanation(score, "Otherwise."))
    assert [(score.score, explanation.sentence) for score, explanation in collected.finals(TRACK)] == [(1.0, "Because.")]
    assert list(collected.conflicts) == [score.window_id]
    assert collected.repeated == 0


def test_alerts_belong_to_their_windows_and_are_kept_once() -> None:
    scores = [make_score(end_ms, points) for end_ms, points in ((4000, 4.0), (6000, 1.0), (8000, 4.0))]
    alerts = alerts_of((score, make_explanation(score)) for score in scores)
    assert len(alerts) == 4
    collected = history(*alerts, *windows(4000, 6000, 8000), *alerts[:1], structs.replace(alerts[1], value=9.0))
    assert [collected.alerts(score) for score in scores] == [tuple(a for a in alerts if a.end_ms == score.end_ms) for score in scores]
    assert collected.repeated == 1
    assert list(collected.conflicts) == [alerts[1].alert_id]


def test_alerts_of_windows_that_are_not_kept_are_not_kept_either() -> None:
    scores = [make_score(2000 * number, 4.0 * (number % 2)) for number in range(2, 60)]
    alerts = alerts_of((score, make_explanation(score)) for score in scores)
    collected = history(*alerts, finals_per_track=5)
    assert collected.alerts(scores[0]) == ()
    assert collected.alerts(scores[-1])


def test_a_score_without_explanation_was_never_final() -> None:
    collected = history(*windows(4000), make_score(6000))
    assert positions(collected) == [(0, 4000)]
    assert collected.unexplained(TRACK) == 1


def test_only_the_newest_windows_of_a_track_are_kept() -> None:
    collected = history(*windows(*range(1000, 100_000, 1000)), finals_per_track=10)
    assert [end for _, end in positions(collected)] == list(range(90_000, 100_000, 1000))
    assert collected.unexplained(TRACK) == 0


def test_a_recent_session_is_restored_completely() -> None:
    other = make_score(4000, session=SessionKey("default", "call-2"))
    collected = history(*windows(4000, 6000), other)
    assert collected.sessions(since_ms=3) == [SESSION, SessionKey("default", "call-2")]
    assert collected.sessions(since_ms=4) == [SessionKey("default", "call-2")]
    assert positions(collected) == [(0, 4000), (0, 6000)]


def test_the_fullest_summary_of_the_newest_epoch_is_taken() -> None:
    full = summarise(SESSION, 0, [make_score(4000), make_score(6000)])
    fewer = summarise(SESSION, 0, [make_score(4000)])
    later = summarise(SESSION, 1, [make_score(4000, epoch=1)])
    assert history(fewer, full, fewer).summary(SESSION) == full
    assert history(full, later, full).summary(SESSION) == later
    assert history(*windows(4000)).summary(SESSION) is None


def test_summaries_that_contradict_each_other_are_reported() -> None:
    first, second = (summarise(SESSION, 0, [make_score(4000, score)]) for score in (1.0, 2.0))
    collected = history(first, first, second)
    assert collected.repeated == 1
    assert list(collected.conflicts) == [f"{SESSION}/0"]
    assert collected.summary(SESSION) == first


def test_records_that_are_not_results_are_counted_and_skipped() -> None:
    collected = history(*windows(4000))
    broken_name = encode_record(make_score(4000)).replace(b'"call-1"', b'"call 1"')
    for value in (None, b"", b"\xff", b"{}", b'{"event": "score"}', encode_record(make_partial(4000)), broken_name):
        collected.add(value, 0)
    assert collected.unreadable == 7
    assert collected.sessions() == [SESSION]
