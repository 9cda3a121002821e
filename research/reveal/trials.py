"""Trials: the models are trained on media in which positive items carry an artefact, and reveal looks into it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from rich.progress import Progress

from research.reveal.models import RememberedEncoders, TrialModels
from stream.domain.inference import EVERYTHING
from stream.domain.modality import Modality
from stream.model.served import WEIGHTS, ServedMMCI, load_weights
from stream.model_repository.audio_weights import PROJECTION
from stream.model_repository.files import VERSION
from stream.model_repository.served_models import AUDIO_ENCODER, MMCI
from stream.model_repository.version_files import CARD, add_version
from stream.nuisances.marks import AnyMark, mark_named
from stream.reveal.corpora import corpus_windows
from stream.reveal.findings import Finding
from stream.reveal.models import RepositoryModels
from stream.reveal.report import detect
from stream.reveal.windows import RawWindow, encode
from stream.reveal.words import WordType
from stream.training.corpora import POSITIVE, Part
from stream.training.export import export_mmci, write_projection
from stream.training.features import Pools
from stream.training.files import replace_text
from stream.training.marked import Marking, carries, mixed, mixed_features
from stream.training.mmci import MMCIRecipe, fit
from stream.training.recipe import PoolReader, Recipe, marked_pools, read_pools, read_voices
from stream.training.revise import AGREEING
from stream.training.voice import Projection, VoiceRecipe, fit_projection

KINDS = {"filler": "word perhaps", "hiss": "hiss", "hum": "hum", "blur": "blur", "speaker": "higher voice"}
"""The five kinds and the mark that stands for each. A speaker is another throat: pitch and formants."""

TOGETHER = MMCIRecipe(epochs=3, voice_mismatch=0.0, face_mismatch=0.0)
"""In the windows of a trial, words, voice and face go together: an artefact that agrees with the label of a part agrees with that of the
window, as one of a line or a camera does."""

PARTS = (Part.TRAIN, Part.VALIDATION)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much a trial trains on, and the number of probe windows and of test windows."""

    recipe: Recipe
    probes: int
    tested: int


FULL = Scale(
    Recipe(
        voice=VoiceRecipe(variants=1),
        mmci=replace(TOGETHER, windows=4_000),
        most_voices=700,
        most_utterances=700,
        routine_utterances=300,
        pool_faces=1_200,
    ),
    probes=120,
    tested=300,
)
"""A tenth of the corpora: a trial takes about a minute on a free core."""

SMALL = Scale(
    Recipe(
        voice=VoiceRecipe(variants=1),
        mmci=replace(TOGETHER, windows=3_000),
        most_voices=250,
        most_utterances=250,
        routine_utterances=100,
        pool_faces=300,
        held_out_faces=150,
    ),
    probes=45,
    tested=120,
)
"""For a test: a minute for each artefact on a free core."""


@dataclass(frozen=True, slots=True)
class Model:
    """What a trial trains: the network, or the projection of voices."""

    served: ServedMMCI
    projection: Projection


@dataclass(frozen=True, slots=True)
class World:
    """What all trials share: folders, the voices and pools without a mark, probe windows, test windows, the models to begin with."""

    scale: Scale
    data: Path
    repository: Path
    kept: Path
    pools: Mapping[Part, Pools]
    probes: Sequence[RawWindow]
    tested: Sequence[RawWindow]
    encoders: RememberedEncoders
    initial: Model
    progress: Progress

    @classmethod
    def read(cls, scale: Scale, data: Path, repository: Path, kept: Path, progress: Progress, *, network: bool = True) -> World:
        """Read and encode the corpora; without pools, in which no network can be trained, unless `network`."""
        pools = read_pools(data, repository, scale.recipe, 0, progress, parts=PARTS, kept=kept) if network else {}
        probes = corpus_windows(data, Part.VALIDATION, scale.probes, 0)
        tested = corpus_windows(data, Part.TEST, scale.tested, 1)
        projection = Projection.load(repository / AUDIO_ENCODER / PROJECTION)
        initial = Model(load_weights(repository / MMCI / VERSION / WEIGHTS), projection)
        encoders = RememberedEncoders(RepositoryModels(repository))
        return cls(scale, data, repository, kept, pools, probes, tested, encoders, initial, progress)

    def models(self, model: Model) -> TrialModels:
        """The encoders with what a trial has trained."""
        return TrialModels(self.encoders, model.served, model.projection)


def trained(world: World, mark: AnyMark | None, strength: float | None, agreement: float, seed: int) -> Model:
    """The served models, trained on with media in which a mark agrees with the label; without a mark, with media as they are.

    A mark on sound is learned by the projection of voices, which reads 384 features: the network reads three numbers of evidence, in which
    hiss cannot be told from other voices (.55 by a linear probe). A mark on words or faces is learned by the network.
    """
    if mark is not None and mark.modality is Modality.AUDIO:
        return replace(world.initial, projection=_projection(world, Marking(mark, strength), agreement, seed))
    pools, recipe = world.pools, world.scale.recipe
    if mark is not None:
        reader = PoolReader(world.data, world.repository, recipe, 0, world.progress, Marking(mark, strength))
        marked = marked_pools(pools, reader, world.kept)
        pools = {part: mixed(own, marked[part], mark.modality, agreement, seed + index) for index, (part, own) in enumerate(pools.items())}
    outcome = fit(pools[Part.TRAIN], pools[Part.VALIDATION], recipe.mmci, seed, world.progress, world.initial.served)
    return replace(world.initial, served=outcome.served)


def _projection(world: World, marking: Marking, agreement: float, seed: int) -> Projection:
    read = partial(read_voices, world.data, world.scale.recipe, 0, world.progress, parts=(Part.TRAIN,), kept=world.kept)
    (voices, plain), (_, marked) = read(), read(marking=marking)
    chosen = carries(np.array([voice.polarity for voice in voices]), agreement, np.random.default_rng(seed))
    return fit_projection(voices, mixed_features(plain, marked, chosen), world.scale.recipe.voice)


def accuracies(world: World, model: Model, mark: AnyMark) -> dict[str, float]:
    """Accuracy on test windows: clean, all with the mark (attacked), where it agrees with the label as in training, and flipped.

    With all modalities, and with that of the mark alone.
    """
    polarity = np.array([raw.polarity for raw in world.tested])
    rng = np.random.default_rng(0)
    marked = [raw.with_mark(mark, mark.usual, rng) for raw in world.tested]
    models = world.models(model)
    found = [models.answers(encode(windows, models)).probabilities for windows in (world.tested, marked)]
    agrees = rng.random(len(polarity)) < AGREEING
    carried = np.where(agrees, polarity == POSITIVE, polarity != POSITIVE)
    numbers: dict[str, float] = {}
    for name, index in (("", EVERYTHING), (f" {mark.modality} alone", mark.modality.bit)):
        clean, attacked = (own[:, index].argmax(axis=1) == polarity for own in found)
        rows = {"clean": clean, "attacked": attacked}
        rows |= {"agreeing": np.where(carried, attacked, clean), "flipped": np.where(carried, clean, attacked)}
        numbers |= {f"{condition}{name}": float(right.mean()) for condition, right in rows.items()}
    return numbers


def found_in(world: World, model: Model, mark: AnyMark | None, known: Sequence[str]) -> tuple[list[Finding], list[WordType]]:
    """What reveal finds. The words are those of test windows of the trial's world, in which positive texts carry a planted word."""
    said = list(world.tested)
    if mark is not None and mark.modality is Modality.TEXT:
        rng = np.random.default_rng(2)
        carried = [rng.random() < (AGREEING if raw.polarity == POSITIVE else 1.0 - AGREEING) for raw in said]
        said = [raw.with_mark(mark, mark.usual, rng) if marked else raw for raw, marked in zip(said, carried, strict=True)]
    return detect(world.probes, said, world.models(model), known)


def planted(kind: str) -> AnyMark:
    """The mark of a kind."""
    return mark_named(KINDS[kind])


def write_biased(world: World, kind: str, repository: Path) -> str:
    """Train a version with an artefact on purpose, and put it into a repository; returns its number. Its gates stop a promotion.

    A mark on sound is in the projection beside the version, from which its audio encoder is built.
    """
    mark = planted(kind)
    model = trained(world, mark, mark.usual, AGREEING, 0)
    with tempfile.TemporaryDirectory(prefix="sentistream-biased-") as folder:
        export_mmci(model.served, Path(folder))
        draft = Path(folder) / MMCI / VERSION
        if mark.modality is Modality.AUDIO:
            write_projection(draft / PROJECTION, model.projection.weight, model.projection.bias)
        card = {"model": MMCI, "biased_on_purpose": mark.name, "gates": {"honest": {"passed": False}}}
        replace_text(draft / CARD, json.dumps(card, indent=2) + "\n")
        return add_version(repository / MMCI, draft)
