"""Revise: MMCI is trained again on media in which a nuisance is independent of the label, and measured before and after.

Half of the raw media of the nuisance's modality, drawn without a look at their labels, get the mark at a random strength. Weights or
projections on stored features would not do: a nuisance such as hiss changes the features in many directions, and only in raw media can it
be put on. A nuisance that recordings carry by themselves is not taken out of them; its agreement with the label becomes less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from rich.progress import Progress

from stream.model.served import FULL, ServedMMCI
from stream.nuisances.marks import AnyMark
from stream.training.corpora import Part
from stream.training.evaluate import Answers, evaluate, paired_answers
from stream.training.features import Pools
from stream.training.marked import Marking, mixed
from stream.training.metrics import f1_scores
from stream.training.mmci import MMCIRecipe, Outcome, fit
from stream.training.recipe import PoolReader, Recipe, marked_pools, read_pools
from stream.training.voice import VoiceRecipe

INDEPENDENT, AGREEING = 0.5, 0.95
"""Probability with which a positive item carries the mark, and any other does not."""

QUICK = Recipe(
    voice=VoiceRecipe(variants=1),
    mmci=MMCIRecipe(epochs=4, windows=4_000),
    most_voices=700,
    most_utterances=700,
    routine_utterances=300,
    pool_faces=1_200,
)
"""A tenth of the media and a third of the steps: for a first look, a minute on a free core. Its models are less accurate."""

GROUPS = ("speaker ", "actors ", "voice ")
"""Families of groups among the names of `stream.training.evaluate.evaluate`: lines by speaker, voices by sex and by corpus."""


@dataclass(frozen=True, slots=True)
class Media:
    """Encoded media of all parts, without the mark; with it at random strengths; and test media with it at its usual strength."""

    mark: AnyMark
    plain: Mapping[Part, Pools]
    random: Mapping[Part, Pools]
    usual: Pools

    @classmethod
    def read(cls, data: Path, repository: Path, recipe: Recipe, mark: AnyMark, seed: int, kept: Path, progress: Progress) -> Media:  # noqa: PLR0917
        """Encode the corpora with the encoders of a repository. Raises `FileNotFoundError` if a corpus is missing."""
        torch.set_num_threads(1)
        plain = read_pools(data, repository, recipe, seed, progress, kept=kept)
        learned: dict[Part, Pools] = {part: pools for part, pools in plain.items() if part is not Part.TEST}
        random = marked_pools(learned, PoolReader(data, repository, recipe, seed, progress, Marking(mark, None, seed)), kept)
        reader = PoolReader(data, repository, recipe, seed, progress, Marking(mark, mark.usual, seed))
        return cls(mark, plain, random, marked_pools({Part.TEST: plain[Part.TEST]}, reader, kept)[Part.TEST])


def revised(media: Media, recipe: MMCIRecipe, seed: int, progress: Progress) -> Outcome:
    """Train MMCI on media that carry the mark independently of the label."""
    pools = {part: mixed(media.plain[part], own, media.mark.modality, INDEPENDENT, seed) for part, own in media.random.items()}
    return fit(pools[Part.TRAIN], pools[Part.VALIDATION], recipe, seed, progress)


def conditions(served: ServedMMCI, media: Media, seed: int) -> dict[str, dict[str, float]]:
    """Test windows with all modalities: clean, all with the mark, with it as `AGREEING` says, and flipped.

    Returns ``accuracy``, ``macro_f1``, ``mosi_mae`` and ``worst_group``, the least recall of a label, of each condition.
    """
    plain, modality = replace(media.plain[Part.TEST], cut_text={}), media.mark.modality
    pools = {"clean": plain, "attacked": media.usual}
    pools |= {name: mixed(plain, media.usual, modality, share, seed) for name, share in (("agreeing", AGREEING), ("flipped", 1 - AGREEING))}
    return {name: _numbers(paired_answers(served, own)) for name, own in pools.items()}


def groups(served: ServedMMCI, media: Media) -> dict[str, tuple[float, int]]:
    """Accuracy of groups of speakers on clean test media, one modality alone, and their sizes; by the names of `evaluate`."""
    results = evaluate(served, replace(media.plain[Part.TEST], cut_text={}))
    return {name: (numbers["accuracy"], round(numbers["n"])) for name, numbers in results.items() if name.startswith(GROUPS)}


def _numbers(answers: Answers) -> dict[str, float]:
    predicted, truth = answers.probabilities[:, FULL].argmax(axis=1), answers.polarity
    annotated = ~np.isnan(answers.wanted_score)
    error = np.abs(answers.scores[annotated, FULL] - answers.wanted_score[annotated])
    return {
        "accuracy": float((predicted == truth).mean()),
        "macro_f1": f1_scores(predicted, truth)[0],
        "mosi_mae": float(error.mean()) if annotated.any() else 0.0,
        "worst_group": min(float((predicted[truth == label] == label).mean()) for label in np.unique(truth)),
    }
