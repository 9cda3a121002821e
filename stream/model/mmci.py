"""Multi-relational multimodal causal intervention: the graph network.

This is a reconstruction of MMCI (Jiang et al., arXiv 2508.04999) from its abstract and from CAL (Sui et al., KDD 2022); its
full text was not available to us.

    (1) h_i   = LayerNorm(W_m LayerNorm(x_i) + e_m)                      m: modality of node i
    (2) [a^c, a^s]_ij,r = softmax(W^e_r [h_i || h_j]),  [b^c, b^s]_i = softmax(W^n h_i)
    (3) z_i^k = ReLU(W_0^k b_i^k h_i + sum_r 1/|N_r(i)| sum_{j in N_r(i)} a^k_ij,r W_r^k (b_j^k h_j)),   k in {c, s}
        in two parts: z_intra with the relations within the modality of i, z_inter with those from other modalities
    (4) g^k   = concatenation over m of [sum_i w_i^k z_intra,i, sum_i w_i^k z_inter,i, skip_m^k],
        w_i^k = b_i^k / sum_{i in m} b_i^k,   skip_m^c = S_m sum_i w_i^c x_i,   skip_m^s = 0

The skip is ours. Through it, the encoder outputs themselves reach the causal read-out, as they do in plain concatenation, and the
graph adds what relations between nodes tell. It is linear and without LayerNorm, so the level of an encoder output is kept. The
shortcut stream has zeros in its place, so adding g^s to g^c (recombination and adjustment) leaves the skip unchanged.

Past windows of the session are nodes too: one for each window and modality, the mean of the window's nodes plus an embedding
of its age in windows. They send messages through relations of their own, for the same and for other speakers, and receive none.

A message of relation r depends only on the nodes of its source modality, and there is only one layer of messages. So the
messages are computed once; a coalition of modalities only selects the relations that are summed in (3) and the modalities
that are read out in (4). All coalitions cost little more than one.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from stream.domain.modality import MODALITIES, Modality
from stream.model.attention import EdgeAttention, NodeAttention
from stream.model.backdoor import ShortcutBank
from stream.model.config import MMCIConfig
from stream.model.heads import Head
from stream.model.nodes import Past, Window, no_past
from stream.model.relations import neighbours, past_group, past_neighbours
from stream.model.streams import Groups, Messages, RelationalStream, Stream

EVEN_SHARE = 0.5
"""Causal share of every node and edge without attention."""


class Streams(NamedTuple):
    """Both streams and b^c by modality, (B, N_m), 0 where there is no node."""

    causal: Stream
    shortcut: Stream
    attention: dict[Modality, Tensor]


class Graph(NamedTuple):
    """A batch of windows before a coalition is chosen.

    Attributes:
        nodes: By group (B, J, H), h.
        causal: Messages of the causal stream.
        shortcut: Messages of the shortcut stream.
        attention: By modality (B, N_m), b^c, 0 where there is no node.
    """

    nodes: Groups
    causal: Messages
    shortcut: Messages
    attention: dict[Modality, Tensor]


class NodeEncoder(nn.Module):
    """Equation (1) for the nodes of one modality."""

    def __init__(self, width: int, hidden: int, dropout: float, *, normalise: bool = True) -> None:
        super().__init__()
        self.width = width
        self.before = nn.LayerNorm(width) if normalise else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(width, hidden)
        self.after = nn.LayerNorm(hidden)

    def forward(self, values: Tensor) -> Tensor:
        """(B, N_m, width or more) to (B, N_m, H). The bias of ``project`` is the modality's embedding e_m."""
        states: Tensor = self.after(self.project(self.dropout(self.before(values[..., : self.width]))))
        return states


class MMCI(nn.Module):
    """Equations (1) to (4), the three heads of the loss (5) and the shortcut bank of the adjustment."""

    def __init__(self, config: MMCIConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or MMCIConfig()
        widths = zip(MODALITIES, config.widths, strict=True)
        self.encode = nn.ModuleDict(
            {m: NodeEncoder(width, config.hidden, config.dropout_of(m), normalise=m not in config.evidence) for m, width in widths}
        )
        self.node_attention = NodeAttention(config.hidden)
        names = dict.fromkeys(config.weights_of(relation) for relation in config.relations)
        self.edge_attention = nn.ModuleDict({name: EdgeAttention(config.hidden) for name in names})
        self.causal = RelationalStream(config, skip=config.skip)
        self.shortcut = RelationalStream(config, skip=False)
        self.head_causal = Head(config.readout, config.head_hidden, config.dropout)
        self.head_shortcut = Head(config.readout, config.head_hidden, config.dropout)
        self.head = Head(config.readout, config.head_hidden, config.dropout)
        self.bank = ShortcutBank(config.strata, config.readout)
        if config.past:
            self.age = nn.Embedding(2 * config.past + 1, config.hidden)

    def forward(self, window: Window, gates: Tensor, past: Past | None = None) -> Streams:
        """Compute the read-outs of both streams.

        Args:
            window: Nodes of every modality; any modality may be fully masked.
            gates: (B or 1, S, 3), 1 where a modality belongs to one of the S coalitions.
            past: Past windows; None for none. Ignored where the configuration has no past.
        """
        graph = self.pass_messages(window, past)
        return Streams(self.causal.read(window, graph.causal, gates), self.shortcut.read(window, graph.shortcut, gates), graph.attention)

    def pass_messages(self, window: Window, past: Past | None = None) -> Graph:
        """Equations (1) to (3) as far as no coalition matters; the arguments are those of `forward`."""
        nodes: Groups = {m: self.encode[m](window[m].values) for m in MODALITIES}
        mask: Groups = {m: window[m].mask for m in MODALITIES}
        if self.config.past:
            past = past or no_past(window)
            nodes |= {past_group(m): self.encode[m](past.values[m]) + self.age(past.lag + self.config.past) for m in MODALITIES}
            mask |= {past_group(m): past.mask[m] for m in MODALITIES}
        causal = {group: self._share(states) * mask[group] for group, states in nodes.items()}
        shortcut = {group: mask[group] - causal[group] for group in nodes}
        causal_edges, shortcut_edges = self._edges(window, past, nodes)
        return Graph(
            nodes,
            self.causal.messages(nodes, causal, causal_edges),
            self.shortcut.messages(nodes, shortcut, shortcut_edges),
            {m: causal[m] for m in MODALITIES},
        )

    def _share(self, states: Tensor) -> Tensor:
        """(B, J, H) to (B, J), b^c."""
        share: Tensor = self.node_attention(states) if self.config.attention else torch.full_like(states[..., 0], EVEN_SHARE)
        return share

    def _edges(self, window: Window, past: Past | None, nodes: Groups) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Equation (2) divided by |N_r(i)|: by relation, the (B, I, J) causal and shortcut edges."""
        causal: dict[str, Tensor] = {}
        shortcut: dict[str, Tensor] = {}
        for relation in self.config.relations:
            source, target = window[relation.source], window[relation.target]
            if relation.from_past and past is not None:
                edges = past_neighbours(relation, target.mask.shape[1], past)
            else:
                edges = neighbours(relation, target.times, source.times, source.mask)
            edges = edges / edges.sum(dim=2, keepdim=True).clamp_min(1.0)
            causal_edges = EVEN_SHARE * edges
            if self.config.attention:
                weights = self.edge_attention[self.config.weights_of(relation)]
                causal_edges = edges * weights(nodes[relation.target], nodes[relation.sender])
            causal[relation.name], shortcut[relation.name] = causal_edges, edges - causal_edges
        return causal, shortcut
