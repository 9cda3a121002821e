"""A plain relational graph network: Schlichtkrull et al., ESWC 2018, equation (2), on the graph that MMCI uses.

    h_i' = ReLU(W_0 h_i + sum_r 1/|N_r(i)| sum_{j in N_r(i)} W_r h_j)

No attention, no shortcut stream; the read-out is the mean over each modality's nodes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from research.models.interface import ModelInput, Prediction, SentimentModel, predicted, utterance
from stream.domain.modality import MODALITIES
from stream.model.config import MMCIConfig
from stream.model.heads import Head
from stream.model.mmci import NodeEncoder
from stream.model.nodes import Nodes
from stream.model.relations import neighbours, past_neighbours


class RelationalGraph(SentimentModel):
    """One layer of equation (2) over the relations of `MMCIConfig`."""

    def __init__(self, config: MMCIConfig) -> None:
        super().__init__()
        self.config = config
        widths = zip(MODALITIES, config.widths, strict=True)
        self.encode = nn.ModuleDict({m: NodeEncoder(width, config.hidden, config.dropout) for m, width in widths})
        self.own = nn.Linear(config.hidden, config.hidden)
        self.message = nn.ModuleDict({r.name: nn.Linear(config.hidden, config.hidden, bias=False) for r in config.relations})
        self.head = Head(len(MODALITIES) * config.hidden, config.head_hidden, config.dropout)

    def forward(self, inputs: ModelInput) -> Prediction:
        """Pass messages, and apply the head to the (B, 3 H) means over nodes."""
        nodes = {m: self.encode[m](inputs.window[m].values) for m in MODALITIES}
        past = {m: self.encode[m](inputs.past.values[m]) for m in MODALITIES}
        received: dict[str, Tensor] = {m: self.own(nodes[m]) for m in MODALITIES}
        for relation in self.config.relations:
            source, target = inputs.window[relation.source], inputs.window[relation.target]
            if relation.from_past:
                edges, sent = past_neighbours(relation, target.mask.shape[1], inputs.past), past[relation.source]
            else:
                edges, sent = neighbours(relation, target.times, source.times, source.mask), nodes[relation.source]
            mean = (edges / edges.sum(dim=2, keepdim=True).clamp_min(1.0)) @ sent
            received[relation.target] = received[relation.target] + self.message[relation.name](mean)
        states = [utterance(Nodes(F.relu(received[m]), inputs.window[m].times, inputs.window[m].mask)) for m in MODALITIES]
        return predicted(self.head, torch.cat(states, dim=1))
