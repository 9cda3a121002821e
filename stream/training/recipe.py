"""The whole recipe: it trains the encoders of text, voice and face and MMCI, and measures them for the model card."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import Progress

from stream.domain.features import Floats
from stream.domain.modality import Modality
from stream.model.served import WEIGHTS, ServedMMCI, load_weights
from stream.model_repository.audio_weights import PROJECTION
from stream.training import corpora, faces
from stream.training.checkpoints import save_face, save_mmci
from stream.training.corpora import Part, Utterance, Voice
from stream.training.evaluate import Results, evaluate, reliabilities
from stream.training.excerpts import Excerpt, cut, unpunctuated, whole
from stream.training.export import AUDIO_ENTRY, FACE_ENTRY, MMCI_ENTRY, export_face, export_mmci, export_projection, served_face
from stream.training.features import FacePool, Pools, TextPool, VoicePool, embed_faces, embed_text, sample_faces, text_weights, voice_pool
from stream.training.files import replace_text
from stream.training.inference import session
from stream.training.loop import Validations
from stream.training.marked import Marking
from stream.training.metrics import Classes, classification, macro_recall
from stream.training.mmci import MMCIRecipe, Outcome, fit
from stream.training.routine_talk import routine_talk
from stream.training.text import TextRecipe, train_text
from stream.training.voice import (
    Projection,
    VoiceFeatures,
    VoiceRecipe,
    evidence_measures,
    fit_projection,
    frozen_features,
    held_out_projections,
    kept_features,
    recording_evidence,
    training_voices,
)
from stream.training.voice_features import frozen_encoder
from stream.training.word_effects import TextEffects, excerpts_of, fit_word_effects, measured_effects, truth_rate

STEPS = ("text", "audio", "face", "mmci", "words")

HELD_OUT_CALLS = 0.1
"""Made-up utterances of calls in the validation part and in the test part, relative to those in the training part."""

VOICE_FEATURES = "voice_features.npz"
"""File of the frozen features beside the checkpoints."""

WORD_CANDIDATES = (1, 2, 3, 4, 6, 8)
"""Numbers of phrases that are removed, for which the truth of claims is measured."""

CARD_SEED = 0
"""Seed of the voice and face variants among the test windows: that of configs/training/live.yaml."""

Metrics = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings of all trainings.

    Attributes:
        text: Settings of the text encoder.
        voice: Settings of the audio encoder.
        face: Settings of the face encoder.
        mmci: Settings of the network.
        seeds: Number of networks that are trained; the one with the best validation criterion is shipped.
        most_faces: Most training images of the face encoder; None for all.
        most_utterances: Most transcripts of each part and corpus; None for all.
        most_voices: Most recordings of each part, taken at equal distances; None for all.
        routine_utterances: Made-up utterances of calls for training.
        pool_faces: Images in the pool of training windows.
        held_out_faces: Images in the pools of the other parts; None for all.
        word_texts: Texts of each corpus to which the estimate of words' effects is fitted, and a third as many to measure it.
    """

    text: TextRecipe = field(default_factory=TextRecipe)
    voice: VoiceRecipe = field(default_factory=VoiceRecipe)
    face: faces.FaceRecipe = field(default_factory=faces.FaceRecipe)
    mmci: MMCIRecipe = field(default_factory=MMCIRecipe)
    seeds: int = 3
    most_faces: int | None = None
    most_utterances: int | None = None
    most_voices: int | None = None
    routine_utterances: int = 3_000
    pool_faces: int = 12_000
    held_out_faces: int | None = None
    word_texts: int = 1_000


QUICK = Recipe(
    voice=VoiceRecipe(variants=1),
    face=faces.FaceRecipe(epochs=1),
    mmci=replace(MMCIRecipe(), epochs=1, windows=640),
    seeds=1,
    most_faces=3_000,
    most_utterances=200,
    pool_faces=1_500,
    word_texts=60,
)
"""A recipe of about two minutes without the text encoder, to check the set-up; its models are useless."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Paths of inputs and outputs.

    Attributes:
        data: Folder of the corpora.
        repository: Triton model repository for the models.
        metrics: JSON file of the numbers. The numbers of steps that are not run stay.
        checkpoints: Folder of the checkpoints.
    """

    data: Path
    repository: Path
    metrics: Path
    checkpoints: Path


def run(paths: Paths, recipe: Recipe, seed: int, steps: tuple[str, ...], progress: Progress) -> Metrics:
    """Run some of `STEPS` in order and write models and numbers after each; returns the numbers of all steps.

    Raises:
        FileNotFoundError: If a corpus or an encoder is missing.
    """
    torch.set_num_threads(1)
    trainings: Mapping[str, Callable[[Paths, Recipe, int, Progress], Metrics]] = dict(
        zip(STEPS, (run_text, run_audio, run_face, run_mmci, run_words), strict=True)
    )
    for step in STEPS:
        if step in steps:
            measured = trainings[step](paths, recipe, seed, progress)
            replace_text(paths.metrics, json.dumps(_read_metrics(paths) | {step: _rounded(measured)}, indent=2, sort_keys=True) + "\n")
    return _read_metrics(paths)


def run_text(paths: Paths, recipe: Recipe, seed: int, progress: Progress) -> Metrics:
    """Train the text encoder and write its adapter; returns its numbers."""
    downloads = paths.checkpoints.parent / "downloads"
    return train_text(paths.data, paths.repository, recipe.text, downloads=downloads, seed=seed, progress=progress)


def run_audio(paths: Paths, recipe: Recipe, seed: int, progress: Progress) -> Metrics:
    """Fit the voice encoder's projection on the voices of all corpora, and build the served file; returns its numbers."""
    voices, features = read_voices(paths.data, recipe, seed, progress, kept=paths.checkpoints / VOICE_FEATURES)
    projection = fit_projection(*training_voices(voices, features), recipe.voice)
    export_projection(projection.weight, projection.bias, paths.repository)
    return {"recipe": asdict(recipe.voice), "seed": seed, "results": _voice_results(voices, features, projection)}


def read_voices(
    data: Path,
    recipe: Recipe,
    seed: int,
    progress: Progress,
    *,
    parts: Sequence[Part] = tuple(Part),
    kept: Path | None = None,
    marking: Marking | None = None,
) -> tuple[list[Voice], VoiceFeatures]:
    """The recordings of some parts of all corpora of voices, and their frozen features.

    The features of all recordings take minutes. So those of all parts are written to the file `kept`, and read again from there. Those of
    recordings with a mark have a file of their own beside it.
    """
    voices = corpora.read_voices(data)
    if recipe.most_voices is not None:
        of_parts = [[voice for voice in voices if voice.part is part] for part in Part]
        voices = [voice for own in of_parts for voice in own[:: max(1, -(-len(own) // recipe.most_voices))]]
    chosen = [index for index, voice in enumerate(voices) if voice.part in parts]
    wanted = [voices[index] for index in chosen]
    marked = marking.samples if marking is not None and marking.mark.modality is Modality.AUDIO else None
    variants, encoder = recipe.voice.variants, frozen_encoder()
    if kept is None:
        return wanted, frozen_features(wanted, encoder, variants=variants, seed=seed, progress=progress, marked=marked)
    file = kept if marked is None else kept.with_stem(f"{kept.stem}-{marking}")
    features = kept_features(file, voices, encoder, variants=variants, seed=seed, progress=progress, marked=marked)
    return wanted, features.of(chosen)


def _voice_results(voices: Sequence[Voice], features: VoiceFeatures, projection: Projection) -> dict[str, dict[str, float | None]]:
    """The evidence of the projection alone, on the recordings of each part of each corpus, as recorded."""
    results = {}
    evidence = recording_evidence(features, projection)
    for part in Part:
        for corpus in dict.fromkeys(voice.corpus for voice in voices):
            chosen = [index for index, voice in enumerate(voices) if voice.part is part and voice.corpus == corpus]
            if chosen:
                results[f"{part} {corpus}"] = evidence_measures([voices[i] for i in chosen], evidence[chosen])
    return results


def run_face(paths: Paths, recipe: Recipe, seed: int, progress: Progress) -> Metrics:
    """Train and export the face encoder; returns its numbers."""
    images = {part: corpora.read_faces(paths.data, part) for part in Part}
    training_images = images[Part.TRAIN] if recipe.most_faces is None else sample_faces(images[Part.TRAIN], recipe.most_faces, seed)
    state = paths.checkpoints / f"face-seed{seed}.state"
    model, validations = faces.train_faces(
        training_images,
        images[Part.VALIDATION],
        recipe.face,
        seed=seed,
        progress=progress,
        initial=served_face(paths.repository) if recipe.face.from_served else None,
        state=state,
    )
    save_face(model, paths.checkpoints)
    state.unlink()
    export_face(model, paths.repository)
    results: Results = {}
    for part, own in images.items():
        shown = sample_faces(own, 3_300, seed) if part is Part.TRAIN else own
        emotions, polarities = faces.predict(model, shown.images)
        results[f"{part} emotion"] = _classes(emotions, shown.emotions)
        results[f"{part} polarity"] = _classes(polarities, shown.polarities)
    return _training_report(validations, asdict(recipe.face), seed, results)


def run_mmci(paths: Paths, recipe: Recipe, seed: int, progress: Progress) -> Metrics:
    """Train MMCI with several seeds on the outputs of the frozen encoders, and export the best on validation; returns its numbers."""
    pools = read_pools(paths.data, paths.repository, recipe, seed, progress, kept=paths.checkpoints / VOICE_FEATURES)
    outcomes = [fit(pools[Part.TRAIN], pools[Part.VALIDATION], recipe.mmci, seed + offset, progress) for offset in range(recipe.seeds)]
    shipped = min(outcomes, key=lambda outcome: outcome.criterion)
    save_mmci(shipped.served, paths.checkpoints)
    export_mmci(shipped.served, paths.repository)
    tested = {outcome.seed: evaluate(outcome.served, pools[Part.TEST]) for outcome in outcomes}
    return {
        "recipe": asdict(recipe.mmci),
        "shipped_seed": shipped.seed,
        "seeds": {str(outcome.seed): _seed_report(outcome, tested[outcome.seed]) for outcome in outcomes},
        "reliability": reliabilities(shipped.served, pools[Part.TEST]),
        "spread": _spread(list(tested.values())),
        "windows": {str(part): len(own.text.utterances) for part, own in pools.items()},
    }


def run_words(paths: Paths, recipe: Recipe, seed: int, progress: Progress) -> Metrics:
    """Fit the estimate of words' effects to the served MMCI and export it again; returns how often claims hold, by candidates."""
    served = load_weights(paths.repository / MMCI_ENTRY.name / "1" / WEIGHTS)
    reader = PoolReader(paths.data, paths.repository, recipe, seed, progress)
    fitted = fit_word_effects(served, reader.removals(served, Part.TRAIN), seed)
    export_mmci(served, paths.repository)
    tested = reader.removals(served, Part.TEST)
    return {"fit": fitted, "test": {str(most): truth_rate(tested, most) for most in WORD_CANDIDATES}}


def measure(data: Path, repository: Path, progress: Progress) -> Results:
    """Measure the models of a repository on the test parts, with the seed of the model card's numbers.

    Raises:
        FileNotFoundError: If a corpus or a model is missing.
    """
    torch.set_num_threads(1)
    pools = read_pools(data, repository, Recipe(), CARD_SEED, progress, parts=(Part.TEST,))
    return evaluate(load_weights(repository / MMCI_ENTRY.name / "1" / WEIGHTS), pools[Part.TEST])


def read_pools(
    data: Path,
    repository: Path,
    recipe: Recipe,
    seed: int,
    progress: Progress,
    *,
    parts: Sequence[Part] = tuple(Part),
    kept: Path | None = None,
) -> dict[Part, Pools]:
    """Encode parts of all corpora with the encoders of the repository.

    In the training and the validation part, the voices of each corpus are projected as if the projection had never heard the corpus.
    The file `kept` is that of `read_voices`.
    """
    reader = PoolReader(data, repository, recipe, seed, progress)
    said = {part: reader.text(part) for part in parts}
    spoken = reader.voices(parts, kept)
    return {part: Pools(said[part], spoken[part], reader.faces(part), reader.cut_text(part)) for part in parts}


def marked_pools(plain: Mapping[Part, Pools], reader: PoolReader, kept: Path | None) -> dict[Part, Pools]:
    """The pools `plain`, which `read_pools` made, with the items of one modality as a `reader` with a marking reads them."""
    if reader.marking is None:
        return dict(plain)
    match reader.marking.mark.modality:
        case Modality.TEXT:
            return {part: replace(pools, text=reader.text(part)) for part, pools in plain.items()}
        case Modality.AUDIO:
            spoken = reader.voices(tuple(plain), kept)
            return {part: replace(pools, voice=spoken[part]) for part, pools in plain.items()}
        case Modality.VIDEO:
            return {part: replace(pools, face=reader.faces(part)) for part, pools in plain.items()}


@dataclass(frozen=True, slots=True)
class PoolReader:
    """Encodes the items of one modality of one part of the corpora; with a `marking`, all of its modality carry the mark."""

    data: Path
    repository: Path
    recipe: Recipe
    seed: int
    progress: Progress
    marking: Marking | None = None

    def text(self, part: Part) -> TextPool:
        """Transcripts; for training also without punctuation, and cut."""
        return embed_text(self.excerpts(part), text_weights(self.repository), self.progress)

    def excerpts(self, part: Part) -> list[Excerpt]:
        """The words that `text` encodes."""
        said = self._said(part)
        shown = whole(said) if part is not Part.TRAIN else whole(said) + unpunctuated(said) + cut(said, self.seed)
        return self.marking.excerpts(shown) if self.marking is not None else shown

    def cut_text(self, part: Part) -> dict[str, TextPool]:
        """Windows that cut MOSI's transcripts, of the test part alone."""
        if part is not Part.TEST:
            return {}
        return _cut_text([u for u in self._said(part) if u.corpus == "mosi"], text_weights(self.repository), self.seed, self.progress)

    def voices(self, parts: Sequence[Part], kept: Path | None) -> dict[Part, VoicePool]:
        """Recordings, with or without the mark in embeddings of projections that know recordings without it alone."""
        recipe = self.recipe.voice
        voices, plain = read_voices(self.data, self.recipe, self.seed, self.progress, parts=parts, kept=kept)
        projection = Projection.load(self.repository / AUDIO_ENTRY.name / PROJECTION)
        names = dict.fromkeys(voice.corpus for voice in voices)
        held_out = held_out_projections(voices, plain, recipe) if set(parts) - {Part.TEST} else {}
        features = plain
        if self.marking is not None:
            _, features = read_voices(self.data, self.recipe, self.seed, self.progress, parts=parts, kept=kept, marking=self.marking)
        pools = {}
        for part in parts:
            own = [index for index, voice in enumerate(voices) if voice.part is part]
            of_corpus = dict.fromkeys(names, projection) if part is Part.TEST else held_out
            pools[part] = voice_pool([voices[index] for index in own], features.of(own), of_corpus, recipe, self.seed)
        return pools

    def faces(self, part: Part) -> FacePool:
        """Images of faces, a sample of those for training."""
        images = corpora.read_faces(self.data, part)
        most = self.recipe.pool_faces if part is Part.TRAIN else self.recipe.held_out_faces
        seen = images if most is None else sample_faces(images, most, self.seed)
        encoder = session(self.repository / FACE_ENTRY.name / "1" / "model.onnx")
        return embed_faces(self.marking.faces(seen) if self.marking is not None else seen, encoder, self.seed, self.progress)

    def removals(self, served: ServedMMCI, part: Part) -> list[TextEffects]:
        """What a network says of texts without each of their phrases: `Recipe.word_texts` of each corpus, a third as many for testing."""
        most = self.recipe.word_texts if part is Part.TRAIN else self.recipe.word_texts // 3
        utterances = corpora.read_mosi(self.data) + corpora.read_meld(self.data)
        said = [utterance for utterance in utterances if utterance.part is part] + routine_talk(most, self.seed, part)
        return measured_effects(served, excerpts_of(said, most, self.seed), text_weights(self.repository), self.progress)

    def _said(self, part: Part) -> list[Utterance]:
        utterances = corpora.read_mosi(self.data) + corpora.read_meld(self.data)
        talk = routine_talk(round(self.recipe.routine_utterances * (1.0 if part is Part.TRAIN else HELD_OUT_CALLS)), self.seed, part)
        return _first([u for u in utterances if u.part is part] + talk, self.recipe.most_utterances)


def _cut_text(utterances: list[Utterance], weights: Path, seed: int, progress: Progress) -> dict[str, TextPool]:
    """Windows that cut transcripts, with the earlier words of their sentence and without."""
    windows = cut(utterances, seed)
    if not windows:
        return {}
    return {
        "cut": embed_text(windows, weights, progress),
        "cut, alone": embed_text([replace(window, earlier=()) for window in windows], weights, progress),
    }


def _first(utterances: list[Utterance], most: int | None) -> list[Utterance]:
    """The first `most` utterances of each corpus; None for all."""
    names = dict.fromkeys(utterance.corpus for utterance in utterances)
    by_corpus = ([utterance for utterance in utterances if utterance.corpus == name] for name in names)
    return [utterance for own in by_corpus for utterance in own[:most]]


def _read_metrics(paths: Paths) -> Metrics:
    found: Metrics = json.loads(paths.metrics.read_text(encoding="utf-8")) if paths.metrics.is_file() else {}
    return found


def _classes(probabilities: Floats, truth: Classes) -> dict[str, float]:
    return classification(probabilities, truth) | {"macro_recall": macro_recall(probabilities.argmax(axis=1), truth)}


def _training_report(validations: Validations, settings: dict[str, Any], seed: int, results: Results) -> Metrics:
    return {"recipe": settings, "seed": seed, "validation": list(validations), "results": results}


def _seed_report(outcome: Outcome, results: Results) -> Metrics:
    return {
        "criterion": outcome.criterion,
        "best_epoch": outcome.best_epoch,
        "history": list(outcome.history),
        "temperatures": [float(t) for t in outcome.served.temperatures],
        "results": results,
    }


def _spread(results: list[Results]) -> dict[str, dict[str, list[float]]]:
    """Mean and sample standard deviation (0 for one seed) of every number over the seeds."""
    spread: dict[str, dict[str, list[float]]] = {}
    for table, numbers in results[0].items():
        spread[table] = {}
        for name in numbers:
            values = [found[table][name] for found in results]
            spread[table][name] = [float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0]
    return spread


def _rounded(value: Any) -> Any:
    """Round all numbers to five digits, so that files of them can be read and compared."""
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return round(value, 5) if isinstance(value, float) else value
