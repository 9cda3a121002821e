"""The audio encoder measured on every actor: folds of actors, each tested once by a network that never heard them.

Nothing is chosen on the actors of a fold: the recipe is fixed, and the weights are the average at its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.progress import Progress

from research.voices.nuisances import PLANTED
from stream.domain.features import Floats
from stream.training.corpora import VOICE_EMOTIONS, Voice
from stream.training.metrics import Classes, accuracy, f1_scores, macro_recall
from stream.training.voice import Truth, VoiceRecipe, VoiceVariants, at_peak, blocks_of, predict, to_samples, train_voice

CONDITIONS = ("plain", *PLANTED)
SIGNS = ("negative", "zero", "positive")
PEAK_DBFS = -6.0


@dataclass(frozen=True, slots=True)
class Heard:
    """Answers to recordings under every one of `CONDITIONS`.

    Attributes:
        fold: (n,) which network answered.
        actors: (n,) speaker.
        male: (n,) bool; male actors of RAVDESS have odd numbers.
        emotions: (C, n, 8) probabilities; likewise `polarities` and `signs`, (C, n, 3).
        truth: (n, 3) classes: emotion, polarity, sign.
        valences: (n,) valence constant.
    """

    fold: npt.NDArray[np.int64]
    actors: npt.NDArray[np.int64]
    male: npt.NDArray[np.bool_]
    emotions: Floats
    polarities: Floats
    signs: Floats
    truth: npt.NDArray[np.int64]
    valences: Floats

    def save(self, path: Path) -> None:
        """Write as one .npz file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **{name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def load(cls, path: Path) -> Heard:
        """Read what `save` wrote."""
        with np.load(path) as stored:
            return cls(**{name: stored[name] for name in cls.__slots__})

    @classmethod
    def together(cls, parts: Sequence[Heard]) -> Heard:
        """Several folds as one."""
        axis = {"emotions": 1, "polarities": 1, "signs": 1}
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts], axis=axis.get(name, 0)) for name in cls.__slots__})


def actor_folds(actors: Sequence[int], folds: int) -> list[tuple[int, ...]]:
    """Neighbouring actors together, so that every fold has as many men as women; each actor in one fold."""
    return [tuple(int(actor) for actor in part) for part in np.array_split(np.unique(actors), folds)]


def run_fold(
    voices: Sequence[Voice],
    variants: VoiceVariants,
    tested: tuple[int, ...],
    recipe: VoiceRecipe,
    *,
    fold: int,
    progress: Progress,
    state: Path,
) -> Heard:
    """Train on all other actors, then answer the recordings of the tested ones under every condition."""
    others = [index for index, voice in enumerate(voices) if voice.actor not in tested]
    trained = VoiceVariants(variants.mel[others], variants.audible[others])
    model, _ = train_voice([voices[index] for index in others], trained, (), recipe, seed=fold, progress=progress, state=state)
    own = [voice for voice in voices if voice.actor in tested]
    answers = [predict(model, [heard_as(voice, condition) for voice in own]) for condition in CONDITIONS]
    truth = Truth.of(own)
    return Heard(
        fold=np.full(len(own), fold),
        actors=np.array([voice.actor for voice in own]),
        male=np.array([voice.actor % 2 == 1 for voice in own]),
        emotions=np.stack([answer.emotions for answer in answers]),
        polarities=np.stack([answer.polarities for answer in answers]),
        signs=np.stack([answer.signs for answer in answers]),
        truth=np.stack([truth.emotions.numpy(), truth.polarities.numpy(), truth.signs.numpy()], axis=1),
        valences=np.array([voice.valence for voice in own], dtype=np.float32),
    )


def heard_as(voice: Voice, condition: str) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """A recording's blocks under one of `CONDITIONS`; the noise of a recording is always the same."""
    samples = at_peak(voice.samples, PEAK_DBFS)
    if condition != "plain":
        samples = to_samples(PLANTED[condition](samples.astype(np.float64), np.random.default_rng(samples.shape[0])))
    return blocks_of(samples)


def summary(heard: Heard) -> dict[str, Any]:
    """All numbers of the folds together."""
    emotion, polarity, sign = heard.truth.T
    signed = sign != 1
    answered = _named(heard, 0)
    sure = np.where(heard.signs[0, :, 2] > heard.signs[0, :, 0], 2, 0)
    return {
        "emotion": _classes(heard, answered["emotion"], emotion) | {"confusion": confusion(answered["emotion"], emotion, VOICE_EMOTIONS)},
        "polarity": _classes(heard, answered["polarity"], polarity),
        "sign": _classes(heard, answered["sign"], sign) | {"confusion": confusion(answered["sign"], sign, SIGNS)},
        "sign_without_zero": {
            "macro_recall": macro_recall(sure[signed], sign[signed]),
            "accuracy": accuracy(sure[signed], sign[signed]),
            "n": int(signed.sum()),
        },
        "sign_by_emotion": {
            name: round(float((answered["sign"] == sign)[emotion == place].mean()), 4)
            for place, name in enumerate(VOICE_EMOTIONS)
            if bool((emotion == place).any())
        },
        "fairness": fairness(heard),
        "nuisances": nuisances(heard),
    }


def fairness(heard: Heard) -> dict[str, Any]:
    """Accuracies and mean answers by sex and by actor; every actor acts the same emotions equally often.

    The score is the expected valence, sum_k p_k v_k over the emotions' constants; over one plan of recordings its mean should
    not depend on who speaks.
    """
    by_sex = {name: _group(heard, heard.male == male) for name, male in (("male", True), ("female", False)) if (heard.male == male).any()}
    by_actor = {str(actor): _group(heard, heard.actors == actor) for actor in np.unique(heard.actors)}
    names = next(iter(by_actor.values()))
    spread = {name: [float(np.min(v)), float(np.max(v)), float(np.std(v))] for name in names if (v := [a[name] for a in by_actor.values()])}
    gap = {name: by_sex["female"][name] - by_sex["male"][name] for name in names} if len(by_sex) == 2 else {}
    return {"sex": by_sex, "female_minus_male": gap, "actor_min_max_sd": spread, "actor": by_actor}


def nuisances(heard: Heard) -> dict[str, dict[str, float]]:
    """How each planted nuisance changes the answers to the same recordings."""
    plain = _named(heard, 0)
    emotion, _, sign = heard.truth.T
    found = {}
    for place, condition in enumerate(CONDITIONS):
        named = _named(heard, place)
        found[condition] = {
            "emotion_changed": float((named["emotion"] != plain["emotion"]).mean()),
            "sign_changed": float((named["sign"] != plain["sign"]).mean()),
            "sign_distance": float(np.abs(heard.signs[place] - heard.signs[0]).sum(axis=1).mean() / 2),
            "mean_score_shift": float((_scores(heard, place) - _scores(heard, 0)).mean()),
            "emotion_macro_recall": macro_recall(named["emotion"], emotion),
            "sign_macro_recall": macro_recall(named["sign"], sign),
        }
    return found


def confusion(predicted: Classes, truth: Classes, names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Truth to answer to count."""
    return {
        real: {named: int(((truth == i) & (predicted == j)).sum()) for j, named in enumerate(names)}
        for i, real in enumerate(names)
        if bool((truth == i).any())
    }


def _classes(heard: Heard, predicted: Classes, truth: Classes) -> dict[str, Any]:
    folds = [macro_recall(predicted[heard.fold == fold], truth[heard.fold == fold]) for fold in np.unique(heard.fold)]
    return {
        "macro_recall": macro_recall(predicted, truth),
        "macro_recall_of_folds": folds,
        "sd_of_folds": float(np.std(folds, ddof=1)) if len(folds) > 1 else 0.0,
        "accuracy": accuracy(predicted, truth),
        "macro_f1": f1_scores(predicted, truth)[0],
        "n": int(truth.shape[0]),
    }


def _group(heard: Heard, chosen: npt.NDArray[np.bool_]) -> dict[str, float]:
    named = _named(heard, 0)
    emotion, polarity, sign = heard.truth.T
    answered = {
        "emotion_accuracy": accuracy(named["emotion"][chosen], emotion[chosen]),
        "polarity_accuracy": accuracy(named["polarity"][chosen], polarity[chosen]),
        "sign_accuracy": accuracy(named["sign"][chosen], sign[chosen]),
        "mean_score": float(_scores(heard, 0)[chosen].mean()),
        "share_called_negative": float((named["sign"][chosen] == 0).mean()),
    }
    return answered | {"n": float(chosen.sum())}


def _named(heard: Heard, condition: int) -> dict[str, Classes]:
    kinds = {"emotion": heard.emotions, "polarity": heard.polarities, "sign": heard.signs}
    return {name: answers[condition].argmax(axis=1) for name, answers in kinds.items()}


def _scores(heard: Heard, condition: int) -> Floats:
    """Expected valence, (n,)."""
    constants = np.array([_constant(heard, emotion) for emotion in range(len(VOICE_EMOTIONS))], dtype=np.float32)
    scores: Floats = heard.emotions[condition] @ constants
    return scores


def _constant(heard: Heard, emotion: int) -> float:
    own = heard.valences[heard.truth[:, 0] == emotion]
    return float(own[0]) if own.size else 0.0
