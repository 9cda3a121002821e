"""What the live stream shows is judged against honest windows: by how far, by how surely, and not before there are enough windows."""

from __future__ import annotations

from stream.domain.live_reveal import HOUR_MS, LiveHour, LiveState, LiveSums
from stream.reveal.findings import Detector, Reference
from stream.reveal.live import LEAST_SAID, LEAST_WINDOWS, HonestProbe, LiveReference, judged

HOUR = 490_000
LIVE = LiveReference(
    "digest",
    0.99,
    {
        "hiss": HonestProbe(-0.2, -0.1, 0.4, 400),
        "hiss alone": HonestProbe(-0.9, -0.4, 1.5, 400),
        "blur": HonestProbe(-0.05, 0.05, 0.6, 400),
    },
)
WORDS = Reference(
    "sample", {}, {"perhaps": 0.1, "don't": -0.2}, 0.0, {Detector.BATTERY: 0.15, Detector.REGRESSION: 0.2, Detector.WORDS: 0.6}
)


def sums(windows: int, mean: float, spread: float = 0.1, moved: int = 0) -> LiveSums:
    return LiveSums(windows, windows * mean, windows * (mean**2 + spread**2), windows * mean / 2, moved)


def states(**found: LiveSums) -> dict[str, LiveState]:
    names = {name.replace("_", " "): own for name, own in found.items()}
    report = judged([LiveHour(HOUR, 50, {"2": names})], LIVE, WORDS, HOUR * HOUR_MS + 1)
    return {own.name: own.state for own in report.nuisances}


def test_a_mark_is_a_suspect_beyond_what_honest_windows_show() -> None:
    assert states(hiss=sums(40, 0.1)) == {"hiss": LiveState.SUSPECT}
    assert states(hiss=sums(40, -0.5)) == {"hiss": LiveState.SUSPECT}
    for honest in (-0.3, -0.15, 0.0):
        assert states(hiss=sums(40, honest)) == {"hiss": LiveState.FINE}


def test_windows_of_one_modality_are_judged_by_what_honest_ones_of_their_kind_show() -> None:
    hours = [LiveHour(HOUR, 50, {"1": {"hiss": sums(40, -0.15), "hiss alone": sums(40, -0.6), "blur alone": sums(40, 1.0)}})]
    found = judged(hours, LIVE, WORDS, HOUR * HOUR_MS + 1).nuisances
    assert {(own.name, own.alone, own.state) for own in found} == {("hiss", False, LiveState.FINE), ("hiss", True, LiveState.FINE)}


def test_few_windows_are_not_judged_and_a_wide_spread_is_no_suspect() -> None:
    assert states(hiss=sums(LEAST_WINDOWS - 1, 2.0)) == {"hiss": LiveState.TOO_FEW}
    assert states(hiss=sums(LEAST_WINDOWS, 0.3, spread=1.5)) == {"hiss": LiveState.FINE}


def test_a_word_is_judged_by_its_score_alone_once_it_was_said_often_enough() -> None:
    assert states(said_perhaps=sums(LEAST_SAID, 1.9)) == {"word perhaps": LiveState.SUSPECT}
    assert states(said_perhaps=sums(LEAST_SAID, 0.5)) == {"word perhaps": LiveState.FINE}
    assert states(said_perhaps=sums(LEAST_SAID - 1, 1.9)) == {"word perhaps": LiveState.TOO_FEW}
    assert judged([LiveHour(HOUR, 1, {"1": {"said don't": sums(9, 1.0)}})], LIVE, WORDS, 0).suspects


def test_words_and_marks_that_the_references_do_not_know_are_not_shown() -> None:
    assert states(said_smith=sums(50, 2.5), tint=sums(50, 2.5)) == {}


def test_suspects_come_first_and_the_report_says_what_it_covers() -> None:
    first = LiveHour(HOUR - 3, 30, {"1": {"hiss": sums(30, -0.15), "blur": sums(5, 0.0)}})
    second = LiveHour(HOUR, 20, {"1": {"hiss": sums(10, -0.15, moved=2)}, "2": {"hiss": sums(30, 0.9, moved=4)}})
    report = judged([second, first], LIVE, WORDS, HOUR * HOUR_MS + 7)
    assert [(own.name, own.version, own.state, own.windows, own.warned) for own in report.nuisances] == [
        ("hiss", "2", LiveState.SUSPECT, 30, 4),
        ("hiss", "1", LiveState.FINE, 40, 2),
        ("blur", "1", LiveState.TOO_FEW, 5, 0),
    ]
    assert (report.windows, report.since_ms, report.at_ms) == (50, (HOUR - 3) * HOUR_MS, HOUR * HOUR_MS + 7)
    assert [own.version for own in report.suspects] == ["2"]
    assert judged([], LIVE, WORDS, 5).nuisances == ()
