"""Windows put together from parts: a transcript, a voice and a face of the same polarity.

There is no corpus with all three here. So a window's three parts come from three people who never met; all they share is
the polarity of their labels. What it hears of earlier windows is put together likewise (`stream.training.past`).
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

from stream.domain.features import EMBEDDING
from stream.domain.modality import MODALITIES
from stream.encoders.shapes import AUDIO_PER_SECOND, SEGMENT_MS, VIDEO_PER_SECOND, WORD_WIDTH, WORDS_PER_SECOND
from stream.model.interface import Nodes, Past, Window
from stream.training.features import Pools
from stream.training.past import PastMaker

WINDOW_S = 4
WORDS, AUDIO, VIDEO = WINDOW_S * WORDS_PER_SECOND, WINDOW_S * AUDIO_PER_SECOND, WINDOW_S * VIDEO_PER_SECOND
SEGMENT_S = SEGMENT_MS / 1_000
SECONDS_PER_WORD = 0.35
NONE = -1
"""In place of an index: this window has no such part."""

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows with their targets.

    Attributes:
        window: Nodes of every modality.
        polarity: (B,) int64.
        score: (B,) MOSI's score; NaN where the transcript has none.
        valence: (B, 2) valence constants of voice and face.
        past: What they hear of earlier windows.
    """

    window: Window
    polarity: Tensor
    score: Tensor
    valence: Tensor
    past: Past


class WindowMaker:
    """Puts windows together from the pools of one part of the corpora.

    Attributes:
        pools: Where the parts come from.
    """

    def __init__(
        self, pools: Pools, seed: int, *, voice_mismatch: float = 0.0, face_mismatch: float = 0.0, past_dropout: float = 0.0
    ) -> None:
        """Set up.

        Args:
            pools: Where the parts come from.
            seed: Of every choice.
            voice_mismatch: Share of windows whose voice is of a random polarity.
            face_mismatch: Share of windows whose face is of a random polarity.
            past_dropout: Share of windows that hear no earlier one; of the others, each modality lacks in as many.
        """
        self.pools = pools
        self._rng = np.random.default_rng(seed)
        self._voices = [np.flatnonzero(pools.voice.polarities == polarity) for polarity in range(3)]
        self._faces = [np.flatnonzero(pools.face.polarities == polarity) for polarity in range(3)]
        self._draw_voice = partial(self._draw, self._voices, mismatch=voice_mismatch)
        self._draw_face = partial(self._draw, self._faces, mismatch=face_mismatch)
        self._past = PastMaker(pools, self._draw_voice, self._draw_face, past_dropout, seed)

    def paired(self, texts: Sequence[int]) -> Batch:
        """Windows with the given transcripts, each with a random voice and a random face of its polarity."""
        polarities = [self.pools.text.utterances[index].polarity for index in texts]
        voices = [self._draw_voice(polarity) for polarity in polarities]
        faces = [self._draw_face(polarity) for polarity in polarities]
        return self.make(texts, voices, faces, polarities)

    def voices_only(self, voices: Sequence[int]) -> Batch:
        """Windows with nothing but the given voices."""
        none = [NONE] * len(voices)
        return self.make(none, voices, none, [int(self.pools.voice.polarities[index]) for index in voices])

    def faces_only(self, faces: Sequence[int]) -> Batch:
        """Windows with nothing but the given faces."""
        none = [NONE] * len(faces)
        return self.make(none, none, faces, [int(self.pools.face.polarities[index]) for index in faces])

    def make(self, texts: Sequence[int], voices: Sequence[int], faces: Sequence[int], polarities: Sequence[int]) -> Batch:
        """Windows from indices into the pools, `NONE` for no such part; targets are the given polarities."""
        size = len(polarities)
        rows = [_EmptyRows(size, WORDS, WORD_WIDTH), _EmptyRows(size, AUDIO, EMBEDDING), _EmptyRows(size, VIDEO, EMBEDDING)]
        score = np.full(size, np.nan, dtype=np.float32)
        valence = np.zeros((size, 2), dtype=np.float32)
        for row in range(size):
            begin, end = self._speech(rows[1], row, voices[row], texts[row])
            if texts[row] != NONE:
                self._say(rows[0], row, texts[row], begin, end)
                given = self.pools.text.utterances[texts[row]].score
                score[row] = np.nan if given is None else given
            if voices[row] != NONE:
                valence[row, 0] = self.pools.voice.valences[voices[row]]
            if faces[row] != NONE:
                self._look(rows[2], row, faces[row])
                valence[row, 1] = self.pools.face.valences[faces[row]]
        window = {modality: part.nodes() for modality, part in zip(MODALITIES, rows, strict=True)}
        return Batch(window, torch.tensor(polarities), torch.from_numpy(score), torch.from_numpy(valence), self._past.draw(texts))

    def _draw(self, by_polarity: list[Indices], polarity: int, mismatch: float) -> int:
        wanted = int(self._rng.integers(3)) if self._rng.random() < mismatch else polarity
        return int(self._rng.choice(by_polarity[wanted]))

    def _speech(self, rows: _EmptyRows, row: int, voice: int, text: int) -> tuple[float, float]:
        """Place a voice in the window; returns the span of the speech, in seconds."""
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

    def _say(self, rows: _EmptyRows, row: int, text: int, begin: float, end: float) -> None:
        """Spread a transcript's words over the speech."""
        states = self.pools.text.states[text].astype(np.float32)
        edges = np.linspace(begin, end, states.shape[0] + 1)
        rows.put(row, states, edges[:-1], edges[1:])

    def _look(self, rows: _EmptyRows, row: int, face: int) -> None:
        """Show a face in most frames, a little different in each."""
        seen = np.flatnonzero(self._rng.random(VIDEO) > self._rng.uniform(0.0, 0.5))
        variants = self._rng.integers(0, self.pools.face.embeddings.shape[1], size=seen.size)
        starts = seen / VIDEO_PER_SECOND
        rows.put(row, self.pools.face.embeddings[face, variants], starts, starts + 1.0 / VIDEO_PER_SECOND)


class _EmptyRows:
    """Rows of one modality that nodes are put into."""

    def __init__(self, size: int, capacity: int, width: int) -> None:
        self.values = np.zeros((size, capacity, width), dtype=np.float32)
        self.times = np.zeros((size, capacity, 2), dtype=np.float32)
        self.mask = np.zeros((size, capacity), dtype=np.float32)

    def put(
        self, row: int, values: npt.NDArray[np.float32], starts: npt.NDArray[np.floating[Any]], ends: npt.NDArray[np.floating[Any]]
    ) -> None:
        """Fill the first places of one row."""
        count = values.shape[0]
        self.values[row, :count] = values
        self.times[row, :count, 0], self.times[row, :count, 1] = starts, ends
        self.mask[row, :count] = 1.0

    def nodes(self) -> Nodes:
        """As tensors."""
        return Nodes(torch.from_numpy(self.values), torch.from_numpy(self.times), torch.from_numpy(self.mask))
