"""A corpus as batches of `ModelInput`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from research.experiments.corpus import NO_WINDOW, Corpus, Features, PastOfOthers, Rows, neighbours_in_time, with_past_of_others
from research.models.interface import ModelInput, Targets
from stream.domain.features import Floats
from stream.domain.media_format import WORD_WIDTH
from stream.domain.modality import MODALITIES, Modality
from stream.model.nodes import Nodes, Past, Window
from stream.training.tokens import TokenTable, shuffled_by_length, tokenised


def with_earlier_words(corpus: Corpus, context: int) -> TokenTable:
    """Tokenise the words of each window after those of `context` earlier utterances of its video or dialogue."""
    earlier, _ = neighbours_in_time(corpus, context, 0)
    before = ([word for row in rows[::-1] if row != NO_WINDOW for word in corpus.texts[row].split()] for rows in earlier)
    return tokenised(zip(corpus.texts, before, strict=True))


class Windows:
    """Batches of a corpus.

    Attributes:
        corpus: The corpus.
        widths: Width of the nodes of each modality that the corpus has.
        past: Number K of windows in the context of each window.
        strata: Number of known shortcut strata; 0 if there are none.
    """

    def __init__(
        self,
        corpus: Corpus,
        *,
        past: int = 0,
        future: int = 0,
        others: PastOfOthers = "real",
        seed: int = 0,
        tokens: tuple[TokenTable, ...] | None = None,
        strata: Rows | None = None,
        weights: Floats | None = None,
    ) -> None:
        """Prepare the features and the contexts.

        Args:
            corpus: Standardised features.
            past: Earlier windows in the context.
            future: Later windows in the context.
            others: Treatment of other speakers' windows; see `with_past_of_others`.
            seed: Seed of the lines that are drawn if they are shuffled.
            tokens: Word pieces of each text node, for a text encoder that is trained with the model and computes these nodes.
            strata: (n,) shortcut stratum of each window, if known.
            weights: (n,) weight of each window in training; None for equal weights.
        """
        self.corpus = corpus
        self._tokens = tokens
        features = dict(corpus.features)
        if tokens is not None:
            views = len(corpus), len(tokens)
            features[Modality.TEXT] = Features(np.zeros((*views, WORD_WIDTH), np.float32), np.ones(views, np.float32))
        self.widths = {m: features[m].values.shape[2] for m in MODALITIES if m in features}
        nothing = Features(np.zeros((len(corpus), 1, 1), np.float32), np.zeros((len(corpus), 1), np.float32))
        self._nodes = {m: _tensors(features.get(m, nothing)) for m in MODALITIES}
        self._means = {m: _mean(*nodes) for m, nodes in self._nodes.items()}
        around, lags = neighbours_in_time(corpus, past, future)
        self.past = around.shape[1]
        self._around, self._lags = torch.from_numpy(with_past_of_others(corpus, around, others, seed)), torch.from_numpy(lags)
        speakers = np.unique(np.array(corpus.speakers), return_inverse=True)[1]
        self._speakers = torch.from_numpy(speakers.astype(np.int64))
        self.strata = 0 if strata is None else int(strata.max()) + 1
        self._strata = None if strata is None else torch.from_numpy(strata)
        self._weights = None if weights is None else torch.from_numpy(weights)
        self._scores, self._polarities = torch.from_numpy(corpus.scores), torch.from_numpy(corpus.polarities)

    def batch(self, rows: Rows) -> tuple[ModelInput, Targets]:
        """The windows at some indices."""
        chosen = torch.from_numpy(rows)
        window: Window = {}
        for modality, (values, mask) in self._nodes.items():
            own = mask[chosen]
            window[modality] = Nodes(values[chosen], _even_times(own), own)
        tokens = tuple(table.batch(rows.tolist()) for table in self._tokens or ())
        weight, stratum = (None if own is None else own[chosen] for own in (self._weights, self._strata))
        targets = Targets(self._scores[chosen], self._polarities[chosen], chosen, weight, stratum)
        return ModelInput(window, self._past(chosen), tokens), targets

    def batches(self, rows: Rows, size: int) -> Iterator[tuple[ModelInput, Targets]]:
        """The windows at some indices in batches, in their order."""
        for start in range(0, rows.size, size):
            yield self.batch(rows[start : start + size])

    def shuffled(self, rows: Rows, size: int, rng: np.random.Generator) -> Rows:
        """Shuffle indices for batches of `size`; with tokens, the windows of a batch have similar lengths."""
        if self._tokens is None:
            return rng.permutation(rows)
        return shuffled_by_length(rows, np.sum([table.lengths for table in self._tokens], axis=0), size, rng)

    def _past(self, chosen: Tensor) -> Past:
        around = self._around[chosen]
        there = (around != NO_WINDOW).float()
        rows = around.clamp_min(0)
        without_past = {Modality.TEXT} if self._tokens else set()
        mask = {m: there * (0.0 if m in without_past else 1.0) * self._nodes[m][1].amax(dim=1)[rows] for m in MODALITIES}
        values = {m: self._means[m][rows] * mask[m].unsqueeze(-1) for m in MODALITIES}
        same = (self._speakers[rows] == self._speakers[chosen].unsqueeze(1)).float()
        return Past(values, mask, self._lags[chosen], same)


def _tensors(features: Features) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(features.values.astype(np.float32)), torch.from_numpy(features.mask.astype(np.float32))


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask.unsqueeze(-1)).sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp_min(1.0)


def _even_times(mask: Tensor) -> Tensor:
    """(B, N) masks to (B, N, 2) times: consecutive nodes, one second together. The corpora have no times of their own."""
    steps = mask.shape[1]
    edges = torch.linspace(0.0, 1.0, steps + 1)
    return torch.stack([edges[:-1], edges[1:]], dim=-1).expand(mask.shape[0], -1, -1)
