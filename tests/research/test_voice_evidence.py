"""The evidence of a voice by itself: sums by polarity, conversations, and corpora that are left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from research.voices import evidence as evidence_module
from research.voices.evidence import POLARITIES, SIGNS, emotion_probabilities, in_conversation, left_out_measures, summed
from stream.domain.context import SPEAKER_WINDOWS
from stream.domain.media_format import FEATURE_WIDTH, VOICE_WIDTH
from stream.training.corpora import NEGATIVE, NEUTRAL, POSITIVE, VOICE_EMOTIONS, Part, Voice
from stream.training.voice import EMOTIONS, Projection, VoiceFeatures, VoiceRecipe


def test_calm_and_surprise_are_neutral_with_a_positive_sign() -> None:
    of = dict(zip(VOICE_EMOTIONS, zip(POLARITIES, SIGNS, strict=True), strict=True))
    assert of["calm"] == of["surprised"] == (NEUTRAL, 2)
    assert of["neutral"] == (NEUTRAL, 1)
    assert of["happy"] == (POSITIVE, 2)
    assert of["disgust"] == (NEGATIVE, 0)


def test_no_class_outweighs_the_others_by_the_number_of_its_emotions() -> None:
    nothing = emotion_probabilities(np.zeros((2, VOICE_WIDTH), dtype=np.float32))
    assert summed(nothing, POLARITIES) == pytest.approx(np.full((2, 3), 1 / 3))
    happy = np.zeros((1, VOICE_WIDTH), dtype=np.float32)
    happy[0, EMOTIONS.start + VOICE_EMOTIONS.index("happy")] = 3.0
    assert summed(emotion_probabilities(happy), SIGNS)[0].argmax() == 2


def test_a_speakers_earlier_recordings_are_taken_away_and_no_other_speakers() -> None:
    evidence = np.ones((12, VOICE_WIDTH), dtype=np.float32)
    evidence[11] = 50.0
    shifted = in_conversation(evidence, np.full(12, 100), [*("ann",) * 11, "bob"], seed=0)
    # 10 s a recording: t / (t + 60 s) of the mean, which is 1, over the earlier recordings, at most as many as the worker's windows.
    heard = [10.0 * min(number, SPEAKER_WINDOWS) for number in range(11)]
    assert sorted(shifted[:11, 0], reverse=True) == pytest.approx([1 - t / (t + 60) for t in heard])
    assert shifted[11] == pytest.approx(50.0)
    assert np.all(evidence[:11] == 1)


def test_a_corpus_is_measured_with_the_projection_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    voices = [
        Voice(Path("none.ogg"), corpus, "s", emotion, POLARITIES[emotion], 0.0, Part.TEST) for corpus in ("a", "b") for emotion in (2, 4)
    ]
    rows = np.random.default_rng(0).standard_normal((4, 5, FEATURE_WIDTH)).astype(np.float16)
    silent = np.zeros((0, FEATURE_WIDTH), dtype=np.float16)
    segments = [(own,) for own in rows]
    heard: list[list[str]] = []

    def fitted(chosen: list[Voice], features: VoiceFeatures, recipe: VoiceRecipe) -> Projection:
        heard.append([voice.corpus for voice in chosen])
        return Projection(np.ones((VOICE_WIDTH, FEATURE_WIDTH), dtype=np.float32), np.zeros(VOICE_WIDTH, dtype=np.float32))

    monkeypatch.setattr(evidence_module, "fit_projection", fitted)
    voices.append(voices[-1])
    features = VoiceFeatures((*segments, (silent,)), ((np.arange(5),),) * 5)
    found = left_out_measures(voices, features, VoiceRecipe(), seed=0)
    assert heard == [["b", "b", "b"], ["a", "a"]]
    assert found["b"]["alone"]["n"] == 2, "a recording without a voice is left out"
    assert set(found["a"]["in conversation"]) == set(found["a"]["alone"])
