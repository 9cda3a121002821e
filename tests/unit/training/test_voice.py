"""The projection of the voice encoder: what it learns across corpora, and what it must not learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from rich.progress import Progress

from stream.domain.media_format import FEATURE_STEPS, FEATURE_WIDTH, VOICE_WIDTH
from stream.training import voice as voice_module
from stream.training.corpora import AROUSED, VOICE_EMOTIONS, Part, Voice, polarity_of_valence
from stream.training.export import export_projection
from stream.training.features import voice_pool
from stream.training.voice import (
    AROUSAL,
    EMOTIONS,
    POLARITIES,
    Projection,
    VoiceFeatures,
    VoiceRecipe,
    evidence_measures,
    fit_projection,
    held_out_projections,
    kept_features,
    recording_evidence,
)

RECIPE = VoiceRecipe(variants=2, shrinkage=0.01)
VALENCES = {"neutral": 0.0, "happy": 0.8, "sad": -0.6, "angry": -0.7}
DIRECTIONS = np.random.default_rng(9).standard_normal((len(VOICE_EMOTIONS), FEATURE_WIDTH))
"""In which direction of the frozen features each emotion moves a voice, whoever speaks."""


def speech(corpus: str, speakers: int, rng: np.random.Generator, part: Part = Part.TRAIN) -> tuple[list[Voice], VoiceFeatures]:
    """Recordings of speakers whose features differ more between speakers than between emotions."""
    voices, segments = [], []
    for speaker in range(speakers):
        own = 6.0 * rng.standard_normal(FEATURE_WIDTH)
        for name, valence in VALENCES.items():
            for _ in range(4):
                emotion = VOICE_EMOTIONS.index(name)
                voices.append(Voice(Path("none.ogg"), corpus, f"s{speaker}", emotion, polarity_of_valence(valence), valence, part))
                noise = rng.standard_normal((2, 12, FEATURE_WIDTH))
                segments.append(tuple((own + DIRECTIONS[emotion] + noise).astype(np.float16)))
    steps = np.arange(12)
    return voices, VoiceFeatures(tuple(segments), tuple((steps, steps) for _ in voices))


def together(*parts: tuple[list[Voice], VoiceFeatures]) -> tuple[list[Voice], VoiceFeatures]:
    voices = [voice for own, _ in parts for voice in own]
    return voices, VoiceFeatures(sum((f.segments for _, f in parts), ()), sum((f.steps for _, f in parts), ()))


def centred(voices: list[Voice], features: VoiceFeatures) -> VoiceFeatures:
    """The features without the mean of each speaker, as after a long conversation."""
    means = {
        name: np.mean([s for v, own in zip(voices, features.segments, strict=True) if v.speaker == name for s in own], axis=(0, 1))
        for name in {voice.speaker for voice in voices}
    }
    return replace(
        features,
        segments=tuple(
            tuple((s - means[v.speaker]).astype(np.float16) for s in own) for v, own in zip(voices, features.segments, strict=True)
        ),
    )


def test_evidence_holds_for_speakers_of_another_corpus() -> None:
    rng = np.random.default_rng(0)
    projection = fit_projection(*together(speech("first", 6, rng), speech("second", 6, rng)), RECIPE)
    voices, features = speech("third", 4, rng, Part.TEST)
    found = evidence_measures(voices, recording_evidence(centred(voices, features), projection))
    assert found["n"] == len(voices)
    for name in ("emotion", "polarity", "happy_negative", "arousal"):
        assert (found[name] or 0.0) > 0.9, name


def test_an_embedding_is_the_mean_evidence_of_its_segments() -> None:
    rng = np.random.default_rng(1)
    projection = fit_projection(*speech("first", 4, rng), RECIPE)
    assert projection.weight.shape == (VOICE_WIDTH, FEATURE_WIDTH)
    rows = rng.standard_normal((7, FEATURE_WIDTH)).astype(np.float32)
    assert projection(rows).mean(axis=0) == pytest.approx(projection(rows.mean(axis=0)), abs=1e-4)
    assert (POLARITIES.start, POLARITIES.stop, EMOTIONS.stop, AROUSAL) == (0, 3, 11, VOICE_WIDTH - 1)


def test_a_speaker_of_whom_nothing_is_known_is_the_mean_of_all_corpora() -> None:
    rng = np.random.default_rng(2)
    voices, features = together(speech("first", 6, rng), speech("second", 3, rng))
    projection = fit_projection(voices, features, RECIPE)
    means = [
        np.mean([s for v, own in zip(voices, features.segments, strict=True) if v.corpus == name for s in own], axis=(0, 1))
        for name in ("first", "second")
    ]
    assert projection(np.mean(means, axis=0)) == pytest.approx(np.zeros(VOICE_WIDTH), abs=1e-3)


def test_where_speakers_show_one_feeling_each_their_mean_is_kept() -> None:
    rng = np.random.default_rng(3)
    voices, features = speech("talks", 12, rng)
    # Every speaker shows one emotion: the speaker's mean is the emotion.
    names = list(VALENCES)
    kept = [index for index, voice in enumerate(voices) if VOICE_EMOTIONS[voice.emotion] == names[int(voice.speaker[1:]) % 4]]
    voices, features = [voices[index] for index in kept], features.of(kept)
    assert len({(voice.speaker, voice.emotion) for voice in voices}) == 12
    flat = fit_projection(voices, features, replace(RECIPE, confounded=()))
    own = fit_projection(voices, features, replace(RECIPE, confounded=("talks",)))
    assert np.abs(own.weight).sum() > 2 * np.abs(flat.weight).sum()


def test_a_corpus_is_projected_as_if_it_had_never_been_heard() -> None:
    rng = np.random.default_rng(4)
    voices, features = together(speech("first", 3, rng), speech("second", 3, rng))
    without = held_out_projections(voices, features, RECIPE)
    chosen = [index for index, voice in enumerate(voices) if voice.corpus == "second"]
    alone = fit_projection([voices[index] for index in chosen], features.of(chosen), RECIPE)
    assert np.array_equal(without["first"].weight, alone.weight)
    one, _ = voices[:48], features
    assert set(held_out_projections(one, features.of(range(48)), RECIPE)) == {"first"}


def test_the_recordings_of_the_pool_are_balanced_and_half_of_them_have_a_history() -> None:
    rng = np.random.default_rng(5)
    voices, features = together(speech("first", 8, rng), speech("second", 2, rng))
    same = Projection(rng.standard_normal((VOICE_WIDTH, FEATURE_WIDTH)).astype(np.float32), np.zeros(VOICE_WIDTH, np.float32))
    pool = voice_pool(voices, features, {"first": same, "second": same}, RECIPE, seed=0)
    for polarity in range(3):
        sums = [pool.weights[(pool.corpora == name) & (pool.polarities == polarity)].sum() for name in ("first", "second")]
        assert sums == pytest.approx([1.0, 1.0])
    pairs = [pair for own, given in zip(pool.embeddings, features.segments, strict=True) for pair in zip(own, given, strict=True)]
    moved = [not np.allclose(own, same(frozen)) for own, frozen in pairs]
    assert 0.35 < np.mean(moved) < 0.65
    aroused = np.array([AROUSED[voice.emotion] for voice in voices])
    assert np.array_equal(pool.aroused, aroused.astype(np.float32), equal_nan=True)


def test_an_exported_projection_is_read_back(tmp_path: Path) -> None:
    projection = fit_projection(*speech("first", 2, np.random.default_rng(6)), RECIPE)
    export_projection(projection.weight, projection.bias, tmp_path)
    again = Projection.load(tmp_path / "audio_encoder" / "projection.safetensors")
    assert np.array_equal(again.weight, projection.weight)
    assert np.array_equal(again.bias, projection.bias)


def encoder_of(value: float) -> onnxruntime.InferenceSession:
    """An encoder whose features are a constant."""

    class Constant:
        def run(self, _outputs: list[str], given: dict[str, npt.NDArray[np.float32]]) -> list[npt.NDArray[np.float32]]:
            return [np.full((len(given["log_mel"]), FEATURE_STEPS, FEATURE_WIDTH), value, np.float32)]

    return cast(onnxruntime.InferenceSession, Constant())


def test_kept_features_are_read_back_and_made_again_for_another_seed_or_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    voices, made = speech("first", 1, np.random.default_rng(7))
    silent, none = np.zeros((0, FEATURE_WIDTH), np.float16), np.zeros(0, np.int64)
    made = VoiceFeatures(((made.segments[0][0], silent), *made.segments[1:]), ((made.steps[0][0], none), *made.steps[1:]))
    seeds: list[int] = []

    def frozen(
        _voices: list[Voice], _encoder: object, *, variants: int, seed: int, progress: Progress, marked: object = None
    ) -> VoiceFeatures:
        seeds.append(seed)
        return made

    monkeypatch.setattr(voice_module, "frozen_features", frozen)
    file = tmp_path / "live" / "features.npz"
    with Progress(disable=True) as progress:
        for seed, encoder in ((0, encoder_of(1.0)), (0, encoder_of(1.0)), (1, encoder_of(1.0)), (1, encoder_of(2.0))):
            kept = kept_features(file, voices, encoder, variants=2, seed=seed, progress=progress)
            assert len(kept.segments) == len(kept.steps) == len(voices)
            for own, given in zip(kept.segments, made.segments, strict=True):
                assert all(np.array_equal(a, b) for a, b in zip(own, given, strict=True))
            for where, expected in zip(kept.steps, made.steps, strict=True):
                assert all(np.array_equal(a, b) for a, b in zip(where, expected, strict=True))
    assert seeds == [0, 1, 1]
