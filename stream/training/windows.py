"""Training windows: a transcript, a voice and a face of the same polarity.

No available corpus has all three. So the parts of a window come from three people who never met and share only the polarity of
their labels. The context of a window is composed in the same way (`stream.training.past`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from stream.domain.features import Floats
from stream.domain.media_format import (
    AUDIO_PER_SECOND,
    FACE_WIDTH,
    SEGMENT_MS,
    VIDEO_PER_SECOND,
    VOICE_WIDTH,
    WORD_WIDTH,
    WORDS_PER_SECOND,
)
from stream.domain.modality import MODALITIES
from stream.model.nodes import Nodes, Past, Window
from stream.training.features import Pools
from stream.training.past import PastMaker

WINDOW_S = 4
WORDS, AUDIO, VIDEO = WINDOW_S * WORDS_PER_SECOND, WINDOW_S * AUDIO_PER_SECOND, WINDOW_S * VIDEO_PER_SECOND
SEGMENT_S = SEGMENT_MS / 1_000
SECONDS_PER_WORD = 0.35
NONE = -1
"""Index for a window without the part."""

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Batch:
    """B windows with their targets.

    Attributes:
        window: Nodes of every modality.
        polarity: (B,) int64 polarities of the windows: those of their transcripts, if they have any.
        own_polarity: (B, 3) int64 polarities of transcript, voice and face, which differ where they do not go together; that of the
            window where a part is missing.
        score: (B,) scores of MOSI; NaN where the transcript has none.
        valence: (B, 2) valence constants of voice and face.
        aroused: (B,) 1 for an excited voice, 0 for a quiet one, NaN where it is unknown or there is no voice.
        past: The context.
    """

    window: Window
    polarity: Tensor
    own_polarity: Tensor
    score: Tensor
    valence: Tensor
    aroused: Tensor
    past: Past


class WindowMaker:
    """Composes windows from the `pools` of one part of the corpora."""

    def __init__(
        self, pools: Pools, seed: int, *, voice_mismatch: float = 0.0, face_mismatch: float = 0.0, past_dropout: float = 0.0
    ) -> None:
        """Prepare the pools.

        Args:
            pools: Pools of texts, voices and faces.
            seed: Seed of all random choices.
            voice_mismatch: Share of windows whose voice has a random polarity.
            face_mismatch: Share of windows whose face has a random polarity.
            past_dropout: Dropout of the context; see `PastMaker`.
        """
        self.pools = pools
        self._rng = np.random.default_rng(seed)
        voices = [_Urn.of(pools.voice.polarities == polarity, pools.voice.weights) for polarity in range(3)]
        faces = [_Urn.of(pools.face.polarities == polarity, np.ones(len(pools.face.polarities), np.float32)) for polarity in range(3)]
        self._draw_voice = partial(self._draw, voices, mismatch=voice_mismatch)
        self._draw_face = partial(self._draw, faces, mismatch=face_mismatch)
        self._past = PastMaker(pools, self._draw_voice, self._draw_face, past_dropout, seed)

    def paired(self, texts: Sequence[int]) -> Batch:
        """Compose windows of the given transcripts, each with a random voice and a random face of its polarity."""
        polarities = [self.pools.text.utterances[index].polarity for index in texts]
        voices = [self._draw_voice(polarity) for polarity in polarities]
        faces = [self._draw_face(polarity) for polarity in polarities]
        return self.make(texts, voices, faces, polarities)

    def voices_only(self, voices: Sequence[int]) -> Batch:
        """Compose windows of the given voices alone."""
        none = [NONE] * len(voices)
        return self.make(none, voices, none, [int(self.pools.voice.polarities[index]) for index in voices])

    def faces_only(self, faces: Sequence[int]) -> Batch:
        """Compose windows of the given faces alone."""
        none = [NONE] * len(faces)
        return self.make(none, none, faces, [int(self.pools.face.polarities[index]) for index in faces])

    def make(self, texts: Sequence[int], voices: Sequence[int], faces: Sequence[int], polarities: Sequence[int]) -> Batch:
        """Compose windows from indices into the pools, `NONE` for a missing part; the polarities are the targets."""
        size = len(polarities)
        rows = [_NodeRows(size, WORDS, WORD_WIDTH), _NodeRows(size, AUDIO, VOICE_WIDTH), _NodeRows(size, VIDEO, FACE_WIDTH)]
        score = np.full(size, np.nan, dtype=np.float32)
        valence = np.zeros((size, 2), dtype=np.float32)
        aroused = np.full(size, np.nan, dtype=np.float32)
        own = np.repeat(np.array(polarities, dtype=np.int64)[:, None], len(MODALITIES), axis=1)
        for row in range(size):
            begin, end = self._add_voice(rows[1], row, voices[row], texts[row])
            if texts[row] != NONE:
                self._add_words(rows[0], row, texts[row], begin, end)
                given = self.pools.text.utterances[texts[row]].score
                score[row] = np.nan if given is None else given
            if voices[row] != NONE:
                own[row, 1] = self.pools.voice.polarities[voices[row]]
                valence[row, 0] = self.pools.voice.valences[voices[row]]
                aroused[row] = self.pools.voice.aroused[voices[row]]
            if faces[row] != NONE:
                self._add_face(rows[2], row, faces[row])
                own[row, 2] = self.pools.face.polarities[faces[row]]
                valence[row, 1] = self.pools.face.valences[faces[row]]
        window = {modality: part.nodes() for modality, part in zip(MODALITIES, rows, strict=True)}
        scores, valences, excited = (torch.from_numpy(part) for part in (score, valence, aroused))
        labels = torch.tensor(polarities), torch.from_numpy(own)
        return Batch(window, *labels, scores, valences, excited, self._past.draw(texts))

    def _draw(self, by_polarity: list[_Urn], polarity: int, mismatch: float) -> int:
        wanted = int(self._rng.integers(3)) if self._rng.random() < mismatch else polarity
        return by_polarity[wanted].draw(self._rng)

    def _add_voice(self, rows: _NodeRows, row: int, voice: int, text: int) -> tuple[float, float]:
        """Put a voice at a random position in the window; returns the span of the speech, in seconds."""
        if voice == NONE:
            words = self.pools.text.states[text].shape[0] if text != NONE else 1
            length = min(float(WINDOW_S), words * SECONDS_PER_WORD)
            begin = float(self._rng.uniform(0.0, WINDOW_S - length))
            return begin, begin + length
        variant = int(self._rng.integers(len(self.pools.voice.embeddings[voice])))
        embeddings, steps = self.pools.voice.embeddings[voice][variant], self.pools.voice.offsets[voice][variant]
        inside = steps < AUDIO
        embeddings, steps = embeddings[inside], steps[inside]
        length_steps = int(steps[-1]) + 1 if steps.size else 1
        first = int(self._rng.integers(0, AUDIO - length_steps + 1))
        starts = (first + steps) * SEGMENT_S
        rows.put(row, embeddings, starts, starts + SEGMENT_S)
        return first * SEGMENT_S, (first + length_steps) * SEGMENT_S

    def _add_words(self, rows: _NodeRows, row: int, text: int, begin: float, end: float) -> None:
        """Spread the words of a transcript evenly over the speech."""
        states = self.pools.text.states[text].astype(np.float32)
        edges = np.linspace(begin, end, states.shape[0] + 1)
        rows.put(row, states, edges[:-1], edges[1:])

    def _add_face(self, rows: _NodeRows, row: int, face: int) -> None:
        """Put a face into at least half of the frames, as a random variant in each."""
        frames = np.flatnonzero(self._rng.random(VIDEO) > self._rng.uniform(0.0, 0.5))
        variants = self._rng.integers(0, self.pools.face.embeddings.shape[1], size=frames.size)
        starts = frames / VIDEO_PER_SECOND
        rows.put(row, self.pools.face.embeddings[face, variants], starts, starts + 1.0 / VIDEO_PER_SECOND)


@dataclass(frozen=True, slots=True)
class _Urn:
    """Indices that are drawn with unequal chances: (n,) indices and the (n,) sums of their weights so far."""

    indices: Indices
    sums: npt.NDArray[np.float64]

    @classmethod
    def of(cls, chosen: npt.NDArray[np.bool_], weights: Floats) -> _Urn:
        indices = np.flatnonzero(chosen)
        return cls(indices, np.cumsum(weights[indices], dtype=np.float64))

    def draw(self, rng: np.random.Generator) -> int:
        return int(self.indices[np.searchsorted(self.sums, rng.random() * self.sums[-1], side="right")])


class _NodeRows:
    """Nodes of one modality of some windows, empty at first."""

    def __init__(self, size: int, capacity: int, width: int) -> None:
        self.values = np.zeros((size, capacity, width), dtype=np.float32)
        self.times = np.zeros((size, capacity, 2), dtype=np.float32)
        self.mask = np.zeros((size, capacity), dtype=np.float32)

    def put(
        self, row: int, values: npt.NDArray[np.float32], starts: npt.NDArray[np.floating[Any]], ends: npt.NDArray[np.floating[Any]]
    ) -> None:
        """Fill the first nodes of one window."""
        count = values.shape[0]
        self.values[row, :count] = values
        self.times[row, :count, 0], self.times[row, :count, 1] = starts, ends
        self.mask[row, :count] = 1.0

    def nodes(self) -> Nodes:
        """The nodes as tensors."""
        return Nodes(torch.from_numpy(self.values), torch.from_numpy(self.times), torch.from_numpy(self.mask))
