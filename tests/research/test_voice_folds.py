"""Folds of actors: the assignment of actors to folds, what a projection of a fold has heard, and the summary of the evidence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from research.voices import folds
from research.voices.folds import CONDITIONS, FoldAnswers, PlantedFeatures, actor_folds, run_folds, summary
from stream.domain.media_format import FEATURE_WIDTH, VOICE_WIDTH
from stream.training.corpora import Part, Voice
from stream.training.voice import EMOTIONS, Projection, VoiceFeatures, VoiceRecipe

KINDS = 8


def answers(wrong_for: int | None = None, *, nuisance_confuses: bool = False) -> FoldAnswers:
    """Four actors in two folds, each with all emotions. All evidence is right, except where the arguments make it wrong."""
    actors = np.repeat(np.arange(1, 5), KINDS)
    emotion = np.tile(np.arange(KINDS), 4)
    predicted = np.tile(emotion, (len(CONDITIONS), 1))
    if wrong_for is not None:
        predicted[:, actors == wrong_for] = 4
    if nuisance_confuses:
        # Happy is heard as angry and the other way, and all that is negative as happy.
        predicted[1] = np.array([0, 4, 4, 2, 2, 2, 2, 4])[emotion]
    evidence = np.zeros((*predicted.shape, VOICE_WIDTH), dtype=np.float32)
    evidence[..., EMOTIONS] = 20.0 * np.eye(KINDS, dtype=np.float32)[predicted]
    return FoldAnswers((actors - 1) // 2, actors, emotion, evidence, np.ones(predicted.shape, dtype=np.int64))


@pytest.mark.parametrize("count", [2, 4, 6])
def test_every_actor_is_tested_once_with_as_many_men_as_women(count: int) -> None:
    parts = actor_folds([actor for actor in range(1, 25) for _ in range(3)], count)
    assert sorted(actor for part in parts for actor in part) == list(range(1, 25))
    assert all(sum(actor % 2 for actor in part) * 2 == len(part) for part in parts)


def test_a_projection_hears_all_but_the_actors_of_its_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    people = [("ravdess", "1"), ("other", "1"), ("ravdess", "2"), ("ravdess", "3"), ("ravdess", "4"), ("other", "2")]
    voices = [Voice(Path("none.ogg"), corpus, speaker, 0, 1, 0.0, Part.TEST) for corpus, speaker in people]
    heard: list[set[tuple[str, str]]] = []

    def fitted(chosen: list[Voice], features: VoiceFeatures, recipe: VoiceRecipe) -> Projection:
        heard.append({(voice.corpus, voice.speaker) for voice in chosen})
        assert [own[0].shape[0] for own in features.segments] == [number for number, person in enumerate(people) if person in heard[-1]]
        bias = np.full(VOICE_WIDTH, len(heard), dtype=np.float32)
        return Projection(np.zeros((VOICE_WIDTH, FEATURE_WIDTH), dtype=np.float32), bias)

    monkeypatch.setattr(folds, "fit_projection", fitted)
    numbered = tuple((np.zeros((number, FEATURE_WIDTH), np.float16),) for number in range(6))
    features = VoiceFeatures(numbered, ((np.arange(0),),) * 6)
    planted = PlantedFeatures(np.zeros((len(CONDITIONS), 4, FEATURE_WIDTH), np.float32), np.ones((len(CONDITIONS), 4), np.int64))
    found = run_folds(voices, features, planted, VoiceRecipe(), [(1, 2), (3, 4)])
    others = {("other", "1"), ("other", "2")}
    assert heard == [others | {("ravdess", "3"), ("ravdess", "4")}, others | {("ravdess", "1"), ("ravdess", "2")}]
    assert found.fold.tolist() == [0, 0, 1, 1]
    assert found.evidence[0, :, 0].tolist() == [1, 1, 2, 2]


def test_right_evidence_gives_perfect_numbers() -> None:
    found = summary(answers(), seed=0)
    for state in ("alone", "in conversation"):
        assert all(found[state][name]["macro_recall"] == 1 for name in ("emotion", "polarity", "sign", "sign_without_zero"))
    assert found["alone"]["sign_without_zero"]["n"] == 28
    assert found["fairness"]["female_minus_male"]["sign_accuracy"] == 0
    assert found["fairness"]["female_minus_male"]["mean_score"] == pytest.approx(0, abs=1e-3)
    assert all(numbers["sign_changed"] == 0 for numbers in found["nuisances"].values())


def test_errors_for_an_actor_show_by_fold_sex_and_actor() -> None:
    found = summary(answers(wrong_for=2), seed=0)
    plain = found["alone"]["emotion"]["macro_recall_of_folds"]
    assert plain[0] < plain[1] == 1
    assert found["fairness"]["female_minus_male"]["emotion_accuracy"] == pytest.approx(-7 / 16)
    assert found["fairness"]["female_minus_male"]["mean_score"] < -0.1
    assert found["fairness"]["actor"]["2"]["share_called_negative"] == 1
    assert found["fairness"]["actor_min_max_sd"]["sign_accuracy"][:2] == [0.5, 1.0]
    assert found["confusion"]["happy"] == {
        **dict.fromkeys(("neutral", "calm", "sad", "fearful", "disgust", "surprised"), 0),
        "happy": 3,
        "angry": 1,
    }


def test_a_nuisance_that_changes_predictions_is_reported() -> None:
    found = summary(answers(nuisance_confuses=True), seed=0)["nuisances"]
    assert found[CONDITIONS[1]]["sign_changed"] == pytest.approx(28 / 32)
    assert found[CONDITIONS[1]]["sign_macro_recall"] == pytest.approx(1 / 3)
    assert found[CONDITIONS[2]]["sign_changed"] == 0
