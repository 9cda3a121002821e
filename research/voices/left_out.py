"""Models that have never heard one of the corpora of voices, in a model repository of their own."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress

from stream.training.corpora import Part, Voice
from stream.training.export import export_mmci, export_projection
from stream.training.features import Pools, voice_pool
from stream.training.mmci import fit
from stream.training.recipe import VOICE_FEATURES, Recipe, read_pools, read_voices
from stream.training.voice import VoiceFeatures, fit_projection, held_out_projections


@dataclass(frozen=True, slots=True)
class Inputs:
    """What all trainings share: recordings with their frozen features, and the pools of texts and faces."""

    voices: list[Voice]
    features: VoiceFeatures
    pools: Mapping[Part, Pools]

    @classmethod
    def read(cls, data: Path, repository: Path, runs: Path, *, recipe: Recipe, seed: int, progress: Progress) -> Inputs:
        """Encode the corpora once."""
        kept = runs / "live" / VOICE_FEATURES
        voices, features = read_voices(data, recipe, seed, progress, kept=kept)
        parts = (Part.TRAIN, Part.VALIDATION)
        return cls(voices, features, read_pools(data, repository, recipe, seed, progress, parts=parts, kept=kept))


def train_without(corpus: str, inputs: Inputs, repository: Path, out: Path, *, recipe: Recipe, seed: int, progress: Progress) -> None:
    """Train projection and MMCI on all other corpora of voices, and write a model repository with the served encoders of text and face.

    The voices of the other corpora are those of all their speakers but the validation part's, on which the epoch and the calibration of
    MMCI are chosen. The folder `out` is there only once it is complete.
    """
    unfinished = out.with_name(f"{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(repository, unfinished)
    heard = [index for index, voice in enumerate(inputs.voices) if voice.corpus != corpus]
    voices, features = [inputs.voices[index] for index in heard], inputs.features.of(heard)
    trained = [index for index, voice in enumerate(voices) if voice.part is not Part.VALIDATION]
    projection = fit_projection([voices[index] for index in trained], features.of(trained), recipe.voice)
    export_projection(projection.weight, projection.bias, unfinished)
    projections = held_out_projections(voices, features, recipe.voice)
    pools = {}
    for part, shared in inputs.pools.items():
        own = trained if part is Part.TRAIN else [index for index, voice in enumerate(voices) if voice.part is part]
        spoken = voice_pool([voices[index] for index in own], features.of(own), projections, recipe.voice, seed)
        pools[part] = Pools(shared.text, spoken, shared.face)
    outcome = fit(pools[Part.TRAIN], pools[Part.VALIDATION], recipe.mmci, seed, progress)
    export_mmci(outcome.served, unfinished)
    unfinished.rename(out)
