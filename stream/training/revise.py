"""Revise: MMCI is trained again on media in which a nuisance is independent of the label, and measured before and after.

Half of the raw media of the nuisance's modality, drawn without a look at their labels, get the mark at a random strength. Weights or
projections on stored features would not do: a nuisance such as hiss changes the features in many directions, and only in raw media can it
be put on. A nuisance that recordings carry by themselves is not taken out of them; its agreement with the label becomes less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rich.progress import Progress
from torch import Tensor

from stream.domain.modality import Modality
from stream.model.mmci import MMCI
from stream.model.served import FULL, ServedMMCI
from stream.nuisances.marks import AnyMark
from stream.training.corpora import Part, Voice
from stream.training.evaluate import Answers, evaluate, paired_answers
from stream.training.features import Pools, VoicePool, voice_pool
from stream.training.marked import Marking, carries, mixed, mixed_features
from stream.training.metrics import f1_scores
from stream.training.mmci import MMCIRecipe, Outcome, fit
from stream.training.recipe import PoolReader, Recipe, marked_pools, read_pools, read_voices
from stream.training.voice import Projection, VoiceFeatures, VoiceRecipe, fit_projection, held_out_projections, training_voices
from stream.training.word_direction import without_word, word_projection
from stream.training.word_effects import fit_word_effects, truth_rate

INDEPENDENT, AGREEING = 0.5, 0.95
"""Probability with which a positive item carries the mark, and any other does not."""

QUICK = Recipe(
    voice=VoiceRecipe(variants=1),
    mmci=MMCIRecipe(epochs=2, windows=4_000),
    most_voices=700,
    most_utterances=700,
    routine_utterances=300,
    pool_faces=1_200,
    word_texts=150,
)
"""A tenth of the media and a sixth of the steps, from the weights of the version before: for a first look, minutes."""

LEARNED = (Part.TRAIN, Part.VALIDATION)

GROUPS = ("speaker ", "actors ", "voice ")
"""Families of groups among the names of `stream.training.evaluate.evaluate`: lines by speaker, voices by sex and by corpus."""


@dataclass(frozen=True, slots=True)
class Recordings:
    """Recordings of all parts with their frozen features: as they are, with the mark at random strengths, and at its usual strength."""

    voices: list[Voice]
    plain: VoiceFeatures
    random: VoiceFeatures
    usual: VoiceFeatures


@dataclass(frozen=True, slots=True)
class Media:
    """Encoded media, in which a mark is put on those of its modality.

    Attributes:
        mark: The mark.
        recipe: Settings of the training.
        reader: Reads the corpora without the mark.
        plain: Pools of all parts without the mark.
        random: Those of training and validation with it on every item, at random strengths; for a mark on words or faces.
        usual: The test pools with it on every item, at its usual strength; for a mark on words or faces.
        recordings: For a mark on sound.
    """

    mark: AnyMark
    recipe: Recipe
    reader: PoolReader
    plain: Mapping[Part, Pools]
    random: Mapping[Part, Pools]
    usual: Pools | None
    recordings: Recordings | None

    @classmethod
    def read(  # noqa: PLR0917 - its callers read well
        cls,
        data: Path,
        repository: Path,
        recipe: Recipe,
        mark: AnyMark,
        seed: int,
        kept: Path,
        progress: Progress,
        parts: Sequence[Part] = tuple(Part),
    ) -> Media:
        """Encode parts of the corpora with the encoders of a repository. Raises `FileNotFoundError` if a corpus is missing."""
        torch.set_num_threads(1)
        plain = read_pools(data, repository, recipe, seed, progress, parts=parts, kept=kept)
        reader = PoolReader(data, repository, recipe, seed, progress)
        strengths = (Marking(mark, None, seed), Marking(mark, mark.usual, seed))
        if mark.modality is Modality.AUDIO:
            read = partial(read_voices, data, recipe, seed, progress, kept=kept)
            voices, features = read()
            marked = (read(marking=marking)[1] for marking in strengths)
            return cls(mark, recipe, reader, plain, {}, None, Recordings(voices, features, *marked))
        random, usual = (replace(reader, marking=marking) for marking in strengths)
        learned: dict[Part, Pools] = {part: pools for part, pools in plain.items() if part is not Part.TEST}
        tested = marked_pools({Part.TEST: plain[Part.TEST]}, usual, kept)[Part.TEST]
        return cls(mark, recipe, reader, plain, marked_pools(learned, random, kept), tested, None)

    def tested(self, projection: Projection | None, seed: int) -> tuple[Pools, Pools]:
        """The test pools without the mark and with it; for a mark on sound with voices as a projection reads them."""
        plain = replace(self.plain[Part.TEST], cut_text={})
        if self.recordings is None or projection is None:
            return plain, self.usual or plain
        names = dict.fromkeys((voice.corpus for voice in self.recordings.voices), projection)
        own = (self.recordings.plain, self.recordings.usual)
        first, second = (_voice_pool(self.recordings.voices, features, Part.TEST, names, self.recipe, seed) for features in own)
        return replace(plain, voice=first), replace(plain, voice=second)


class Revised(NamedTuple):
    """The network, and the projection of voices if the mark is one of sound."""

    outcome: Outcome
    projection: Projection | None


def revised(
    media: Media,
    seed: int,
    progress: Progress,
    initial: ServedMMCI | None = None,
    penalty: Callable[[MMCI], Tensor] | None = None,
) -> Revised:
    """Train on media that carry the mark independently of the label: the network and, for a mark on sound, the projection of voices first.

    Of a voice the network reads three numbers of evidence, in which noise cannot be told from other voices: it is the projection, which
    reads 384 features, that can learn it. The network starts from the weights of `initial`, if given. The `penalty`, as of
    verdicts, is added to its loss.
    """
    projection = None
    if media.recordings is not None:
        known, recipe = media.recordings, media.recipe
        chosen = carries(np.array([voice.polarity for voice in known.voices]), INDEPENDENT, np.random.default_rng(seed))
        features = mixed_features(known.plain, known.random, chosen)
        projection = fit_projection(*training_voices(known.voices, features), recipe.voice)
        held_out = held_out_projections(known.voices, features, recipe.voice)
        pools = {
            part: replace(media.plain[part], voice=_voice_pool(known.voices, features, part, held_out, recipe, seed)) for part in LEARNED
        }
    else:
        pools = {part: mixed(media.plain[part], media.random[part], media.mark.modality, INDEPENDENT, seed) for part in LEARNED}
    outcome = fit(pools[Part.TRAIN], pools[Part.VALIDATION], media.recipe.mmci, seed, progress, initial, penalty)
    fit_word_effects(outcome.served, media.reader.removals(outcome.served, Part.TRAIN), seed)
    return Revised(outcome, projection)


def _voice_pool(  # noqa: PLR0917 - as `voice_pool`
    voices: list[Voice], features: VoiceFeatures, part: Part, projections: Mapping[str, Projection], recipe: Recipe, seed: int
) -> VoicePool:
    own = [index for index, voice in enumerate(voices) if voice.part is part]
    return voice_pool([voices[index] for index in own], features.of(own), projections, recipe.voice, seed)


def projected(served: ServedMMCI, reader: PoolReader, mark: AnyMark) -> ServedMMCI:
    """The network behind a projection that takes a word out, from the validation texts without the word and with it.

    Raises `NoDirectionError`.
    """
    plain, marked = (own.text(Part.VALIDATION).states for own in (reader, replace(reader, marking=Marking(mark, mark.usual))))
    return without_word(served, word_projection(plain, marked))


def conditions(served: ServedMMCI, projection: Projection | None, media: Media, seed: int) -> dict[str, dict[str, float]]:
    """Test windows with all modalities: clean, all with the mark, with it as `AGREEING` says, and flipped.

    Returns ``accuracy``, ``macro_f1``, ``mosi_mae`` and ``worst_group``, the least recall of a label, of each condition.
    """
    plain, marked = media.tested(projection, seed)
    modality = media.mark.modality
    pools = {"clean": plain, "attacked": marked}
    pools |= {name: mixed(plain, marked, modality, share, seed) for name, share in (("agreeing", AGREEING), ("flipped", 1 - AGREEING))}
    return {name: _numbers(paired_answers(served, own)) for name, own in pools.items()}


def groups(served: ServedMMCI, projection: Projection | None, media: Media, seed: int) -> dict[str, tuple[float, int]]:
    """Accuracy of groups of speakers on clean test media, one modality alone, and their sizes; by the names of `evaluate`."""
    results = evaluate(served, media.tested(projection, seed)[0])
    return {name: (numbers["accuracy"], round(numbers["n"])) for name, numbers in results.items() if name.startswith(GROUPS)}


def word_truth(served: ServedMMCI, media: Media) -> dict[str, float | None]:
    """Rates ``top`` and ``sign`` of claims on words that hold, on test texts: those that the worker would publish."""
    rates = truth_rate(media.reader.removals(served, Part.TEST))
    return {name: rates[name] for name in ("top", "sign")}


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
