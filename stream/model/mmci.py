"""Multi-relational multimodal causal intervention: the graph network.

After MMCI (Jiang et al., arXiv 2508.04999), whose full text gives no equations that we could read: what follows is our
reconstruction from its abstract and from CAL (Sui et al., KDD 2022).

    (1) h_i   = LayerNorm(W_m LayerNorm(x_i) + e_m)                      m: modality of node i
    (2) [a^c, a^s]_ij,r = softmax(W^e_r [h_i || h_j]),  [b^c, b^s]_i = softmax(W^n h_i)
    (3) z_i^k = ReLU(W_0^k b_i^k h_i + sum_r 1/|N_r(i)| sum_{j in N_r(i)} a^k_ij,r W_r^k (b_j^k h_j)),   k in {c, s}
        kept in two parts: z_intra with the relations within i's modality, z_inter with those from other modalities
    (4) g^k   = concatenation over m of [sum_i w_i^k z_intra,i, sum_i w_i^k z_inter,i],  w_i^k = b_i^k / sum_{i in m} b_i^k

A message of relation r depends on the nodes of its source modality alone, and there is one layer of messages. So the
messages are computed once, and a coalition of modalities only decides which relations are added up in (3) and which
modalities are read out in (4): all eight coalitions cost little more than one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stream.domain.features import EMBEDDING
from stream.domain.modality import MODALITIES, Modality
from stream.encoders.shapes import WORD_WIDTH
from stream.model.attention import EdgeAttention, NodeAttention
from stream.model.backdoor import ShortcutBank
from stream.model.heads import Head
from stream.model.relations import RELATIONS, Relation, neighbours

WIDTHS: dict[Modality, int] = {Modality.TEXT: WORD_WIDTH, Modality.AUDIO: EMBEDDING, Modality.VIDEO: EMBEDDING}


@dataclass(frozen=True, slots=True)
class MMCIConfig:
    """Sizes of the network.

    Attributes:
        hidden: Width H of node states.
        head_hidden: Width of a head's hidden layer.
        strata: Number K of shortcut prototypes.
        dropout: On node inputs and in the heads, while training.
    """

    hidden: int = 64
    head_hidden: int = 64
    strata: int = 8
    dropout: float = 0.4

    @property
    def readout(self) -> int:
        """Width G of a read-out: an intra- and an inter-modal part for each modality."""
        return 2 * len(MODALITIES) * self.hidden


class Nodes(NamedTuple):
    """The nodes of one modality of a batch of windows.

    Attributes:
        values: (B, N_m, width) encoder outputs.
        times: (B, N_m, 2) start and end, seconds.
        mask: (B, N_m), 0 where there is no node.
    """

    values: Tensor
    times: Tensor
    mask: Tensor


class Stream(NamedTuple):
    """One stream (causal or shortcut) of a batch of windows, S coalitions each.

    Attributes:
        readout: (B, S, G) g^k of equation (4).
        weights: By modality (B, N_m), w_i^k of equation (4).
        intra: By modality (B, N_m, H), z_intra.
        inter: By modality (B, S, N_m, H), z_inter.
    """

    readout: Tensor
    weights: dict[Modality, Tensor]
    intra: dict[Modality, Tensor]
    inter: dict[Modality, Tensor]


class Streams(NamedTuple):
    """Both streams and b^c by modality, (B, N_m), 0 where there is no node."""

    causal: Stream
    shortcut: Stream
    attention: dict[Modality, Tensor]


Window = dict[Modality, Nodes]


class NodeEncoder(nn.Module):
    """Equation (1) for one modality."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.before = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(width, hidden)
        self.after = nn.LayerNorm(hidden)

    def forward(self, values: Tensor) -> Tensor:
        """(B, N_m, width) to (B, N_m, H). The bias of ``project`` is the modality's embedding e_m."""
        states: Tensor = self.after(self.project(self.dropout(self.before(values))))
        return states


class RelationalStream(nn.Module):
    """Equations (3) and (4) of one stream k."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.own = nn.ModuleDict({modality: nn.Linear(hidden, hidden) for modality in MODALITIES})
        self.message = nn.ModuleDict({relation.name: nn.Linear(hidden, hidden, bias=False) for relation in RELATIONS})

    def forward(self, nodes: dict[Modality, Tensor], share: dict[Modality, Tensor], edges: dict[str, Tensor], gates: Tensor) -> Stream:
        """Pass messages and read out.

        Args:
            nodes: By modality (B, N_m, H), h.
            share: By modality (B, N_m), b^k, 0 where there is no node.
            edges: By relation (B, I, J), a^k_ij,r / |N_r(i)|, 0 where j does not send to i.
            gates: (B or 1, S, 3), 1 where a modality belongs to the coalition.
        """
        offered = {m: share[m].unsqueeze(-1) * nodes[m] for m in MODALITIES}
        weights = {m: share[m] / share[m].sum(dim=1, keepdim=True).clamp_min(1e-6) for m in MODALITIES}
        heard = {r.name: edges[r.name] @ self.message[r.name](offered[r.source]) for r in RELATIONS}
        intra = {m: F.relu(self.own[m](offered[m]) + sum(heard[r.name] for r in _within(m))) for m in MODALITIES}
        inter = {m: F.relu(sum(_gate(gates, r.source) * heard[r.name].unsqueeze(1) for r in _across(m))) for m in MODALITIES}
        parts = [_read_out(weights[m], intra[m], inter[m], gates, m) for m in MODALITIES]
        return Stream(torch.cat(parts, dim=-1), weights, intra, inter)


class MMCI(nn.Module):
    """Equations (1) to (4), the three heads of the loss (5) and the shortcut bank of the adjustment."""

    def __init__(self, config: MMCIConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or MMCIConfig()
        self.encode = nn.ModuleDict({m: NodeEncoder(WIDTHS[m], config.hidden, config.dropout) for m in MODALITIES})
        self.node_attention = NodeAttention(config.hidden)
        self.edge_attention = nn.ModuleDict({relation.name: EdgeAttention(config.hidden) for relation in RELATIONS})
        self.causal = RelationalStream(config.hidden)
        self.shortcut = RelationalStream(config.hidden)
        self.head_causal = Head(config.readout, config.head_hidden, config.dropout)
        self.head_shortcut = Head(config.readout, config.head_hidden, config.dropout)
        self.head = Head(config.readout, config.head_hidden, config.dropout)
        self.bank = ShortcutBank(config.strata, config.readout)

    def forward(self, window: Window, gates: Tensor) -> Streams:
        """Windows to both streams' read-outs.

        Args:
            window: Nodes of every modality; any of them may be fully masked.
            gates: (B or 1, S, 3), which modalities each of the S coalitions has.
        """
        nodes = {m: self.encode[m](window[m].values) for m in MODALITIES}
        attention = {m: self.node_attention(nodes[m]) for m in MODALITIES}
        causal_share = {m: attention[m] * window[m].mask for m in MODALITIES}
        shortcut_share = {m: (1.0 - attention[m]) * window[m].mask for m in MODALITIES}
        causal_edges: dict[str, Tensor] = {}
        shortcut_edges: dict[str, Tensor] = {}
        for relation in RELATIONS:
            source, target = window[relation.source], window[relation.target]
            hears = neighbours(relation, target.times, source.times, source.mask)
            hears = hears / hears.sum(dim=2, keepdim=True).clamp_min(1.0)
            edge = self.edge_attention[relation.name](nodes[relation.target], nodes[relation.source])
            causal_edges[relation.name] = hears * edge
            shortcut_edges[relation.name] = hears - causal_edges[relation.name]
        return Streams(
            self.causal(nodes, causal_share, causal_edges, gates),
            self.shortcut(nodes, shortcut_share, shortcut_edges, gates),
            causal_share,
        )


def _within(modality: Modality) -> list[Relation]:
    return [r for r in RELATIONS if r.within and r.target is modality]


def _across(modality: Modality) -> list[Relation]:
    return [r for r in RELATIONS if not r.within and r.target is modality]


def _gate(gates: Tensor, modality: Modality) -> Tensor:
    """(B or 1, S, 1, 1) gate of one modality."""
    return gates[:, :, MODALITIES.index(modality)].unsqueeze(-1).unsqueeze(-1)


def _read_out(weights: Tensor, intra: Tensor, inter: Tensor, gates: Tensor, modality: Modality) -> Tensor:
    """Equation (4) for one modality: (B, S, 2H)."""
    gate = _gate(gates, modality).squeeze(-1)
    intra_mean = weights.unsqueeze(1) @ intra
    inter_mean = (weights.unsqueeze(1).unsqueeze(1) @ inter).squeeze(2)
    return torch.cat([gate * intra_mean, gate * inter_mean], dim=-1)
