"""The audio encoder on every actor: each fold of actors is tested once, by a network that was not trained on them.

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
class FoldAnswers:
    """Answers to n recordings under each of C `CONDITIONS`.

    Attributes:
        fold: (n,) index of the fold.
        actors: (n,) number of the speaker.
        male: (n,) bool; male actors of RAVDESS have odd numbers.
        emotions: (C, n, 8) probabilities.
        polarities: (C, n, 3) probabilities.
        signs: (C, n, 3) probabilities of the valence's sign.
        truth: (n, 3) classes: emotion, polarity, sign.
        valences: (n,) valence constants.
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
    def load(cls, path: Path) -> FoldAnswers:
        """Read what `save` wrote."""
        with np.load(path) as stored:
            return cls(**{name: stored[name] for name in cls.__slots__})

    @classmethod
    def together(cls, parts: Sequence[FoldAnswers]) -> FoldAnswers:
        """Concatenate several folds."""
        axis = {"emotions": 1, "polarities": 1, "signs": 1}
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts], axis=axis.get(name, 0)) for name in cls.__slots__})


def actor_folds(actors: Sequence[int], folds: int) -> list[tuple[int, ...]]:
    """Split actors into folds of neighbouring numbers: men are odd and women even, so each fold has as many of both."""
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
) -> FoldAnswers:
    """Train on all other actors, then classify the recordings of the tested actors under every condition."""
    others = [index for index, voice in enumerate(voices) if voice.actor not in tested]
    trained = VoiceVariants(variants.mel[others], variants.audible[others])
    model, _ = train_voice([voices[index] for index in others], trained, (), recipe, seed=fold, progress=progress, state=state)
    own = [voice for voice in voices if voice.actor in tested]
    answers = [predict(model, [recorded_under(voice, condition) for voice in own]) for condition in CONDITIONS]
    truth = Truth.of(own)
    return FoldAnswers(
        fold=np.full(len(own), fold),
        actors=np.array([voice.actor for voice in own]),
        male=np.array([voice.actor % 2 == 1 for voice in own]),
        emotions=np.stack([answer.emotions for answer in answers]),
        polarities=np.stack([answer.polarities for answer in answers]),
        signs=np.stack([answer.signs for answer in answers]),
        truth=np.stack([truth.emotions.numpy(), truth.polarities.numpy(), truth.signs.numpy()], axis=1),
        valences=np.array([voice.valence for voice in own], dtype=np.float32),
    )


def recorded_under(voice: Voice, condition: str) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Blocks of a recording under one of `CONDITIONS`; the noise depends only on the recording."""
    samples = at_peak(voice.samples, PEAK_DBFS)
    if condition != "plain":
        samples = to_samples(PLANTED[condition](samples.astype(np.float64), np.random.default_rng(samples.shape[0])))
    return blocks_of(samples)


def summary(answers: FoldAnswers) -> dict[str, Any]:
    """All metrics over all folds."""
    emotion, polarity, sign = answers.truth.T
    signed = sign != 1
    named = _named(answers, 0)
    sure = np.where(answers.signs[0, :, 2] > answers.signs[0, :, 0], 2, 0)
    return {
        "emotion": _classes(answers, named["emotion"], emotion) | {"confusion": confusion(named["emotion"], emotion, VOICE_EMOTIONS)},
        "polarity": _classes(answers, named["polarity"], polarity),
        "sign": _classes(answers, named["sign"], sign) | {"confusion": confusion(named["sign"], sign, SIGNS)},
        "sign_without_zero": {
            "macro_recall": macro_recall(sure[signed], sign[signed]),
            "accuracy": accuracy(sure[signed], sign[signed]),
            "n": int(signed.sum()),
        },
        "sign_by_emotion": {
            name: round(float((named["sign"] == sign)[emotion == index].mean()), 4)
            for index, name in enumerate(VOICE_EMOTIONS)
            if bool((emotion == index).any())
        },
        "fairness": fairness(answers),
        "nuisances": nuisances(answers),
    }


def fairness(answers: FoldAnswers) -> dict[str, Any]:
    """Accuracies and mean answers by sex and by actor.

    The score is the expected valence, sum_k p_k v_k over the constants of the emotions. All actors recorded the same emotions
    equally often, so its mean should not depend on the speaker.
    """
    by_sex = {
        name: _group(answers, answers.male == male) for name, male in (("male", True), ("female", False)) if (answers.male == male).any()
    }
    by_actor = {str(actor): _group(answers, answers.actors == actor) for actor in np.unique(answers.actors)}
    names = next(iter(by_actor.values()))
    spread = {name: [float(np.min(v)), float(np.max(v)), float(np.std(v))] for name in names if (v := [a[name] for a in by_actor.values()])}
    gap = {name: by_sex["female"][name] - by_sex["male"][name] for name in names} if len(by_sex) == 2 else {}
    return {"sex": by_sex, "female_minus_male": gap, "actor_min_max_sd": spread, "actor": by_actor}


def nuisances(answers: FoldAnswers) -> dict[str, dict[str, float]]:
    """Changes of the answers to the same recordings under each nuisance."""
    plain = _named(answers, 0)
    emotion, _, sign = answers.truth.T
    found = {}
    for index, condition in enumerate(CONDITIONS):
        named = _named(answers, index)
        found[condition] = {
            "emotion_changed": float((named["emotion"] != plain["emotion"]).mean()),
            "sign_changed": float((named["sign"] != plain["sign"]).mean()),
            "sign_distance": float(np.abs(answers.signs[index] - answers.signs[0]).sum(axis=1).mean() / 2),
            "mean_score_shift": float((_scores(answers, index) - _scores(answers, 0)).mean()),
            "emotion_macro_recall": macro_recall(named["emotion"], emotion),
            "sign_macro_recall": macro_recall(named["sign"], sign),
        }
    return found


def confusion(predicted: Classes, truth: Classes, names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Counts by true class and predicted class."""
    return {
        real: {named: int(((truth == i) & (predicted == j)).sum()) for j, named in enumerate(names)}
        for i, real in enumerate(names)
        if bool((truth == i).any())
    }


def _classes(answers: FoldAnswers, predicted: Classes, truth: Classes) -> dict[str, Any]:
    folds = [macro_recall(predicted[answers.fold == fold], truth[answers.fold == fold]) for fold in np.unique(answers.fold)]
    return {
        "macro_recall": macro_recall(predicted, truth),
        "macro_recall_of_folds": folds,
        "sd_of_folds": float(np.std(folds, ddof=1)) if len(folds) > 1 else 0.0,
        "accuracy": accuracy(predicted, truth),
        "macro_f1": f1_scores(predicted, truth)[0],
        "n": int(truth.shape[0]),
    }


def _group(answers: FoldAnswers, chosen: npt.NDArray[np.bool_]) -> dict[str, float]:
    named = _named(answers, 0)
    emotion, polarity, sign = answers.truth.T
    answered = {
        "emotion_accuracy": accuracy(named["emotion"][chosen], emotion[chosen]),
        "polarity_accuracy": accuracy(named["polarity"][chosen], polarity[chosen]),
        "sign_accuracy": accuracy(named["sign"][chosen], sign[chosen]),
        "mean_score": float(_scores(answers, 0)[chosen].mean()),
        "share_called_negative": float((named["sign"][chosen] == 0).mean()),
    }
    return answered | {"n": float(chosen.sum())}


def _named(answers: FoldAnswers, condition: int) -> dict[str, Classes]:
    kinds = {"emotion": answers.emotions, "polarity": answers.polarities, "sign": answers.signs}
    return {name: probabilities[condition].argmax(axis=1) for name, probabilities in kinds.items()}


def _scores(answers: FoldAnswers, condition: int) -> Floats:
    """(n,) expected valence under a condition."""
    constants = np.array([_constant(answers, emotion) for emotion in range(len(VOICE_EMOTIONS))], dtype=np.float32)
    scores: Floats = answers.emotions[condition] @ constants
    return scores


def _constant(answers: FoldAnswers, emotion: int) -> float:
    own = answers.valences[answers.truth[:, 0] == emotion]
    return float(own[0]) if own.size else 0.0
