"""Windows to explain: those of the packaged sample, and windows composed of held-out texts, voices and faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from benchmarks.explanation_runs.local_models import LocalClient
from stream.domain.features import Floats, Word
from stream.domain.inference import INPUT_NAMES, NODE_TENSORS, WindowInputs
from stream.domain.media_format import WORD_WIDTH
from stream.domain.modality import Modality
from stream.encoders.window_inputs import with_words
from stream.model_repository.audio_weights import PROJECTION
from stream.model_repository.served_models import AUDIO_ENCODER, FACE_ENCODER
from stream.training import corpora
from stream.training.corpora import Part, Utterance
from stream.training.excerpts import whole
from stream.training.features import Pools, TextPool, embed_faces, sample_faces, voice_pool
from stream.training.inference import session
from stream.training.voice import Projection, VoiceRecipe, frozen_features
from stream.training.voice_features import frozen_encoder
from stream.training.windows import WindowMaker

VOICES = 150
FACES = 150
"""Held-out recordings and images from which windows are composed."""
NO_STATES: Floats = np.zeros((0, WORD_WIDTH), np.float32)


@dataclass(frozen=True, slots=True)
class Case:
    """A window to explain.

    Attributes:
        inputs: Its tensors, with its context.
        words_before: Earlier words of its first sentence, with which its words were encoded.
        start_ms: Its start.
    """

    inputs: WindowInputs
    words_before: tuple[str, ...] = ()
    start_ms: int = 0

    def without_words(self, removed: Sequence[int], client: LocalClient) -> WindowInputs:
        """The window as if some of its words had not been said: the others are encoded again, and keep their times.

        Args:
            removed: Indices of words.
            client: Encodes the words that are left.
        """
        gone = set(removed)
        words = [word for index, word in enumerate(self.inputs.word_nodes) if index not in gone]
        states = client.word_states(self.words_before, [word.text for word in words]) if words else NO_STATES
        return with_words(self.inputs, words, states, self.start_ms)


def composed(
    data: Path, repository: Path, client: LocalClient, *, count: int, seed: int, progress: Progress
) -> tuple[list[Case], list[Case]]:
    """Windows of MOSI's test transcripts, each with a held-out voice and face, and the utterances before it as context.

    Voices and faces of the first windows have random polarities. A window whose parts contradict each other shows whether an explanation
    tells what speaks for the score from what speaks against it. Those of the second, of the same transcripts, have the transcript's.

    Raises:
        FileNotFoundError: A corpus is missing.
    """
    rng = np.random.default_rng(seed)
    said = [excerpt for excerpt in whole([u for u in corpora.read_mosi(data) if u.part is Part.TEST]) if len(excerpt.words) > 1]
    bar = progress.add_task("words of the windows", total=len(said))
    states = []
    for excerpt in said:
        states.append(client.word_states((), excerpt.words).astype(np.float16))
        progress.advance(bar)
    heard = [voice for voice in corpora.read_voices(data) if voice.part is Part.TEST]
    voices = [heard[index] for index in rng.choice(len(heard), min(VOICES, len(heard)), replace=False)]
    features = frozen_features(voices, frozen_encoder(), variants=1, seed=seed, progress=progress)
    projection = Projection.load(repository / AUDIO_ENCODER / PROJECTION)
    images = sample_faces(corpora.read_faces(data, Part.TEST), FACES, seed)
    pools = Pools(
        TextPool(tuple(excerpt.utterance for excerpt in said), tuple(states)),
        voice_pool(voices, features, {voice.corpus: projection for voice in voices}, VoiceRecipe(), seed),
        embed_faces(images, session(repository / FACE_ENCODER / "1" / "model.onnx"), seed, progress),
    )
    chosen = sorted(rng.choice(len(said), min(count, len(said)), replace=False).tolist())
    utterances = [said[index].utterance for index in chosen]
    mixed, agreeing = (_cases(pools, chosen, utterances, seed, mismatch) for mismatch in (1.0, 0.0))
    return mixed, agreeing


def _cases(pools: Pools, texts: Sequence[int], said: Sequence[Utterance], seed: int, mismatch: float) -> list[Case]:
    batch = WindowMaker(pools, seed, voice_mismatch=mismatch, face_mismatch=mismatch).paired(texts)
    past = batch.past
    tensors: dict[str, Floats] = {}
    for modality, names in NODE_TENSORS.items():
        nodes = batch.window[modality]
        tensors |= {names.values: nodes.values.numpy(), names.times: nodes.times.numpy(), names.mask: nodes.mask.numpy()}
        tensors[names.past] = past.values[modality].numpy()
    tensors["past_mask"] = np.stack([past.mask[modality].numpy() for modality in Modality], axis=2)
    tensors["past_same"] = past.same_speaker.numpy()
    return [Case(_inputs({name: tensors[name][row] for name in INPUT_NAMES}, utterance)) for row, utterance in enumerate(said)]


def _inputs(tensors: dict[str, Floats], utterance: Utterance) -> WindowInputs:
    """Name the nodes of a composed window."""
    spans = {
        modality: [(start, end) for start, end in np.round(1000 * tensors[names.times][tensors[names.mask] > 0]).astype(int).tolist()]
        for modality, names in NODE_TENSORS.items()
    }
    texts = utterance.text.split()[: len(spans[Modality.TEXT])]
    nodes: dict[str, Any] = {
        **tensors,
        "word_nodes": tuple(Word(text, *span) for text, span in zip(texts, spans[Modality.TEXT], strict=True)),
        "audio_spans_ms": tuple(spans[Modality.AUDIO]),
        "video_spans_ms": tuple(spans[Modality.VIDEO]),
    }
    return WindowInputs(**nodes)
