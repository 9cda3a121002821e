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
that are read out in (4). All eight coalitions cost little more than one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stream.domain.features import WIDTHS
from stream.domain.modality import MODALITIES, Modality
from stream.model.attention import EdgeAttention, NodeAttention
from stream.model.backdoor import ShortcutBank
from stream.model.heads import Head
from stream.model.nodes import Past, Window, no_past
from stream.model.relations import PAST_RELATIONS, RELATIONS, Relation, neighbours, past_group, past_neighbours

EVEN_SHARE = 0.5
"""Causal share of every node and edge without attention."""


@dataclass(frozen=True, slots=True)
class MMCIConfig:
    """Sizes of the network.

    Attributes:
        hidden: Width H of node states.
        head_hidden: Width of a head's hidden layer.
        strata: Number K of shortcut prototypes.
        dropout: Of node inputs and in the heads, in training.
        widths: Widths of text, audio and video nodes: how many of their numbers are read, from the first.
        evidence: Modalities whose numbers are few and mean something each. They are neither normalised, which would hide how strong
            the evidence is, nor dropped in training.
        past: Number K of past windows in the context; 0 for none.
        intra: Use the relations within a modality.
        inter: Use the relations across modalities.
        typed: Learn weights for each relation; else all relations share theirs.
        attention: Learn the causal and shortcut shares; else each is `EVEN_SHARE`.
        skip: Add the pooled encoder outputs to the causal read-out.
    """

    hidden: int = 64
    head_hidden: int = 64
    strata: int = 8
    dropout: float = 0.4
    widths: tuple[int, int, int] = (WIDTHS[Modality.TEXT], WIDTHS[Modality.AUDIO], WIDTHS[Modality.VIDEO])
    evidence: tuple[Modality, ...] = ()
    past: int = 0
    intra: bool = True
    inter: bool = True
    typed: bool = True
    attention: bool = True
    skip: bool = True

    @property
    def parts(self) -> int:
        """Number of parts of a modality's read-out: intra-modal, inter-modal and, with a skip, the pooled encoder outputs."""
        return 3 if self.skip else 2

    def dropout_of(self, modality: Modality) -> float:
        """Dropout of the nodes of a modality."""
        return 0.0 if modality in self.evidence else self.dropout

    @property
    def readout(self) -> int:
        """Width G of a read-out: the parts of each modality."""
        return self.parts * len(MODALITIES) * self.hidden

    @property
    def relations(self) -> tuple[Relation, ...]:
        """The relations of the graph."""
        every = RELATIONS + (PAST_RELATIONS if self.past else ())
        return tuple(r for r in every if (self.intra if r.within else self.inter))

    def weights_of(self, relation: Relation) -> str:
        """Name under which the weights of a relation are stored."""
        return relation.name if self.typed else "any"


Groups = dict[str, Tensor]
"""A tensor for each group of nodes: by modality, and by `past_group` of a modality."""


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


class Skip(nn.Module):
    """The skip of equation (4) for one modality."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(width, hidden, bias=False)

    def forward(self, values: Tensor, weights: Tensor) -> Tensor:
        """(B, N_m, width) encoder outputs and their (B, N_m) weights w^c to (B, H)."""
        pooled: Tensor = self.project(self.dropout((weights.unsqueeze(1) @ values[..., : self.width]).squeeze(1)))
        return pooled

    def relevance(self, values: Tensor, slope: Tensor) -> Tensor:
        """(B, N_m) slope . S_m x_i, from (B, N_m, width) encoder outputs and the (B, H) derivative with respect to the skip."""
        return (values[..., : self.width] @ (slope @ self.project.weight).unsqueeze(-1)).squeeze(-1)


class RelationalStream(nn.Module):
    """Equations (3) and (4) of one stream k. Only the causal stream has a skip."""

    def __init__(self, config: MMCIConfig, *, skip: bool) -> None:
        super().__init__()
        self.config = config
        self.own = nn.ModuleDict({modality: nn.Linear(config.hidden, config.hidden) for modality in MODALITIES})
        names = dict.fromkeys(config.weights_of(relation) for relation in config.relations)
        self.message = nn.ModuleDict({name: nn.Linear(config.hidden, config.hidden, bias=False) for name in names})
        widths = zip(MODALITIES, config.widths, strict=True)
        self.skip = nn.ModuleDict({m: Skip(width, config.hidden, config.dropout_of(m)) for m, width in widths} if skip else {})

    def forward(self, window: Window, nodes: Groups, share: Groups, edges: dict[str, Tensor], gates: Tensor) -> Stream:
        """Pass the messages and read the nodes out.

        Args:
            window: Nodes of every modality; the skip reads their encoder outputs.
            nodes: By group, (B, J, H) states h.
            share: By group, (B, J) shares b^k, 0 where there is no node.
            edges: By relation, (B, I, J) a^k_ij,r / |N_r(i)|, 0 where j does not send to i.
            gates: (B or 1, S, 3), 1 where a modality belongs to the coalition.
        """
        sent = {group: share[group].unsqueeze(-1) * states for group, states in nodes.items()}
        weights = {m: share[m] / share[m].sum(dim=1, keepdim=True).clamp_min(1e-6) for m in MODALITIES}
        received = {r.name: edges[r.name] @ self.message[self.config.weights_of(r)](sent[r.sender]) for r in self.config.relations}
        intra = {m: F.relu(self.own[m](sent[m]) + sum(received[r.name] for r in self._into(m, within=True))) for m in MODALITIES}
        inter = {m: F.relu(self._across(m, received, gates, like=sent[m])) for m in MODALITIES}
        pooled = {m: _pooled(weights[m], intra[m], inter[m], self._skipped(m, window, weights[m])) for m in MODALITIES}
        readout = torch.cat([_gate(gates, m).squeeze(-1) * pooled[m] for m in MODALITIES], dim=-1)
        return Stream(readout, weights, intra, inter)

    def _skipped(self, modality: Modality, window: Window, weights: Tensor) -> Tensor:
        """(B, H) skip of one modality, (B, 0) where the configuration has none."""
        if modality in self.skip:
            skipped: Tensor = self.skip[modality](window[modality].values, weights)
            return skipped
        return weights.new_zeros(weights.shape[0], self.config.hidden if self.config.skip else 0)

    def _into(self, modality: Modality, *, within: bool) -> list[Relation]:
        return [r for r in self.config.relations if r.within is within and r.target is modality]

    def _across(self, modality: Modality, received: dict[str, Tensor], gates: Tensor, like: Tensor) -> Tensor:
        """(B, S, N_m, H) sums of the messages from other modalities; zeros where no relation crosses modalities."""
        gated = [_gate(gates, r.source) * received[r.name].unsqueeze(1) for r in self._into(modality, within=False)]
        return reduce(add, gated) if gated else torch.zeros_like(like).unsqueeze(1).expand(-1, gates.shape[1], -1, -1)


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

    def forward(self, window: Window, gates: Tensor, past: Past | None = None, shortcut_gates: Tensor | None = None) -> Streams:
        """Compute the read-outs of both streams.

        Args:
            window: Nodes of every modality; any modality may be fully masked.
            gates: (B or 1, S, 3), 1 where a modality belongs to one of the S coalitions.
            past: Past windows; None for none. Ignored where the configuration has no past.
            shortcut_gates: Coalitions of the shortcut stream; None: the same as `gates`.
        """
        nodes: Groups = {m: self.encode[m](window[m].values) for m in MODALITIES}
        mask: Groups = {m: window[m].mask for m in MODALITIES}
        if self.config.past:
            past = past or no_past(window)
            nodes |= {past_group(m): self.encode[m](past.values[m]) + self.age(past.lag + self.config.past) for m in MODALITIES}
            mask |= {past_group(m): past.mask[m] for m in MODALITIES}
        causal = {group: self._share(states) * mask[group] for group, states in nodes.items()}
        shortcut = {group: mask[group] - causal[group] for group in nodes}
        causal_edges, shortcut_edges = self._edges(window, past, nodes)
        return Streams(
            self.causal(window, nodes, causal, causal_edges, gates),
            self.shortcut(window, nodes, shortcut, shortcut_edges, gates if shortcut_gates is None else shortcut_gates),
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


def _gate(gates: Tensor, modality: Modality) -> Tensor:
    """(B or 1, S, 1, 1) gate of one modality."""
    return gates[:, :, MODALITIES.index(modality)].unsqueeze(-1).unsqueeze(-1)


def _pooled(weights: Tensor, intra: Tensor, inter: Tensor, skip: Tensor) -> Tensor:
    """Equation (4) for one modality, before its gate: (B, S, parts H)."""
    coalitions = inter.shape[1]
    intra_mean = (weights.unsqueeze(1) @ intra).expand(-1, coalitions, -1)
    inter_mean = (weights.unsqueeze(1).unsqueeze(1) @ inter).squeeze(2)
    return torch.cat([intra_mean, inter_mean, skip.unsqueeze(1).expand(-1, coalitions, -1)], dim=-1)
