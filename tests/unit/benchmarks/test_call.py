"""The measures of a call, and the turns that a reader has labelled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from benchmarks.call import TURNS, transcript_beside
from benchmarks.call_runs.measures import ROUTINE, ScoredWindow, Turn, answer_to, measures, read_turns, scored
from stream.domain.inference import LABELS
from tests.fakes.results import make_explanation, make_score


def window(end_ms: int, label: str, *, track: str = "agent", text: float = 0.0, warnings: tuple[str, ...] = ()) -> ScoredWindow:
    probabilities = {name: 0.8 if name == label else 0.1 for name in LABELS}
    record = msgspec.structs.replace(make_score(end_ms, track=track, warnings=warnings), label=label, probabilities=probabilities)
    return ScoredWindow(record, text, end_ms // 1000)


TURN = Turn("agent", 0, 5_000, "greeting", "neutral")


def test_a_turn_gets_the_mean_of_its_tracks_windows_by_how_much_of_it_they_cover() -> None:
    windows = [window(4_000, "neutral", text=0.2), window(8_000, "positive", text=-1.2), window(4_000, "negative", track="caller")]
    answer = answer_to(TURN, windows)
    assert answer is not None
    assert answer.label == "neutral"
    assert answer.text_contribution == pytest.approx((4 * 0.2 + 1 * 1.2) / 5)
    assert answer_to(replace(TURN, start_ms=4_500), windows) is not None
    assert answer_to(replace(TURN, start_ms=9_000, end_ms=9_500), windows) is None
    assert answer_to(replace(TURN, speaker="nobody"), windows) is None


def test_windows_without_a_score_are_left_out() -> None:
    records = [make_score(4_000, 1.5), make_score(6_000, None)]
    (only,) = scored(records, [make_explanation(record) for record in records])
    assert only.score.end_ms == 4_000
    assert (only.text_contribution, only.summary_words) == (1.5, 1)


def test_measures_of_windows_and_turns() -> None:
    windows = [
        window(4_000, "neutral", text=0.1, warnings=("to_review",)),
        window(8_000, "positive", text=0.5, warnings=("to_review", "modalities_disagree")),
        window(12_000, "negative", text=-0.9),
        window(16_000, "neutral", text=0.1),
    ]
    turns = [
        Turn("agent", 0, 4_000, "greeting", "neutral"),
        Turn("agent", 4_000, 8_000, "number", "neutral"),
        Turn("agent", 8_000, 12_000, "complaint", "negative"),
        Turn("agent", 20_000, 21_000, "closing", "neutral"),
    ]
    found = measures(windows, turns)
    assert found == {
        "windows": 4,
        "to_review": 0.5,
        "modalities_disagree": 0.25,
        "single_modality": 0.0,
        "explainers_disagree": 0.0,
        "outside_training_domain": 0.0,
        "negative": 0.25,
        "neutral": 0.5,
        "positive": 0.25,
        "text_contribution": pytest.approx(0.4),
        "summary_words": 10.0,
        "summary_words_p95": pytest.approx(15.4),
        "routine_turns": 2,
        "routine_neutral": 0.5,
        "routine_text_contribution": pytest.approx(0.3),
        "other_turns": 1,
        "other_right": 1.0,
    }
    assert measures([], turns)["routine_neutral"] is None


def test_the_labelled_call_has_turns_in_order_without_words() -> None:
    turns = read_turns(TURNS)
    assert len(turns) == 48
    assert {turn.speaker for turn in turns} == {"agent", "caller"}
    assert all(turn.label == "neutral" for turn in turns if turn.kind in ROUTINE)
    assert [turn.start_ms for turn in turns] == sorted(turn.start_ms for turn in turns)
    assert TURNS.read_text(encoding="utf-8").splitlines()[0] == "start_s,end_s,speaker,kind,label"


@pytest.mark.parametrize("row", ["1.0,2.0,agent,greeting,good", "2.0,1.0,agent,greeting,neutral"])
def test_a_turn_that_makes_no_sense_is_named(tmp_path: Path, row: str) -> None:
    (tmp_path / "turns.csv").write_text(f"start_s,end_s,speaker,kind,label\n{row}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"turns\.csv, line 2"):
        read_turns(tmp_path / "turns.csv")


def test_the_transcript_is_in_the_folder_beside_the_file(tmp_path: Path) -> None:
    media = tmp_path / "call.flac"
    assert transcript_beside(media) is None
    (tmp_path / "transcripts").mkdir()
    (tmp_path / "transcripts" / "call.vtt").touch()
    assert transcript_beside(media) == tmp_path / "transcripts" / "call.vtt"
