"""The voice encoder on every actor of RAVDESS: each fold of actors is tested once, by a projection that never heard them.

The projection of a fold is fitted on all other actors, and on all other corpora. Nothing is chosen on the actors of a fold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from rich.progress import Progress

from research.voices.evidence import POLARITIES, SIGNS, VALENCES, emotion_probabilities, in_conversation, summed
from research.voices.nuisances import PLANTED
from stream.domain.features import Floats
from stream.domain.media_format import FEATURE_WIDTH, VOICE_WIDTH
from stream.training.corpora import VOICE_EMOTIONS, Voice
from stream.training.metrics import Classes, accuracy, f1_scores, macro_recall
from stream.training.voice import Samples, VoiceFeatures, VoiceRecipe, at_peak, audible_features, fit_projection, to_samples
from stream.training.voice_features import signature

CORPUS = "ravdess"
CONDITIONS = ("plain", *PLANTED)
SIGN_NAMES = ("negative", "zero", "positive")
PEAK_DBFS = -6.0


@dataclass(frozen=True, slots=True)
class PlantedFeatures:
    """Frozen features of n recordings under each of C `CONDITIONS`.

    Attributes:
        means: (C, n, 384) mean over the audible segments.
        audible: (C, n) number of these segments.
    """

    means: Floats
    audible: npt.NDArray[np.int64]

    @classmethod
    def kept(cls, file: Path, voices: Sequence[Voice], encoder: onnxruntime.InferenceSession, progress: Progress) -> PlantedFeatures:
        """Read from a file of this encoder, or encode the recordings, which takes minutes, and write the file."""
        own = signature(encoder)
        if file.is_file():
            with np.load(file) as stored:
                if int(stored["signature"]) == own:
                    return cls(stored["means"], stored["audible"])
        made = planted_features(voices, encoder, progress)
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, means=made.means, audible=made.audible, signature=own)
        return made


@dataclass(frozen=True, slots=True)
class FoldAnswers:
    """Evidence in n recordings under each of C `CONDITIONS`.

    Attributes:
        fold: (n,) index of the fold.
        actors: (n,) number of the speaker; men have odd numbers.
        emotions: (n,) the acted emotions.
        evidence: (C, n, VOICE_WIDTH), as if nothing were known of the speaker.
        audible: (C, n) number of audible segments.
    """

    fold: Classes
    actors: Classes
    emotions: Classes
    evidence: Floats
    audible: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Probabilities:
    """Probabilities of emotions (…, n, 8), and of polarities and signs (…, n, 3) by their sums."""

    emotion: Floats
    polarity: Floats
    sign: Floats

    @classmethod
    def of(cls, evidence: Floats) -> _Probabilities:
        emotions = emotion_probabilities(evidence)
        return cls(emotions, summed(emotions, POLARITIES), summed(emotions, SIGNS))

    def scores(self) -> Floats:
        """(…, n) expected valence, sum_k p_k v_k over the constants of the emotions."""
        scores: Floats = self.emotion @ np.asarray(VALENCES, dtype=np.float32)
        return scores


def actor_folds(actors: Sequence[int], folds: int) -> list[tuple[int, ...]]:
    """Split actors into folds of neighbouring numbers: men are odd and women even, so each fold has as many of both."""
    return [tuple(int(actor) for actor in part) for part in np.array_split(np.unique(actors), folds)]


def planted_features(voices: Sequence[Voice], encoder: onnxruntime.InferenceSession, progress: Progress) -> PlantedFeatures:
    """Encode recordings under all conditions; the noise depends only on the recording."""
    shape = (len(CONDITIONS), len(voices))
    means, audible = np.zeros((*shape, FEATURE_WIDTH), dtype=np.float32), np.zeros(shape, dtype=np.int64)
    for index, voice in enumerate(progress.track(voices, description="planted nuisances")):
        samples = at_peak(voice.samples(), PEAK_DBFS)
        for number, condition in enumerate(CONDITIONS):
            features, _ = audible_features(_under(condition, samples), encoder)
            audible[number, index] = len(features)
            means[number, index] = features.mean(axis=0, dtype=np.float32) if len(features) else 0.0
    return PlantedFeatures(means, audible)


def _under(condition: str, samples: Samples) -> Samples:
    if condition == "plain":
        return samples
    return to_samples(PLANTED[condition](samples.astype(np.float64), np.random.default_rng(samples.shape[0])))


def run_folds(
    voices: Sequence[Voice], features: VoiceFeatures, planted: PlantedFeatures, recipe: VoiceRecipe, parts: Sequence[tuple[int, ...]]
) -> FoldAnswers:
    """Test every fold of actors.

    Args:
        voices: The recordings of all corpora.
        features: Their features, for the training.
        planted: Features of those of RAVDESS, in the same order, for the test.
        recipe: Settings of the training.
        parts: The actors of each fold.
    """
    own = [voice for voice in voices if voice.corpus == CORPUS]
    actors = np.array([int(voice.speaker) for voice in own])
    fold, evidence = np.zeros(len(own), dtype=np.int64), np.zeros((len(CONDITIONS), len(own), VOICE_WIDTH), dtype=np.float32)
    for number, part in enumerate(parts):
        tested = {str(actor) for actor in part}
        others = [index for index, voice in enumerate(voices) if voice.corpus != CORPUS or voice.speaker not in tested]
        projection = fit_projection([voices[index] for index in others], features.of(others), recipe)
        chosen = np.isin(actors, part)
        fold[chosen] = number
        evidence[:, chosen] = projection(planted.means[:, chosen])
    return FoldAnswers(fold, actors, np.array([voice.emotion for voice in own]), evidence, planted.audible)


def summary(answers: FoldAnswers, seed: int) -> dict[str, Any]:
    """All metrics over all folds: plain recordings alone, and everything else in conversation (`in_conversation` with the seed)."""
    alone = _Probabilities.of(answers.evidence[0])
    speakers = answers.actors.astype(str).tolist()
    heard = zip(answers.evidence, answers.audible, strict=True)
    later = _Probabilities.of(np.stack([in_conversation(evidence, audible, speakers, seed) for evidence, audible in heard]))
    plain = _Probabilities(later.emotion[0], later.polarity[0], later.sign[0])
    emotion, sign = answers.emotions, np.asarray(SIGNS)[answers.emotions]
    named = plain.sign.argmax(axis=1)
    return {
        "alone": _all_classes(answers, alone),
        "in conversation": _all_classes(answers, plain),
        "confusion": confusion(plain.emotion.argmax(axis=1), emotion, VOICE_EMOTIONS),
        "sign_confusion": confusion(named, sign, SIGN_NAMES),
        "sign_by_emotion": {
            name: float((named == sign)[emotion == index].mean())
            for index, name in enumerate(VOICE_EMOTIONS)
            if bool((emotion == index).any())
        },
        "fairness": fairness(answers, plain),
        "nuisances": nuisances(answers, later),
    }


def fairness(answers: FoldAnswers, plain: _Probabilities) -> dict[str, Any]:
    """Accuracies and mean answers by sex and by actor.

    All actors recorded the same emotions equally often, so the mean valence should not depend on the speaker.
    """
    male = answers.actors % 2 == 1
    by_sex = {name: _group(answers, plain, chosen) for name, chosen in (("male", male), ("female", ~male)) if chosen.any()}
    by_actor = {str(actor): _group(answers, plain, answers.actors == actor) for actor in np.unique(answers.actors)}
    names = next(iter(by_actor.values()))
    spread = {name: [float(np.min(v)), float(np.max(v)), float(np.std(v))] for name in names if (v := [a[name] for a in by_actor.values()])}
    gap = {name: by_sex["female"][name] - by_sex["male"][name] for name in names} if len(by_sex) == 2 else {}
    return {"sex": by_sex, "female_minus_male": gap, "actor_min_max_sd": spread, "actor": by_actor}


def nuisances(answers: FoldAnswers, later: _Probabilities) -> dict[str, dict[str, float]]:
    """Changes of the answers to the same recordings under each nuisance, under which the whole conversation is."""
    emotion, sign = later.emotion.argmax(axis=-1), later.sign.argmax(axis=-1)
    scores, truth = later.scores(), answers.emotions
    return {
        condition: {
            "emotion_changed": float((emotion[index] != emotion[0]).mean()),
            "sign_changed": float((sign[index] != sign[0]).mean()),
            "sign_distance": float(np.abs(later.sign[index] - later.sign[0]).sum(axis=1).mean() / 2),
            "mean_score_shift": float((scores[index] - scores[0]).mean()),
            "emotion_macro_recall": macro_recall(emotion[index], truth),
            "sign_macro_recall": macro_recall(sign[index], np.asarray(SIGNS)[truth]),
        }
        for index, condition in enumerate(CONDITIONS)
    }


def confusion(predicted: Classes, truth: Classes, names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Counts by true class and predicted class."""
    return {
        real: {named: int(((truth == i) & (predicted == j)).sum()) for j, named in enumerate(names)}
        for i, real in enumerate(names)
        if bool((truth == i).any())
    }


def _all_classes(answers: FoldAnswers, given: _Probabilities) -> dict[str, dict[str, Any]]:
    sign = np.asarray(SIGNS)[answers.emotions]
    signed = sign != 1
    sure = np.where(given.sign[:, 2] > given.sign[:, 0], 2, 0)
    return {
        "emotion": _classes(given.emotion.argmax(axis=1), answers.emotions, answers.fold),
        "polarity": _classes(given.polarity.argmax(axis=1), np.asarray(POLARITIES)[answers.emotions], answers.fold),
        "sign": _classes(given.sign.argmax(axis=1), sign, answers.fold),
        "sign_without_zero": _classes(sure[signed], sign[signed], answers.fold[signed]),
    }


def _classes(predicted: Classes, truth: Classes, fold: Classes) -> dict[str, Any]:
    folds = [macro_recall(predicted[fold == number], truth[fold == number]) for number in np.unique(fold)]
    return {
        "macro_recall": macro_recall(predicted, truth),
        "macro_recall_of_folds": folds,
        "sd_of_folds": float(np.std(folds, ddof=1)) if len(folds) > 1 else 0.0,
        "accuracy": accuracy(predicted, truth),
        "macro_f1": f1_scores(predicted, truth)[0],
        "n": int(truth.shape[0]),
    }


def _group(answers: FoldAnswers, plain: _Probabilities, chosen: npt.NDArray[np.bool_]) -> dict[str, float]:
    emotion = answers.emotions[chosen]
    sign = plain.sign[chosen].argmax(axis=1)
    return {
        "emotion_accuracy": accuracy(plain.emotion[chosen].argmax(axis=1), emotion),
        "polarity_accuracy": accuracy(plain.polarity[chosen].argmax(axis=1), np.asarray(POLARITIES)[emotion]),
        "sign_accuracy": accuracy(sign, np.asarray(SIGNS)[emotion]),
        "mean_score": float(plain.scores()[chosen].mean()),
        "share_called_negative": float((sign == 0).mean()),
        "n": float(chosen.sum()),
    }
