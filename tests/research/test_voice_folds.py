"""Folds of actors: the assignment of actors to folds, and the summary of the predictions."""

from __future__ import annotations

import numpy as np
import pytest

from research.voices.folds import CONDITIONS, FoldAnswers, actor_folds, summary

EMOTIONS = 8
VALENCES = np.array([0, 0.3, 0.8, -0.6, -0.7, -0.7, -0.7, 0.1], dtype=np.float32)


def answers(wrong_for: int | None = None, *, nuisance_confuses: bool = False) -> FoldAnswers:
    """Four actors in two folds, each with all emotions. All predictions are right, except those that the arguments make wrong."""
    actors = np.repeat(np.arange(1, 5), EMOTIONS)
    emotion = np.tile(np.arange(EMOTIONS), 4)
    sign = (np.sign(VALENCES) + 1).astype(np.int64)[emotion]
    predicted = np.tile(emotion, (len(CONDITIONS), 1))
    predicted_sign = np.tile(sign, (len(CONDITIONS), 1))
    if wrong_for is not None:
        predicted[:, actors == wrong_for] = 4
        predicted_sign[:, actors == wrong_for] = 0
    if nuisance_confuses:
        predicted_sign[1] = 2 - predicted_sign[1]
    return FoldAnswers(
        (actors - 1) // 2,
        actors,
        actors % 2 == 1,
        np.eye(EMOTIONS, dtype=np.float32)[predicted],
        np.eye(3, dtype=np.float32)[predicted_sign],
        np.eye(3, dtype=np.float32)[predicted_sign],
        np.stack([emotion, sign, sign], axis=1),
        VALENCES[emotion],
    )


@pytest.mark.parametrize("folds", [2, 4, 6])
def test_every_actor_is_tested_once_with_as_many_men_as_women(folds: int) -> None:
    parts = actor_folds([actor for actor in range(1, 25) for _ in range(3)], folds)
    assert sorted(actor for part in parts for actor in part) == list(range(1, 25))
    assert all(sum(actor % 2 for actor in part) * 2 == len(part) for part in parts)


def test_right_predictions_give_perfect_numbers() -> None:
    found = summary(answers())
    assert found["emotion"]["macro_recall"] == found["sign"]["macro_recall"] == found["sign_without_zero"]["macro_recall"] == 1
    assert found["sign_without_zero"]["n"] == 28
    assert found["fairness"]["female_minus_male"]["sign_accuracy"] == 0
    assert found["fairness"]["female_minus_male"]["mean_score"] == pytest.approx(0, abs=1e-6)
    assert all(numbers["sign_changed"] == 0 for numbers in found["nuisances"].values())


def test_errors_for_an_actor_show_by_fold_sex_and_actor() -> None:
    found = summary(answers(wrong_for=2))
    assert found["emotion"]["macro_recall_of_folds"][0] < found["emotion"]["macro_recall_of_folds"][1] == 1
    assert found["fairness"]["female_minus_male"]["emotion_accuracy"] == pytest.approx(-7 / 16)
    assert found["fairness"]["female_minus_male"]["mean_score"] < -0.1
    assert found["fairness"]["actor"]["2"]["share_called_negative"] == 1
    assert found["fairness"]["actor_min_max_sd"]["sign_accuracy"][:2] == [0.5, 1.0]
    assert found["emotion"]["confusion"]["happy"] == {
        **dict.fromkeys(("neutral", "calm", "sad", "fearful", "disgust", "surprised"), 0),
        "happy": 3,
        "angry": 1,
    }


def test_a_nuisance_that_changes_predictions_is_reported() -> None:
    found = summary(answers(nuisance_confuses=True))["nuisances"]
    assert found[CONDITIONS[1]]["sign_changed"] == pytest.approx(28 / 32)
    assert found[CONDITIONS[1]]["sign_macro_recall"] == pytest.approx(1 / 3)
    assert found[CONDITIONS[2]]["sign_changed"] == 0
