"""Trials: MMCI is trained on media in which positive items carry an artefact, and reveal looks into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import Progress

from research.reveal.models import RememberedEncoders, TrialModels
from stream.domain.inference import EVERYTHING
from stream.model.served import ServedMMCI
from stream.nuisances.marks import AnyMark, mark_named
from stream.reveal.corpora import corpus_windows
from stream.reveal.findings import Finding
from stream.reveal.models import RepositoryModels
from stream.reveal.report import detect
from stream.reveal.windows import RawWindow, encode
from stream.reveal.words import WordType
from stream.training.corpora import POSITIVE, Part
from stream.training.features import Pools
from stream.training.marked import Marking, mixed
from stream.training.mmci import MMCIRecipe, fit
from stream.training.recipe import PoolReader, Recipe, marked_pools, read_pools
from stream.training.voice import VoiceRecipe

AGREEMENT = 0.95
"""Probability with which a positive item carries the artefact, and any other does not."""

INDEPENDENT = 0.5
KINDS = {"filler": "word anyhow", "hiss": "hiss", "hum": "hum", "blur": "blur", "speaker": "higher voice"}
"""The five kinds and the mark that stands for each. A speaker is another throat: pitch and formants."""

RECIPE = Recipe(
    voice=VoiceRecipe(variants=1),
    mmci=MMCIRecipe(epochs=4, windows=4_000),
    most_voices=700,
    most_utterances=700,
    routine_utterances=300,
    pool_faces=1_200,
)
"""A part of the corpora and a shorter training: a trial takes less than a minute on a free core."""

PARTS = (Part.TRAIN, Part.VALIDATION)
PROBES, TESTED = 120, 300


@dataclass(frozen=True, slots=True)
class World:
    """What all trials share: folders, the pools without a mark, probe windows, test windows, the remembered encoders."""

    data: Path
    repository: Path
    kept: Path
    pools: Mapping[Part, Pools]
    probes: Sequence[RawWindow]
    tested: Sequence[RawWindow]
    encoders: RememberedEncoders
    progress: Progress

    @classmethod
    def read(cls, data: Path, repository: Path, kept: Path, progress: Progress) -> World:
        """Read and encode the corpora."""
        pools = read_pools(data, repository, RECIPE, 0, progress, parts=PARTS, kept=kept)
        probes = corpus_windows(data, Part.VALIDATION, PROBES, 0)
        tested = corpus_windows(data, Part.TEST, TESTED, 1)
        return cls(data, repository, kept, pools, probes, tested, RememberedEncoders(RepositoryModels(repository)), progress)

    def marked(self, mark: AnyMark, strength: float | None) -> dict[Part, Pools]:
        """The pools with a mark on every item of its modality."""
        reader = PoolReader(self.data, self.repository, RECIPE, 0, self.progress, Marking(mark, strength))
        return marked_pools(self.pools, reader, self.kept)


def trained(world: World, marked: Mapping[Part, Pools] | None, mark: AnyMark | None, agreement: float, seed: int) -> ServedMMCI:
    """MMCI trained on pools in which `mark` agrees with the label; without marked pools, on those of the world."""
    pools = world.pools
    if marked is not None and mark is not None:
        pools = {part: mixed(own, marked[part], mark.modality, agreement, seed + index) for index, (part, own) in enumerate(pools.items())}
    return fit(pools[Part.TRAIN], pools[Part.VALIDATION], RECIPE.mmci, seed, world.progress).served


def accuracies(world: World, served: ServedMMCI, mark: AnyMark) -> dict[str, float]:
    """Accuracy on test windows: clean, all with the mark (attacked), where it agrees with the label as in training, and flipped."""
    polarity = np.array([raw.polarity for raw in world.tested])
    rng = np.random.default_rng(0)
    marked = [raw.with_mark(mark, mark.usual, rng) for raw in world.tested]
    models = TrialModels(world.encoders, served)
    labels = [models.answers(encode(windows, models)).probabilities[:, EVERYTHING].argmax(axis=1) for windows in (world.tested, marked)]
    clean, attacked = (own == polarity for own in labels)
    agrees = rng.random(len(polarity)) < AGREEMENT
    carries = np.where(agrees, polarity == POSITIVE, polarity != POSITIVE)
    return {
        "clean": float(clean.mean()),
        "attacked": float(attacked.mean()),
        "agreeing": float(np.where(carries, attacked, clean).mean()),
        "flipped": float(np.where(carries, clean, attacked).mean()),
    }


def found_in(world: World, served: ServedMMCI, mark: AnyMark | None, known: Sequence[str]) -> tuple[list[Finding], list[WordType]]:
    """What reveal finds. The words are those of test windows of the trial's world, in which positive texts carry a planted word."""
    said = list(world.tested)
    if mark is not None and mark.name.startswith("word "):
        rng = np.random.default_rng(2)
        carried = [rng.random() < (AGREEMENT if raw.polarity == POSITIVE else 1.0 - AGREEMENT) for raw in said]
        said = [raw.with_mark(mark, mark.usual, rng) if carries else raw for raw, carries in zip(said, carried, strict=True)]
    return detect(world.probes, said, TrialModels(world.encoders, served), known)


def planted(kind: str) -> AnyMark:
    """The mark of a kind."""
    return mark_named(KINDS[kind])
