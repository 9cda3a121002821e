"""What training windows hear of earlier ones: the utterances before theirs in the video or the dialogue.

Their texts are the real ones, with who says them; voice and face are drawn as for the window itself, by the polarity of the utterance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from stream.domain.context import CONTEXT_WINDOWS
from stream.domain.features import Floats
from stream.domain.media_format import EMBEDDING_WIDTH, WORD_WIDTH
from stream.domain.modality import MODALITIES, Modality
from stream.model.nodes import Past
from stream.training.features import Pools, TextPool

Draw = Callable[[int], int]
"""An item of a pool for a polarity."""


class PastMaker:
    """Draws the past of windows.

    Args:
        pools: Where the parts come from.
        draw_voice: Draws a recording.
        draw_face: Draws an image.
        dropout: Share of windows without past; of the others, each modality lacks in the past of as many.
        seed: Of every other choice.
    """

    def __init__(self, pools: Pools, draw_voice: Draw, draw_face: Draw, dropout: float, seed: int) -> None:
        self._pools = pools
        self._draw_voice, self._draw_face = draw_voice, draw_face
        self._dropout = dropout
        self._rng = np.random.default_rng([seed, CONTEXT_WINDOWS])
        self._earlier = earlier_utterances(pools.text)
        self._said: Floats = np.stack([states.astype(np.float32).mean(axis=0) for states in pools.text.states])
        self._seen: Floats = pools.face.embeddings.mean(axis=1)

    def draw(self, texts: Sequence[int]) -> Past:
        """Of windows with these transcripts (a negative number for none)."""
        widths = {Modality.TEXT: WORD_WIDTH, Modality.AUDIO: EMBEDDING_WIDTH, Modality.VIDEO: EMBEDDING_WIDTH}
        values = {m: np.zeros((len(texts), CONTEXT_WINDOWS, width), np.float32) for m, width in widths.items()}
        mask = {m: np.zeros((len(texts), CONTEXT_WINDOWS), np.float32) for m in MODALITIES}
        same = np.zeros((len(texts), CONTEXT_WINDOWS), np.float32)
        for row, text in enumerate(texts):
            if text < 0 or self._rng.random() < self._dropout:
                continue
            heard = [m for m in MODALITIES if self._rng.random() >= self._dropout]
            for place, rows in enumerate(self._earlier[text]):
                one = int(self._rng.choice(rows))
                same[row, place] = self._pools.text.utterances[one].speaker == self._pools.text.utterances[text].speaker
                for modality in heard:
                    values[modality][row, place] = self._mean(modality, one)
                    mask[modality][row, place] = 1.0
        lag = torch.arange(1, CONTEXT_WINDOWS + 1).expand(len(texts), -1)
        heard_values, heard_mask = ({m: torch.from_numpy(part[m]) for m in MODALITIES} for part in (values, mask))
        return Past(heard_values, heard_mask, lag, torch.from_numpy(same))

    def _mean(self, modality: Modality, text: int) -> Floats:
        polarity = self._pools.text.utterances[text].polarity
        mean: Floats
        match modality:
            case Modality.TEXT:
                mean = self._said[text]
            case Modality.AUDIO:
                variants = self._pools.voice.embeddings[self._draw_voice(polarity)]
                heard = variants[int(self._rng.integers(len(variants)))]
                mean = heard.mean(axis=0) if len(heard) else np.zeros(EMBEDDING_WIDTH, np.float32)
            case Modality.VIDEO:
                mean = self._seen[self._draw_face(polarity)]
        return mean


def earlier_utterances(pool: TextPool) -> list[list[npt.NDArray[np.int64]]]:
    """For every row of a pool the utterances before it in its group, the newest first: for each its rows, at most `CONTEXT_WINDOWS`."""
    groups: dict[tuple[str, str], dict[int, list[int]]] = {}
    for row, utterance in enumerate(pool.utterances):
        groups.setdefault((utterance.corpus, utterance.group), {}).setdefault(utterance.order, []).append(row)
    earlier: list[list[npt.NDArray[np.int64]]] = [[] for _ in pool.utterances]
    for by_order in groups.values():
        orders = sorted(by_order)
        for place, order in enumerate(orders):
            before = [np.array(by_order[other]) for other in reversed(orders[max(0, place - CONTEXT_WINDOWS) : place])]
            for row in by_order[order]:
                earlier[row] = before
    return earlier
