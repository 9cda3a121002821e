"""The context of training windows: the utterances before theirs in the video or the dialogue.

Their texts and speakers are the real ones. Voice and face are drawn by the polarity of the utterance, as for the window itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from stream.domain.context import CONTEXT_WINDOWS
from stream.domain.features import WIDTHS, Floats
from stream.domain.media_format import VOICE_WIDTH
from stream.domain.modality import MODALITIES, Modality
from stream.model.nodes import Past
from stream.training.features import Pools, TextPool

Draw = Callable[[int], int]
"""Draws the index of an item of a pool for a polarity."""


class PastMaker:
    """Draws the context of windows.

    `dropout` is the share of windows without a context, and the share of the other windows whose context lacks a modality.
    """

    def __init__(self, pools: Pools, draw_voice: Draw, draw_face: Draw, dropout: float, seed: int) -> None:
        self._pools = pools
        self._draw_voice, self._draw_face = draw_voice, draw_face
        self._dropout = dropout
        self._rng = np.random.default_rng([seed, CONTEXT_WINDOWS])
        self._earlier = earlier_utterances(pools.text)
        self._text_means: Floats = np.stack([states.astype(np.float32).mean(axis=0) for states in pools.text.states])
        self._face_means: Floats = pools.face.embeddings.mean(axis=1)

    def draw(self, texts: Sequence[int]) -> Past:
        """Draw the context of windows, given by the indices of their transcripts; a negative index has no context."""
        values = {m: np.zeros((len(texts), CONTEXT_WINDOWS, width), np.float32) for m, width in WIDTHS.items()}
        mask = {m: np.zeros((len(texts), CONTEXT_WINDOWS), np.float32) for m in MODALITIES}
        same = np.zeros((len(texts), CONTEXT_WINDOWS), np.float32)
        for row, text in enumerate(texts):
            if text < 0 or self._rng.random() < self._dropout:
                continue
            kept = [m for m in MODALITIES if self._rng.random() >= self._dropout]
            for index, rows in enumerate(self._earlier[text]):
                earlier = int(self._rng.choice(rows))
                same[row, index] = self._pools.text.utterances[earlier].speaker == self._pools.text.utterances[text].speaker
                for modality in kept:
                    values[modality][row, index] = self._mean(modality, earlier)
                    mask[modality][row, index] = 1.0
        lag = torch.arange(1, CONTEXT_WINDOWS + 1).expand(len(texts), -1)
        past_values, past_mask = ({m: torch.from_numpy(part[m]) for m in MODALITIES} for part in (values, mask))
        return Past(past_values, past_mask, lag, torch.from_numpy(same))

    def _mean(self, modality: Modality, text: int) -> Floats:
        """(width,) mean features of an earlier utterance; a voice without an audible segment gives zeros."""
        polarity = self._pools.text.utterances[text].polarity
        mean: Floats
        match modality:
            case Modality.TEXT:
                mean = self._text_means[text]
            case Modality.AUDIO:
                variants = self._pools.voice.embeddings[self._draw_voice(polarity)]
                segments = variants[int(self._rng.integers(len(variants)))]
                mean = segments.mean(axis=0) if len(segments) else np.zeros(VOICE_WIDTH, np.float32)
            case Modality.VIDEO:
                mean = self._face_means[self._draw_face(polarity)]
        return mean


def earlier_utterances(pool: TextPool) -> list[list[npt.NDArray[np.int64]]]:
    """For each row of a pool, up to `CONTEXT_WINDOWS` utterances before it in its group, newest first.

    An earlier utterance is given by its rows in the pool: a text may be there with and without punctuation.
    """
    groups: dict[tuple[str, str], dict[int, list[int]]] = {}
    for row, utterance in enumerate(pool.utterances):
        groups.setdefault((utterance.corpus, utterance.group), {}).setdefault(utterance.order, []).append(row)
    earlier: list[list[npt.NDArray[np.int64]]] = [[] for _ in pool.utterances]
    for by_order in groups.values():
        orders = sorted(by_order)
        for index, order in enumerate(orders):
            before = [np.array(by_order[other]) for other in reversed(orders[max(0, index - CONTEXT_WINDOWS) : index])]
            for row in by_order[order]:
                earlier[row] = before
    return earlier
