"""A MiniLM that is trained together with any model of the tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext

import torch
from torch import Tensor

from research.models.interface import ModelInput, Prediction, SentimentModel, Targets
from stream.domain.modality import Modality
from stream.model.minilm import MiniLM, pool
from stream.model.nodes import Nodes
from stream.training.loop import low_precision
from stream.training.tokens import Tokens


class WithTextEncoder(SentimentModel):
    """Any variant with text nodes from a MiniLM: the mean states of the window's own pieces.

    There is a node for each configured number of earlier utterances before them. In training the encoder runs in bfloat16 where
    that is faster; answers are always in float32.
    """

    def __init__(self, encoder: MiniLM, inner: SentimentModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.inner = inner

    def forward(self, inputs: ModelInput) -> Prediction:
        """Answer with the inner variant."""
        return self.inner.predict(self._encoded(inputs))

    def loss(self, inputs: ModelInput, targets: Targets, generator: torch.Generator) -> Tensor:
        """The loss of the inner variant."""
        return self.inner.loss(self._encoded(inputs), targets, generator)

    def after_epoch(self, training: Iterable[tuple[ModelInput, Targets]], generator: torch.Generator) -> None:
        """Call the hook of the inner variant."""

        def encoded() -> Iterator[tuple[ModelInput, Targets]]:
            for inputs, targets in training:
                yield self._encoded(inputs), targets

        self.inner.after_epoch(encoded(), generator)

    def _encoded(self, inputs: ModelInput) -> ModelInput:
        if not inputs.tokens:
            raise ValueError("a model with a text encoder needs tokens")
        text = torch.stack([self._pooled(tokens) for tokens in inputs.tokens], dim=1)
        nodes = inputs.window[Modality.TEXT]
        return inputs._replace(window=inputs.window | {Modality.TEXT: Nodes(text, nodes.times, nodes.mask)}, tokens=())

    def _pooled(self, tokens: Tokens) -> Tensor:
        """(B, 384) mean states of the windows' own pieces."""
        with low_precision() if self.training else nullcontext():
            states = self.encoder(tokens.ids, tokens.mask)
        return pool(states.float(), tokens.own)
