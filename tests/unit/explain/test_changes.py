"""Changes add up, skip windows without a score, begin again with each epoch, and follow from the newest records alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from stream.domain.modality import MODALITIES, Modality
from stream.domain.result import Change, Changes, ExplanationRecord, ScoreRecord, encode_record
from stream.domain.track_scores import TrackScores, decode_scores, encode_scores
from stream.explain.changes import compared, scores_after
from stream.explain.rounding import rounded
from tests.fakes.results import make_explanation, make_score

BASE = 0.073
TEXT, AUDIO, VIDEO = MODALITIES


def window(
    end_ms: int, moves: Mapping[Modality, float] | None, past: float = 0.0, *, epoch: int = 0
) -> tuple[ScoreRecord, ExplanationRecord]:
    """A window whose score is the base plus what moves it; None for a window without a score."""
    if moves is None:
        empty = make_score(end_ms, None, epoch=epoch)
        return empty, make_explanation(empty)
    score = make_score(end_ms, rounded(BASE + sum(moves.values()) + past), epoch=epoch)
    contributions = dict.fromkeys(MODALITIES, 0.0) | dict(moves)
    return score, structs.replace(make_explanation(score), base_score=BASE, contributions=contributions, earlier_windows=past)


def published(windows: Sequence[tuple[ScoreRecord, ExplanationRecord]], before: TrackScores | None = None) -> list[ExplanationRecord]:
    """What a publisher makes of the windows of a track, one after the other."""
    explanations = []
    for score, explanation in windows:
        explanations.append(compared(score, explanation, before))
        before = scores_after(score, explanations[-1]) or before
    return explanations


def test_a_window_is_compared_with_the_one_before_and_with_the_first() -> None:
    windows = [window(4000, {TEXT: 0.1}), window(6000, {TEXT: 0.8, AUDIO: 0.2}, 0.1), window(8000, {TEXT: -0.6, AUDIO: -0.1}, 0.0)]
    first, second, third = (explanation.change for explanation in published(windows))
    assert first == Changes(None, None)
    assert second.since_previous == second.since_start == Change(4000, 1.0, {TEXT: 0.7, AUDIO: 0.2, VIDEO: 0.0}, 0.1)
    assert third.since_previous == Change(6000, -1.8, {TEXT: -1.4, AUDIO: -0.3, VIDEO: 0.0}, -0.1)
    assert third.since_start == Change(4000, -0.8, {TEXT: -0.7, AUDIO: -0.1, VIDEO: 0.0}, 0.0)


def test_the_sentence_tells_a_large_change() -> None:
    windows = [window(6000, {TEXT: 0.8, AUDIO: 0.2}), window(8000, {TEXT: -0.6, AUDIO: -0.1})]
    windows[1] = structs.replace(windows[1][0], label="negative"), windows[1][1]
    last = published(windows)[-1]
    assert last.sentence.endswith("The score fell by 1.7 since 0:06, mostly through the words.")


def test_windows_without_a_score_are_passed_over() -> None:
    empty, last = published([window(4000, {TEXT: 0.5}), window(6000, None), window(8000, {TEXT: 0.2})])[1:]
    assert empty.change == Changes(None, None)
    assert last.change.since_previous == Change(4000, -0.3, {TEXT: -0.3, AUDIO: 0.0, VIDEO: 0.0}, 0.0)


def test_each_epoch_begins_again() -> None:
    assert published([window(4000, {TEXT: 0.5}), window(4000, {TEXT: 0.2}, epoch=1)])[1].change == Changes(None, None)


units = st.integers(-10_000, 10_000)
moves = st.dictionaries(st.sampled_from(MODALITIES), units.map(lambda n: n / 10_000))
histories = st.lists(st.none() | st.tuples(moves, units.map(lambda n: n / 10_000)), min_size=1, max_size=8)


def made(history: Sequence[tuple[Mapping[Modality, float], float] | None]) -> list[tuple[ScoreRecord, ExplanationRecord]]:
    return [window(4000 + 2000 * n, *((None,) if item is None else item)) for n, item in enumerate(history)]


@given(histories)
def test_every_change_adds_up_digit_by_digit(history: Sequence[tuple[Mapping[Modality, float], float] | None]) -> None:
    windows = made(history)
    scores = {score.end_ms: score.score for score, _ in windows}
    for (score, _), explanation in zip(windows, published(windows), strict=True):
        for change in (explanation.change.since_previous, explanation.change.since_start):
            if change is not None:
                assert score.score is not None
                assert change.score == rounded(score.score - (scores[change.from_ms] or 0.0))
                assert rounded(sum(change.contributions.values()) + change.earlier_windows) == change.score


@given(histories, st.integers(0, 8))
def test_a_publisher_that_takes_over_writes_the_same_bytes(
    history: Sequence[tuple[Mapping[Modality, float], float] | None], at: int
) -> None:
    windows = made(history)
    whole = published(windows)
    kept = [after for (score, _), explained in zip(windows[:at], whole, strict=False) if (after := scores_after(score, explained))]
    before = decode_scores(encode_scores(kept[-1])) if kept else None
    assert [*map(encode_record, published(windows[at:], before))] == [*map(encode_record, whole[at:])]


def test_a_base_score_that_differs_in_the_last_digit_breaks_no_sum() -> None:
    windows = [window(4000, {TEXT: 0.5}), window(6000, {TEXT: 0.2, AUDIO: 0.1})]
    score, explanation = windows[1]
    windows[1] = structs.replace(score, score=rounded((score.score or 0.0) + 0.0001)), explanation
    change = published(windows)[1].change.since_previous
    assert change is not None
    assert rounded(sum(change.contributions.values()) + change.earlier_windows) == change.score == -0.1999
