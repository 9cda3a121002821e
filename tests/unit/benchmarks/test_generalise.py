"""The measures of voices and faces that the served models have not been trained on."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

from benchmarks.generalise_runs.faces import shifted
from benchmarks.generalise_runs.product import _spans
from benchmarks.generalise_runs.voices import Answer, Recording, WindowMean, conversations, corpora, measures, sample
from tests.fakes.results import make_score


def recording(number: int, emotion: str, polarity: int) -> Recording:
    return Recording(f"{number:05d}", Path("none.ogg"), f"speaker {number % 2}", emotion, polarity)


def answer(score: float, probabilities: tuple[float, float, float], arousal: float = 0.5) -> Answer:
    return Answer(score, arousal, probabilities)


def write_corpus(folder: Path, rows: list[str]) -> None:
    folder.mkdir(parents=True)
    (folder / "labels.csv").write_text("file,speaker,emotion,valence\n" + "\n".join(rows) + "\n", encoding="utf-8")


def test_a_folder_is_one_corpus_or_several(tmp_path: Path) -> None:
    write_corpus(tmp_path / "first", ["a.wav,1,happy,0.8", "b.wav,1,sad,-0.6"])
    write_corpus(tmp_path / "second", ["c.wav,2,surprised,0.1"])
    both = corpora(tmp_path)
    assert {name: [(r.emotion, r.polarity) for r in own] for name, own in both.items()} == {
        "first": [("happy", 2), ("sad", 0)],
        "second": [("surprised", 1)],
    }
    assert corpora(tmp_path / "first") == {"first": both["first"]}


def test_a_folder_without_labels_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no labels\.csv"):
        corpora(tmp_path)


@pytest.mark.parametrize("folder", ["", "ogg16k"])
def test_the_files_are_beside_the_labels_or_in_a_folder_of_their_own(tmp_path: Path, folder: str) -> None:
    write_corpus(tmp_path / "corpus", ["a.wav,1,happy,0.8"])
    (tmp_path / "corpus" / folder).mkdir(exist_ok=True)
    soundfile.write(tmp_path / "corpus" / folder / "a.wav", np.array([1, -2, 3], np.int16), 16_000)
    (own,) = corpora(tmp_path)["corpus"]
    assert own.samples().tolist() == [1, -2, 3]


def test_another_rate_is_refused(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus", ["a.wav,1,happy,0.8"])
    soundfile.write(tmp_path / "corpus" / "a.wav", np.zeros(8, np.int16), 8_000)
    with pytest.raises(ValueError, match="16 kHz mono"):
        corpora(tmp_path)["corpus"][0].samples()


def test_a_sample_has_as_many_of_each_emotion() -> None:
    recordings = [recording(n, emotion, 1) for n, emotion in enumerate(["happy"] * 9 + ["sad"] * 5 + ["angry"])]
    drawn = sample(recordings, 6, seed=0)
    assert sorted(own.emotion for own in drawn) == ["angry", "happy", "happy", "sad", "sad"]
    assert drawn == sample(recordings, 6, seed=0)


def test_a_speaker_without_a_name_has_one_recording(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus", ["a.wav,ann,happy,0.8", "b.wav,,happy,0.8", "c.wav,,happy,0.8", "d.wav,ann,sad,-0.6"])
    first, second, third, fourth = corpora(tmp_path)["corpus"]
    assert first.speaker == fourth.speaker == "ann"
    assert second.speaker != third.speaker


def test_a_session_holds_recordings_of_one_speaker() -> None:
    recordings = [recording(n, "happy", 2) for n in range(9)]
    sessions = conversations(recordings, 3, seed=0)
    assert sorted(len(own) for own in sessions) == [1, 2, 3, 3]
    assert all(len({r.speaker for r in own}) == 1 for own in sessions)
    assert sorted((r for own in sessions for r in own), key=lambda r: r.name) == recordings
    assert sessions == conversations(recordings, 3, seed=0)


def test_no_window_holds_two_recordings() -> None:
    assert _spans([16_000, 16_001, 8_000]) == [(0, 1_000), (7_000, 8_001), (15_000, 15_500)]


def test_windows_count_by_what_they_cover_of_the_recording() -> None:
    mean = WindowMean(10_000, 13_000)
    for start_ms, score, positive in ((8_000, 3.0, 1.0), (10_000, 1.0, 0.2), (12_000, -3.0, 0.6)):
        probabilities = {"negative": 0.0, "neutral": 1 - positive, "positive": positive}
        record = make_score(start_ms + 4_000, score)
        mean.add(msgspec.structs.replace(record, probabilities=probabilities, arousal=positive))
    found = mean.answer()
    assert found is not None
    assert found.score == pytest.approx((2 * 3.0 + 3 * 1.0 - 1 * 3.0) / 6)
    assert found.arousal == pytest.approx(3.2 / 6)
    assert found.probabilities == pytest.approx((0.0, 1 - 3.2 / 6, 3.2 / 6))


def test_a_recording_without_a_scored_window_has_no_answer() -> None:
    mean = WindowMean(0, 3_000)
    mean.add(make_score(4_000, None))
    mean.add(msgspec.structs.replace(make_score(8_000, 1.0), arousal=0.5))
    assert mean.answer() is None


def test_the_measures_of_a_corpus() -> None:
    recordings = [recording(0, "happy", 2), recording(1, "sad", 0), recording(2, "neutral", 1), recording(3, "angry", 0)]
    answers = [answer(1.5, (0.1, 0.1, 0.8), 0.6), answer(1.0, (0.2, 0.2, 0.6), 0.7), None, answer(-2.0, (0.7, 0.2, 0.1), 0.9)]
    found = measures(recordings, answers)
    assert found["recordings"] == 4
    assert found["unanswered"] == 1
    assert found["polarity_recall"] == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert found["happy_negative_auc"] == 1.0
    # Excited: .6 and .9. Quiet: .7, and .5 where there is no answer.
    assert found["arousal_auc"] == 3 / 4
    assert (found["wrong_strong"], found["right_strong"]) == (0.25, 0.5)
    # The confidences .8 (right), .6 (wrong), 1 (right) and .7 (right) are each alone in a bin.
    assert found["ece"] == pytest.approx((0.2 + 0.6 + 0.0 + 0.3) / 4)


def test_a_crop_is_moved_by_one_pixel_in_each_direction() -> None:
    crops = np.arange(2 * 48 * 48, dtype=np.int64).reshape(2, 48, 48).astype(np.uint8)
    moved = list(shifted(crops))
    assert [m.shape for m in moved] == [crops.shape] * 4
    right, left, down, up = moved
    assert (right[:, :, :-1] == crops[:, :, 1:]).all()
    assert (left[:, :, 1:] == crops[:, :, :-1]).all()
    assert (down[:, :-1] == crops[:, 1:]).all()
    assert (up[:, 1:] == crops[:, :-1]).all()
