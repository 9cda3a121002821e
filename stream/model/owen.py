"""How much each node moved the score: the Owen value of the nodes, whose unions are the modalities, along a path.

In a game with a priori unions (G. Owen, "Values of games with a priori unions", 1977), a union first gets its Shapley value in the game
among the unions; its members share it. The unions are the modalities and the earlier windows. The members of modality m share what m adds
to a coalition S as the multilinear extension suggests (G. Owen, "Multilinear extensions of games", 1972): each node has a gate u_i. All
gates of m open together, from 0 to 1: the path of R. J. Aumann and L. S. Shapley ("Values of non-atomic games", 1974).

    r_i = sum over S without m of w(S) integral over t from 0 to 1 of d v_S(u) / d u_i at u = (t, ..., t)

with w(S) the weight of the step in the Shapley value of m. The gate of a node scales what it adds to the read-outs of its own modality and
the messages that it sends to the nodes of other modalities. So a message is credited to its sender:

    d v / d u_i = w_i (G_intra,m . z_intra,i + G_inter,m . z_inter,i + G_skip,m . S_m x_i)
                  + sum over p in S of sum_j w_j (G_inter,p * [z_inter,j > 0]) . (e_ji W_r b_i h_i)

G is the derivative of the score, after backdoor adjustment and cap, with respect to the read-out. The integral is that of the midpoint
rule. The sum of a modality's nodes then misses its Shapley value by a tenth on average (the score is not linear in t, and its cap depends
on the modalities). The difference is spread over the nodes in proportion to |r_i|, so the sum is exact. With more points the difference is
smaller, but the order of the nodes is no better, as their removal shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import add
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from stream.domain.coalitions import STEPS
from stream.domain.inference import COALITIONS
from stream.domain.modality import MODALITIES, Modality
from stream.model.heads import cap_slope
from stream.model.mmci import MMCI
from stream.model.nodes import Window, node_sum
from stream.model.relations import Relation
from stream.model.streams import Messages, Skip
from stream.model.terms import INTER, INTRA, JOINING, OPEN, SKIP, TERMS, Terms, parts_of, read_half_way, table

EVEN = 1e-6
"""Score points by which the |r_i| of a modality are increased in all, so that a difference can be spread where all are 0."""


class Scored(NamedTuple):
    """What the head makes of the coalitions and of the middle of each of `JOINING`.

    Attributes:
        scores: (B, 16) score of each coalition.
        caps: (B, 16) its cap.
        middle: (B, 24) adjusted score at the middle of each step, before its cap.
        slope: (B, 24, hidden) its derivative with respect to the first layer of the head.
    """

    scores: Tensor
    caps: Tensor
    middle: Tensor
    slope: Tensor


class OwenPath(nn.Module):
    """Shares the Shapley value of each modality among its nodes. Its tables are constants.

    Attributes:
        before: (24,) index of the coalition before each of `JOINING`.
        joined: (24,) index of the coalition after it.
        own: (24, 24) weight of each of `JOINING` for each term of the joining modality whose nodes are gated.
        heard: (24, 24) the same for each term of another modality that hears the joining one.
        values: (3, 16) weights of the coalitions' scores in the Shapley value of each modality.
        joins: (3, 24) weights of each of `JOINING` in the Shapley value of each modality.
    """

    before: Tensor
    joined: Tensor
    own: Tensor
    heard: Tensor
    values: Tensor
    joins: Tensor

    def __init__(self) -> None:
        super().__init__()
        own, heard = [], []
        for modality, step in JOINING:
            gated, others = read_half_way(step.before, modality)
            own.append(dict.fromkeys(gated, step.weight))
            heard.append(dict.fromkeys((term for term in others if modality.bit in {term.half, term.full}), step.weight))
        self.register_buffer("before", torch.tensor([step.before for _, step in JOINING]), persistent=False)
        self.register_buffer("joined", torch.tensor([step.joined for _, step in JOINING]), persistent=False)
        self.register_buffer("own", table(own).T.contiguous(), persistent=False)
        self.register_buffer("heard", table(heard).T.contiguous(), persistent=False)
        self.register_buffer("values", shapley_table(), persistent=False)
        joins = [[step.weight if joining is modality else 0.0 for joining, step in JOINING] for modality in MODALITIES]
        self.register_buffer("joins", torch.tensor(joins), persistent=False)

    def forward(self, model: MMCI, window: Window, messages: Messages, terms: Mapping[Modality, Terms], scored: Scored) -> Tensor:
        """Relevance of the nodes.

        Args:
            model: The network.
            window: Nodes of every modality.
            messages: Messages of the causal stream.
            terms: Its terms.
            scored: The scores, and the slopes on the paths between them.

        Returns:
            (B, N) relevance in score points, nodes in the order of the modalities; 0 where there is no node. The nodes of a modality add up
            to its Shapley value.
        """
        slope = self._slope(scored)
        own, heard = (by_part(model, weight @ slope) for weight in (self.own, self.heard))
        rows = []
        for place, modality in enumerate(MODALITIES):
            relevance = self_evidence(model, window, modality, terms[modality], own[modality]) * messages.weights[modality]
            for relation in model.config.relations:
                if relation.source is modality and not relation.within:
                    back = messages.weights[relation.target].unsqueeze(-1) * open_slope(relation, terms, heard)
                    back = messages.edges[relation.name].transpose(1, 2) @ back
                    relevance = relevance + (back * messages.said[relation.name]).sum(dim=-1)
            rows.append(adding_up(relevance, scored.scores @ self.values[place], messages.weights[modality]))
        return torch.cat(rows, dim=1)

    def slope_of(self, modality: Modality, scored: Scored) -> Tensor:
        """(B, hidden) mean derivative of the score with respect to the first layer of the head, over the steps in which a modality joins.

        At the end of the path the score is often flat: one label is certain, and no small change moves it.
        """
        return self.joins[MODALITIES.index(modality)] @ self._slope(scored)

    def _slope(self, scored: Scored) -> Tensor:
        """(B, 24, hidden) derivative of the score with its cap at the middle of each of `JOINING`."""
        # The cap changes along the step from that of S to that of S + m, in proportion to t.
        of_cap = (cap_slope(scored.middle, scored.caps[:, self.before]) + cap_slope(scored.middle, scored.caps[:, self.joined])) / 2
        return scored.slope * of_cap.unsqueeze(-1)


def shapley_table() -> Tensor:
    """(3, 16) weights of the coalitions' scores in the Shapley value of each modality."""
    weights = torch.zeros(len(MODALITIES), COALITIONS)
    for place, modality in enumerate(MODALITIES):
        for step in STEPS[modality.bit]:
            weights[place, step.joined] = step.weight
            weights[place, step.before] = -step.weight
    return weights


def by_part(model: MMCI, slope: Tensor) -> dict[Modality, tuple[Tensor, Tensor, Tensor]]:
    """Derivatives with respect to the terms, from those with respect to what the head's first layer makes of them.

    From (B, 24, hidden) in the order of `EVERY_TERM` to (B, terms, H) for z_intra, z_inter and the skip of each modality.
    """
    parts = parts_of(model.head, model.config)
    of_modality = zip(MODALITIES, slope.chunk(len(MODALITIES), dim=1), strict=True)
    return {m: (own[:, INTRA] @ parts[m][0], own[:, INTER] @ parts[m][1], own[:, SKIP] @ parts[m][2]) for m, own in of_modality}


def self_evidence(model: MMCI, window: Window, modality: Modality, terms: Terms, slope: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """(B, N_m) what each node adds to the read-out of its own modality, in score points, before its weight w_i."""
    intra = terms.intra @ slope[0].unsqueeze(-1)
    inter = terms.inter[:, OPEN] @ slope[1][:, OPEN].unsqueeze(-1)
    heard = reduce(add, [*intra.unbind(dim=1), *inter.unbind(dim=1)])
    skip = cast("Skip", model.causal.skip[modality])
    return heard[..., 0] + skip.relevance(window[modality].values, slope[2].squeeze(1))


def open_slope(relation: Relation, terms: Mapping[Modality, Terms], slope: Mapping[Modality, tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """(B, N_p, H) derivative of the score with respect to what the nodes of a modality p hear of another one, before their weights w_j."""
    sender = relation.source.bit
    heard = [place for place, term in enumerate(TERMS[relation.target][INTER]) if sender == (term.half or term.full)]
    values, slopes = terms[relation.target].inter, slope[relation.target][1]
    opened = [torch.where(values[:, place] > 0, slopes[:, place].unsqueeze(1), 0.0) for place in heard]
    return opened[0] + opened[1]


def adding_up(relevance: Tensor, value: Tensor, weights: Tensor) -> Tensor:
    """Spread the difference between (B,) values and the sums of (B, N_m) relevances in proportion to their size.

    `weights` are the (B, N_m) w_i, which add up to 1, or to 0 where there is no node: such a row stays 0.
    """
    size = relevance.abs() + EVEN * weights
    difference = value.unsqueeze(1) - node_sum(relevance.unsqueeze(1))
    return relevance + difference * size / node_sum(size.unsqueeze(1)).clamp_min(EVEN / 2)
