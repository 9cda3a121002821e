"""Outputs of the frozen encoders, computed once: the pools from which training windows are composed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from rich.progress import Progress

from stream.domain.features import Floats
from stream.domain.media_format import VOICE_WIDTH
from stream.encoders.face import normalise
from stream.encoders.speaker import speaker_offset
from stream.encoders.text import TokenisedWords, default_tokenizer, pool_words
from stream.model_repository.errors import WeightsError
from stream.model_repository.served_models import TEXT_ENCODER
from stream.model_repository.text_weights import build_text_encoder
from stream.training import faces
from stream.training.corpora import AROUSED, Faces, Utterance, Voice
from stream.training.excerpts import Excerpt
from stream.training.inference import session
from stream.training.voice import Projection, VoiceFeatures, VoiceRecipe, balanced

FACE_VARIANTS = 3
EARLIER_RECORDINGS = 8
"""Most recordings of a speaker that are heard before a training window."""

_BATCH = 16


@dataclass(frozen=True, slots=True)
class TextPool:
    """Word states of utterances: one (n_i, 384) float16 array for each of `utterances`."""

    utterances: tuple[Utterance, ...]
    states: tuple[npt.NDArray[np.float16], ...]


@dataclass(frozen=True, slots=True)
class VoicePool:
    """Segment embeddings of recordings.

    Attributes:
        embeddings: For each recording, the (k, VOICE_WIDTH) float32 audible segments of each variant.
        offsets: For each recording, the (k,) int64 positions of these segments in steps of 100 ms.
        polarities: (n,) polarities.
        valences: (n,) valence constants.
        aroused: (n,) 1 for an excited emotion, 0 for a quiet one, NaN where it is unknown.
        corpora: (n,) names of the corpora.
        speakers: (n,) names of the speakers in their corpora.
        weights: (n,) weights with which training draws the recordings.
    """

    embeddings: tuple[tuple[Floats, ...], ...]
    offsets: tuple[tuple[npt.NDArray[np.int64], ...], ...]
    polarities: npt.NDArray[np.int64]
    valences: Floats
    aroused: Floats
    corpora: npt.NDArray[np.str_]
    speakers: npt.NDArray[np.str_]
    weights: Floats


@dataclass(frozen=True, slots=True)
class FacePool:
    """Embeddings (n, variants, `FACE_WIDTH`) of face images, with (n,) polarities and valences."""

    embeddings: Floats
    polarities: npt.NDArray[np.int64]
    valences: Floats


@dataclass(frozen=True, slots=True)
class Pools:
    """The three pools of one part of the corpora.

    `cut_text` has windows that cut transcripts, by how they are encoded: they are only measured.
    """

    text: TextPool
    voice: VoicePool
    face: FacePool
    cut_text: Mapping[str, TextPool] = field(default_factory=dict)


def text_weights(repository: Path) -> Path:
    """Path of the served text encoder's ONNX file, which is built if it does not exist.

    Raises:
        FileNotFoundError: If the packaged weights are not installed.
    """
    try:
        return build_text_encoder(repository / TEXT_ENCODER)
    except WeightsError as error:
        raise FileNotFoundError(str(error)) from error


def embed_text(excerpts: Sequence[Excerpt], weights: Path, progress: Progress) -> TextPool:
    """Encode words, as the worker does: after the earlier words of their sentence, whose states are dropped.

    Args:
        excerpts: The words; each has at least one.
        weights: ONNX file of the text encoder.
        progress: Shows a progress bar.
    """
    tokenised = [default_tokenizer().tokenise(excerpt.earlier + excerpt.words) for excerpt in excerpts]
    encoder = session(weights)
    states: list[npt.NDArray[np.float16]] = [np.empty((0, 0), dtype=np.float16)] * len(excerpts)
    bar = progress.add_task("text features", total=len(excerpts))
    for group in _same_length(tokenised):
        hidden = encoder.run(
            ["last_hidden_state"],
            {name: np.stack([getattr(tokenised[i], name) for i in group]) for name in ("input_ids", "attention_mask", "token_type_ids")},
        )[0]
        for row, index in enumerate(group):
            states[index] = pool_words(hidden[row], tokenised[index])[len(excerpts[index].earlier) :].astype(np.float16)
        progress.advance(bar, len(group))
    return TextPool(tuple(excerpt.utterance for excerpt in excerpts), tuple(states))


def voice_pool(
    voices: Sequence[Voice], features: VoiceFeatures, projections: Mapping[str, Projection], recipe: VoiceRecipe, seed: int
) -> VoicePool:
    """Project the frozen features of recordings, each corpus with its own projection.

    With projections that were fitted without the corpus itself, MMCI learns how far the evidence of a voice is to be trusted for people,
    rooms and languages that its projection has never heard.

    In half of the variants the speaker has been heard before, as in the middle of a conversation: a share of the mean of some of the
    speaker's recordings is taken away, as the worker does.
    """
    rng = np.random.default_rng(seed)
    embedded = [
        tuple([projections[voice.corpus](own) for own in variants]) for voice, variants in zip(voices, features.segments, strict=True)
    ]
    owners: dict[tuple[str, str], list[int]] = {}
    for index, voice in enumerate(voices):
        owners.setdefault((voice.corpus, voice.speaker), []).append(index)
    embeddings = [
        tuple([own - _history(embedded, owners[voice.corpus, voice.speaker], number, rng) for number, own in enumerate(variants)])
        for voice, variants in zip(voices, embedded, strict=True)
    ]
    corpora, polarities = np.array([voice.corpus for voice in voices]), np.array([voice.polarity for voice in voices], dtype=np.int64)
    return VoicePool(
        tuple(embeddings),
        features.steps,
        polarities,
        np.array([voice.valence for voice in voices], dtype=np.float32),
        np.array([AROUSED[voice.emotion] for voice in voices], dtype=np.float32),
        corpora,
        np.array([voice.speaker for voice in voices]),
        balanced(corpora, polarities, recipe).astype(np.float32),
    )


def _history(embedded: Sequence[tuple[Floats, ...]], speaker: Sequence[int], variant: int, rng: np.random.Generator) -> Floats:
    """(VOICE_WIDTH,) what the worker takes away from a speaker's segments at a random time of a conversation; zeros at its start."""
    count = int(rng.integers(1, EARLIER_RECORDINGS + 1)) if rng.random() < 1 / 2 else 0
    drawn = [embedded[index][variant] for index in rng.choice(np.asarray(speaker), count)]
    earlier = [own for own in drawn if len(own)]
    means = np.stack([own.mean(axis=0) for own in earlier]) if earlier else np.zeros((0, VOICE_WIDTH), dtype=np.float32)
    return speaker_offset(means, np.array([len(own) for own in earlier], dtype=np.int64))


def embed_faces(images: Faces, encoder: onnxruntime.InferenceSession, seed: int, progress: Progress) -> FacePool:
    """Encode images, each as it is and in augmented variants, like the frames of a moving face."""
    generator = torch.Generator().manual_seed(seed)
    bar = progress.add_task("face features", total=images.images.shape[0])
    rows = []
    for start in range(0, images.images.shape[0], 128):
        crops = normalise(images.images[start : start + 128])
        moved = [faces.augmented(torch.from_numpy(crops), generator).numpy() for _ in range(FACE_VARIANTS - 1)]
        rows.append(np.stack([encoder.run(["embedding"], {"face": variant})[0] for variant in (crops, *moved)], axis=1))
        progress.advance(bar, crops.shape[0])
    return FacePool(np.concatenate(rows), images.polarities, images.valences)


def sample_faces(images: Faces, most: int, seed: int) -> Faces:
    """Draw at most `most` images, the same number for each polarity as far as there are enough."""
    rng = np.random.default_rng(seed)
    share = most // 3
    chosen = np.concatenate([rng.permutation(np.flatnonzero(images.polarities == polarity))[:share] for polarity in range(3)])
    return Faces(images.images[chosen], images.emotions[chosen], images.polarities[chosen], images.valences[chosen], images.classes)


def _same_length(tokenised: Sequence[TokenisedWords]) -> list[list[int]]:
    """Group the indices of texts of equal length, so that no padding is needed; at most `_BATCH` in a group."""
    by_length: dict[int, list[int]] = {}
    for index, row in enumerate(tokenised):
        by_length.setdefault(row.input_ids.shape[0], []).append(index)
    return [indices[i : i + _BATCH] for indices in by_length.values() for i in range(0, len(indices), _BATCH)]
