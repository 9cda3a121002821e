"""Estimates what each word does to the score, so that few phrases have to be removed to find the strongest.

The effect of a phrase is what its removal does when the other words are encoded again. A ridge regression (Hoerl and Kennedy 1970) predicts
it from the states of the phrase's words; it is linear, so its weights are a few lines of the served graph.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import Progress

from stream.domain.context import CONTEXT_WINDOWS
from stream.domain.features import WIDTHS, Floats, Word
from stream.domain.inference import INPUT_NAMES, LABELS, NODE_TENSORS
from stream.domain.media_format import WORD_WIDTH
from stream.domain.modality import MODALITIES, Modality
from stream.explain.phrases import candidates, phrases
from stream.explain.rounding import rounded
from stream.explain.score_and_label import ScoreAndLabel
from stream.explain.word_effects import Truth, effects, truth
from stream.model.served import OUTPUT_NAMES, ServedMMCI
from stream.training.corpora import Utterance
from stream.training.excerpts import MOST_WORDS, Excerpt, cut, unpunctuated, whole
from stream.training.features import embed_text

WORD_MS, PAUSE_MS = 300, 50
"""Length of a word of a transcript without times, and of the pause after it."""

PENALTIES = (10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0)
"""Candidates for the penalty of the squared weights."""

FOLDS = 5
CANDIDATES = 4
"""Phrases that the worker removes by default."""

_BATCH = 64

Matrix = npt.NDArray[np.float64]


def excerpts_of(utterances: Sequence[Utterance], most: int, seed: int) -> list[Excerpt]:
    """Texts as the worker meets them: whole, without punctuation, and cut; at most `most` of each corpus.

    Args:
        utterances: Utterances of one part of the corpora.
        most: Most texts of each corpus.
        seed: Seed of the choice.
    """
    rng, chosen = random.Random(seed), []
    for corpus in dict.fromkeys(utterance.corpus for utterance in utterances):
        own = [utterance for utterance in utterances if utterance.corpus == corpus]
        shown = whole(own) + unpunctuated(own) + cut(own, seed)
        chosen += rng.sample(shown, min(most, len(shown)))
    return chosen


class TextEffects(NamedTuple):
    """A text as a window of its own, and what the model says without each of its phrases.

    Attributes:
        group: Video, dialogue or call of the text.
        states: (n, 384) states of its words.
        estimates: (n,) what the model itself estimates of each word; its relevance if the estimate is not fitted.
        whole: Score and label of the text.
        without: Score and label without each phrase; an empty text counts as no text.
    """

    group: str
    states: Floats
    estimates: Floats
    whole: ScoreAndLabel
    without: dict[range, ScoreAndLabel]


def measured_effects(served: ServedMMCI, excerpts: Sequence[Excerpt], weights: Path, progress: Progress) -> list[TextEffects]:
    """Remove every phrase of every text in turn, and encode and score the rest again, as the worker does.

    Args:
        served: The model.
        excerpts: Texts, with the words before them.
        weights: ONNX file of the text encoder.
        progress: Shows a progress bar.
    """
    spoken = [_spoken(excerpt.words) for excerpt in excerpts]
    removals = [(index, phrase) for index, words in enumerate(spoken) for phrase in phrases(words) if len(phrase) < len(words)]
    kept = [[place for place in range(len(spoken[index])) if place not in phrase] for index, phrase in removals]
    left = [
        replace(excerpts[index], words=tuple(spoken[index][place].text for place in places))
        for (index, _), places in zip(removals, kept, strict=True)
    ]
    states = [own.astype(np.float32) for own in embed_text([*excerpts, *left], weights, progress).states]
    nodes = [*spoken, *([spoken[index][place] for place in places] for (index, _), places in zip(removals, kept, strict=True))]
    answers = _answers(served, states, nodes)
    found = []
    for excerpt, words, own, answer in zip(excerpts, spoken, states[: len(spoken)], answers[: len(spoken)], strict=True):
        without = {phrase: answer.empty for phrase in phrases(words) if len(phrase) == len(words)}
        found.append(TextEffects(excerpt.utterance.group, own, answer.estimates, answer.alone, without))
    for (index, phrase), answer in zip(removals, answers[len(spoken) :], strict=True):
        found[index].without[phrase] = answer.alone
    return found


def fit_word_effects(served: ServedMMCI, texts: Sequence[TextEffects], seed: int) -> dict[str, float]:
    """Fit the estimate to training texts and set it in the model.

    The penalty is that with the least squared error in cross-validation over groups.

    Returns:
        The penalty, the number of phrases, and the share of the variance that the estimate explains in groups it has not seen.

    Raises:
        ValueError: No text has a phrase.
    """
    rows = [
        (text.group, np.append(text.states[phrase.start : phrase.stop].sum(axis=0), len(phrase)), effect)
        for text in texts
        for phrase, effect in effects(text.whole, text.without).items()
    ]
    if not rows:
        raise ValueError("no text has a phrase")
    sums, targets = np.array([row for _, row, _ in rows], np.float64), np.array([effect for *_, effect in rows], np.float64)
    groups = sorted({group for group, *_ in rows})
    random.Random(seed).shuffle(groups)
    fold_of = {group: place % FOLDS for place, group in enumerate(groups)}
    folds = np.array([fold_of[group] for group, *_ in rows])
    errors = {penalty: _held_out_error(sums, targets, folds, penalty) for penalty in PENALTIES}
    penalty = min(PENALTIES, key=lambda candidate: errors[candidate])
    served.word_ridge.copy_(torch.from_numpy(_ridge(sums, targets, penalty)))
    explained = 1.0 - errors[penalty] / max(float(targets.var()), 1e-9)
    return {"phrases": float(len(rows)), "penalty": penalty, "explained_variance": explained}


def truth_rate(texts: Sequence[TextEffects], most: int = CANDIDATES) -> dict[str, float | None]:
    """How often claims hold that rest on the removal of the `most` phrases with the largest estimates: a gate of a model's promotion.

    Returns:
        ``top`` and ``sign`` of `Truth.rates`, the number of ``windows`` with a phrase of effect, and the ``removals`` for each text.
    """
    found, removals = Truth(), 0
    for text in texts:
        tried = candidates(list(text.without), text.estimates, most)
        removals += len(tried)
        found = found.plus(truth(effects(text.whole, {p: text.without[p] for p in tried}), effects(text.whole, text.without)))
    return {**found.rates(), "windows": float(found.windows), "removals": removals / max(1, len(texts))}


class _Answer(NamedTuple):
    """The estimates of n words, score and label of a text alone, and those of no text."""

    estimates: Floats
    alone: ScoreAndLabel
    empty: ScoreAndLabel


def _spoken(words: Sequence[str]) -> list[Word]:
    """Words of a transcript one after the other, with times."""
    step = WORD_MS + PAUSE_MS
    return [Word(text, place * step, place * step + WORD_MS) for place, text in enumerate(words)]


def _answers(served: ServedMMCI, states: Sequence[Floats], nodes: Sequence[Sequence[Word]]) -> list[_Answer]:
    found = []
    for first in range(0, len(states), _BATCH):
        rows = list(zip(states[first : first + _BATCH], nodes[first : first + _BATCH], strict=True))
        with torch.no_grad():
            outputs = served(*map(torch.from_numpy, _tensors(rows).values()))
        answer = {name: output.numpy() for name, output in zip(OUTPUT_NAMES, outputs, strict=True)}
        for row, (_, words) in enumerate(rows):
            estimated = answer["word_effects"] if bool(served.word_ridge.any()) else answer["relevance"]
            scores, probabilities = answer["coalition_scores"][row], answer["coalition_probabilities"][row]
            alone, empty = (_labelled(float(scores[index]), probabilities[index]) for index in (Modality.TEXT.bit, 0))
            found.append(_Answer(estimated[row, : len(words)], alone, empty))
    return found


def _labelled(score: float, probabilities: Floats) -> ScoreAndLabel:
    return ScoreAndLabel(rounded(score), LABELS[int(probabilities.argmax())], probabilities)


def _tensors(rows: Sequence[tuple[Floats, Sequence[Word]]]) -> Mapping[str, Floats]:
    """Windows of words alone, without a context, in the order of `INPUT_NAMES`."""
    size = len(rows)
    found: dict[str, Floats] = {
        "past_mask": np.zeros((size, CONTEXT_WINDOWS, len(MODALITIES)), np.float32),
        "past_same": np.zeros((size, CONTEXT_WINDOWS), np.float32),
    }
    for modality, names in NODE_TENSORS.items():
        count = MOST_WORDS if modality is Modality.TEXT else 1
        found[names.values] = np.zeros((size, count, WIDTHS[modality]), np.float32)
        found[names.times] = np.zeros((size, count, 2), np.float32)
        found[names.mask] = np.zeros((size, count), np.float32)
        found[names.past] = np.zeros((size, CONTEXT_WINDOWS, WIDTHS[modality]), np.float32)
    for row, (states, words) in enumerate(rows):
        found["words"][row, : len(words)] = states
        found["word_times"][row, : len(words)] = np.array([(word.start_ms, word.end_ms) for word in words]) / 1_000.0
        found["word_mask"][row, : len(words)] = 1.0
    return {name: found[name] for name in INPUT_NAMES}


def _held_out_error(sums: Matrix, targets: Matrix, folds: npt.NDArray[np.int64], penalty: float) -> float:
    squared = [(sums[folds == f] @ _ridge(sums[folds != f], targets[folds != f], penalty) - targets[folds == f]) ** 2 for f in range(FOLDS)]
    return float(np.concatenate(squared).mean())


def _ridge(sums: Matrix, targets: Matrix, penalty: float) -> Matrix:
    """(385,) weights of a word's state and, last and without a penalty, what every word gets."""
    penalties = np.full(WORD_WIDTH + 1, penalty)
    penalties[-1] = 1e-3
    return np.asarray(np.linalg.solve(sums.T @ sums + np.diag(penalties), sums.T @ targets), np.float64)
