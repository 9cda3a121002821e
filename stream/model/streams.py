"""One stream of the network, causal or shortcut: the messages between nodes, and the read-outs of coalitions of modalities.

The equations are those of `stream.model.mmci`.
"""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stream.domain.modality import MODALITIES, Modality
from stream.model.config import MMCIConfig
from stream.model.nodes import Window, node_sum
from stream.model.relations import Relation

Groups = dict[str, Tensor]
"""A tensor for each group of nodes: by modality, and by `past_group` of a modality."""


class Messages(NamedTuple):
    """The messages of one stream k, before a coalition is chosen.

    Attributes:
        weights: By modality (B, N_m), w_i^k of equation (4).
        sent: By group (B, J, H), b_j^k h_j.
        own: By modality (B, N_m, H), W_0^k b_i^k h_i.
        said: By relation (B, J, H), W_r^k (b_j^k h_j).
        edges: By relation (B, I, J), a^k_ij,r / |N_r(i)|.
        received: By relation (B, I, H), the sums over j of equation (3).
    """

    weights: dict[Modality, Tensor]
    sent: Groups
    own: dict[Modality, Tensor]
    said: dict[str, Tensor]
    edges: dict[str, Tensor]
    received: dict[str, Tensor]


class Stream(NamedTuple):
    """One stream (causal or shortcut) of a batch of windows, S coalitions each.

    Attributes:
        readout: (B, S, G) g^k of equation (4).
        intra: By modality (B, N_m, H), z_intra.
        inter: By modality (B, S, N_m, H), z_inter.
    """

    readout: Tensor
    intra: dict[Modality, Tensor]
    inter: dict[Modality, Tensor]


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

    def messages(self, nodes: Groups, share: Groups, edges: dict[str, Tensor]) -> Messages:
        """Pass the messages.

        Args:
            nodes: By group, (B, J, H) states h.
            share: By group, (B, J) shares b^k, 0 where there is no node.
            edges: By relation, (B, I, J) a^k_ij,r / |N_r(i)|, 0 where j does not send to i.
        """
        sent = {group: share[group].unsqueeze(-1) * states for group, states in nodes.items()}
        weights = {m: share[m] / node_sum(share[m].unsqueeze(1)).clamp_min(1e-6) for m in MODALITIES}
        own = {m: self.own[m](sent[m]) for m in MODALITIES}
        said = {r.name: self.message[self.config.weights_of(r)](sent[r.sender]) for r in self.config.relations}
        return Messages(weights, sent, own, said, edges, {name: edges[name] @ spoken for name, spoken in said.items()})

    def read(self, window: Window, messages: Messages, gates: Tensor) -> Stream:
        """Read the nodes out.

        Args:
            window: Nodes of every modality; the skip reads their encoder outputs.
            messages: What they sent and received.
            gates: (B or 1, S, 3), 1 where a modality belongs to the coalition.
        """
        weights, received = messages.weights, messages.received
        intra = {m: F.relu(messages.own[m] + sum(received[r.name] for r in self._into(m, within=True))) for m in MODALITIES}
        inter = {m: F.relu(self._across(m, received, gates, like=messages.own[m])) for m in MODALITIES}
        skips = self.skipped(window, messages)
        pooled = {m: _pooled(weights[m], intra[m], inter[m], skips[m]) for m in MODALITIES}
        readout = torch.cat([_gate(gates, m).squeeze(-1) * pooled[m] for m in MODALITIES], dim=-1)
        return Stream(readout, intra, inter)

    def skipped(self, window: Window, messages: Messages) -> dict[Modality, Tensor]:
        """By modality, its (B, H) skip; zeros in a stream without one, and (B, 0) where the configuration has none."""
        width = self.config.hidden if self.config.skip else 0
        weights = messages.weights
        return {
            m: self.skip[m](window[m].values, weights[m]) if m in self.skip else weights[m].new_zeros(weights[m].shape[0], width)
            for m in MODALITIES
        }

    def _into(self, modality: Modality, *, within: bool) -> list[Relation]:
        return [r for r in self.config.relations if r.within is within and r.target is modality]

    def _across(self, modality: Modality, received: dict[str, Tensor], gates: Tensor, like: Tensor) -> Tensor:
        """(B, S, N_m, H) sums of the messages from other modalities; zeros where no relation crosses modalities."""
        gated = [_gate(gates, r.source) * received[r.name].unsqueeze(1) for r in self._into(modality, within=False)]
        return reduce(add, gated) if gated else torch.zeros_like(like).unsqueeze(1).expand(-1, gates.shape[1], -1, -1)


def _gate(gates: Tensor, modality: Modality) -> Tensor:
    """(B or 1, S, 1, 1) gate of one modality."""
    return gates[:, :, MODALITIES.index(modality)].unsqueeze(-1).unsqueeze(-1)


def _pooled(weights: Tensor, intra: Tensor, inter: Tensor, skip: Tensor) -> Tensor:
    """Equation (4) for one modality, before its gate: (B, S, parts H)."""
    coalitions = inter.shape[1]
    intra_mean = (weights.unsqueeze(1) @ intra).expand(-1, coalitions, -1)
    inter_mean = (weights.unsqueeze(1).unsqueeze(1) @ inter).squeeze(2)
    return torch.cat([intra_mean, inter_mean, skip.unsqueeze(1).expand(-1, coalitions, -1)], dim=-1)
