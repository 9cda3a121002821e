"""Outputs of the frozen encoders, computed once: the pools from which training windows are composed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from rich.progress import Progress

from stream.domain.features import Floats
from stream.domain.media_format import VOICE_WIDTH
from stream.encoders.face import normalise
from stream.encoders.text import TokenisedWords, default_tokenizer, pool_words
from stream.model_repository.audio_weights import build_audio_encoder
from stream.model_repository.errors import WeightsError
from stream.model_repository.served_models import AUDIO_ENCODER, TEXT_ENCODER
from stream.model_repository.text_weights import build_text_encoder
from stream.training import faces, voice
from stream.training.corpora import Faces, Utterance, Voice
from stream.training.excerpts import Excerpt

VOICE_VARIANTS = 3
FACE_VARIANTS = 3
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
        embeddings: For each recording, the (k, `VOICE_WIDTH`) float32 audible segments of each variant.
        offsets: For each recording, the (k,) int64 positions of these segments in steps of 100 ms.
        polarities: (n,) polarities.
        valences: (n,) valence constants.
        actors: (n,) numbers of the speakers.
    """

    embeddings: tuple[tuple[Floats, ...], ...]
    offsets: tuple[tuple[npt.NDArray[np.int64], ...], ...]
    polarities: npt.NDArray[np.int64]
    valences: Floats
    actors: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FacePool:
    """Embeddings (n, variants, `FACE_WIDTH`) of face images, with (n,) polarities and valences."""

    embeddings: Floats
    polarities: npt.NDArray[np.int64]
    valences: Floats


@dataclass(frozen=True, slots=True)
class Pools:
    """The three pools of one part of the corpora."""

    text: TextPool
    voice: VoicePool
    face: FacePool


def session(model: Path | bytes) -> onnxruntime.InferenceSession:
    """Open an ONNX model, given by its file or its contents, to run on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def text_weights(repository: Path) -> Path:
    """Path of the served text encoder's ONNX file, which is built if it does not exist.

    Raises:
        FileNotFoundError: If the packaged weights are not installed.
    """
    try:
        return build_text_encoder(repository / TEXT_ENCODER)
    except WeightsError as error:
        raise FileNotFoundError(str(error)) from error


def audio_weights(repository: Path) -> Path:
    """Path of the served audio encoder's ONNX file, which is built if it does not exist.

    Raises:
        FileNotFoundError: If the packaged weights are not installed, or the repository has no projection.
    """
    try:
        return build_audio_encoder(repository / AUDIO_ENCODER)
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


def embed_voices(voices: Sequence[Voice], encoder: onnxruntime.InferenceSession, seed: int, progress: Progress) -> VoicePool:
    """Encode recordings, each in `VOICE_VARIANTS` variants with random levels and random starts in the first block."""
    rng = np.random.default_rng(seed)
    bar = progress.add_task("voice features", total=len(voices))
    embeddings, offsets = [], []
    for recording in voices:
        variants = [_voice_variant(recording, encoder, rng) for _ in range(VOICE_VARIANTS)]
        embeddings.append(tuple(values for values, _ in variants))
        offsets.append(tuple(steps for _, steps in variants))
        progress.advance(bar)
    return VoicePool(
        tuple(embeddings),
        tuple(offsets),
        np.array([recording.polarity for recording in voices], dtype=np.int64),
        np.array([recording.valence for recording in voices], dtype=np.float32),
        np.array([recording.actor for recording in voices], dtype=np.int64),
    )


def embed_faces(images: Faces, encoder: onnxruntime.InferenceSession, seed: int, progress: Progress) -> FacePool:
    """Encode images, each as it is and in augmented variants, like the frames of a moving face."""
    generator = torch.Generator().manual_seed(seed)
    bar = progress.add_task("face features", total=images.images.shape[0])
    rows = []
    for start in range(0, images.images.shape[0], 128):
        crops = normalise(images.images[start : start + 128])
        moved = [faces.augmented(torch.from_numpy(crops), generator).numpy() for _ in range(FACE_VARIANTS - 1)]
        rows.append(np.stack([encoder.run(None, {"face": variant})[0] for variant in (crops, *moved)], axis=1))
        progress.advance(bar, crops.shape[0])
    return FacePool(np.concatenate(rows), images.polarities, images.valences)


def sample_faces(images: Faces, most: int, seed: int) -> Faces:
    """Draw at most `most` images, the same number for each polarity as far as there are enough."""
    rng = np.random.default_rng(seed)
    share = most // 3
    chosen = np.concatenate([rng.permutation(np.flatnonzero(images.polarities == polarity))[:share] for polarity in range(3)])
    return Faces(images.images[chosen], images.emotions[chosen], images.polarities[chosen], images.valences[chosen], images.classes)


def _voice_variant(
    recording: Voice, encoder: onnxruntime.InferenceSession, rng: np.random.Generator
) -> tuple[Floats, npt.NDArray[np.int64]]:
    samples = voice.at_peak(voice.trimmed(recording.samples), float(rng.uniform(*voice.PEAK_DBFS)))
    lead = np.zeros(int(rng.integers(0, 16_000)), dtype=np.int16)
    mel, audible = voice.blocks_of(np.concatenate([lead, samples]))
    embeddings = encoder.run(None, {"log_mel": mel})[0].reshape(-1, VOICE_WIDTH)
    steps = np.flatnonzero(audible)
    return embeddings[steps], steps - (steps[0] if steps.size else 0)


def _same_length(tokenised: Sequence[TokenisedWords]) -> list[list[int]]:
    """Group the indices of texts of equal length, so that no padding is needed; at most `_BATCH` in a group."""
    by_length: dict[int, list[int]] = {}
    for index, row in enumerate(tokenised):
        by_length.setdefault(row.input_ids.shape[0], []).append(index)
    return [indices[i : i + _BATCH] for indices in by_length.values() for i in range(0, len(indices), _BATCH)]
