"""The derivative of the score with respect to the encoder outputs of one modality.

It goes back through equations (4) to (1) of `stream.model.mmci`, along every path: read-out, messages inside the modality and to others,
both attentions, and the skip. It is in closed form because an ONNX graph has no automatic differentiation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from stream.domain.modality import MODALITIES, Modality
from stream.model.attention import EdgeAttention
from stream.model.mmci import MMCI, Graph, NodeEncoder
from stream.model.nodes import Window, node_sum
from stream.model.relations import Relation
from stream.model.streams import Skip
from stream.model.terms import ALL_INTER, ALL_INTRA, Terms, parts_of


def input_slope(model: MMCI, window: Window, graph: Graph, terms: Mapping[Modality, Terms], slope: Tensor, *, modality: Modality) -> Tensor:
    """Derivative of the score with respect to the nodes of a modality, with the messages of everything.

    Args:
        model: The network.
        window: Nodes of every modality.
        graph: Their states and messages.
        terms: Terms of the causal stream.
        slope: (B, hidden) derivative of the score with respect to the first layer of the head.
        modality: One whose encoder outputs the network reads in full.

    Returns:
        (B, N_m, width); 0 where there is no node.
    """
    messages, stream = graph.causal, model.causal
    to_parts = {m: [slope @ part for part in parts] for m, parts in parts_of(model.head, model.config).items()}
    weights, states, share = messages.weights[modality], graph.nodes[modality], graph.attention[modality]
    opened = {
        (m, within): messages.weights[m].unsqueeze(-1) * torch.where(heard > 0, to_parts[m][part].unsqueeze(1), 0.0)
        for m in MODALITIES
        for part, (within, heard) in enumerate(((True, terms[m].intra[:, ALL_INTRA]), (False, terms[m].inter[:, ALL_INTER])))
    }
    to_sent = opened[modality, True] @ cast("nn.Linear", stream.own[modality]).weight
    to_states = torch.zeros_like(states)
    for relation in model.config.relations:
        sends, receives = relation.source is modality and not relation.from_past, relation.target is modality
        if not sends and not receives:
            continue
        arrived = opened[relation.target, relation.within]
        to_logits = _attention_slope(graph, relation, arrived)
        attention = cast("EdgeAttention", model.edge_attention[model.config.weights_of(relation)])
        if receives:
            to_states = to_states + node_sum(to_logits).unsqueeze(-1) * attention.target.weight
        if sends:
            message = cast("nn.Linear", stream.message[model.config.weights_of(relation)])
            to_states = to_states + node_sum(to_logits.transpose(1, 2)).unsqueeze(-1) * attention.source.weight
            to_sent = to_sent + messages.edges[relation.name].transpose(1, 2) @ arrived @ message.weight
    skip = cast("Skip", stream.skip[modality])
    intra, inter, skipped = to_parts[modality]
    evidence = terms[modality].intra[:, ALL_INTRA] @ intra.unsqueeze(-1) + terms[modality].inter[:, ALL_INTER] @ inter.unsqueeze(-1)
    read = evidence[..., 0] + skip.relevance(window[modality].values, skipped)
    # w_i = b_i / sum b: a larger share takes weight from all other nodes.
    to_share = (read - node_sum((weights * read).unsqueeze(1))) / node_sum(share.unsqueeze(1)).clamp_min(1e-6)
    to_share = (to_share + (to_sent * states).sum(dim=-1)) * share * (1.0 - share)
    to_states = to_states + share.unsqueeze(-1) * to_sent + to_share.unsqueeze(-1) * model.node_attention.difference.weight
    encoder = cast("NodeEncoder", model.encode[modality])
    through_skip = weights.unsqueeze(-1) * (skipped @ skip.project.weight).unsqueeze(1)
    return _encoder_slope(encoder, window[modality].values, to_states) + through_skip


def _attention_slope(graph: Graph, relation: Relation, arrived: Tensor) -> Tensor:
    """(B, I, J) derivative with respect to the logits of a^c_ij, from the (B, I, H) one with respect to what the nodes hear.

    d a^c / d logit = a^c a^s, and the edges of the two streams are a^c / |N| and a^s / |N|.
    """
    causal, shortcut = graph.causal.edges[relation.name], graph.shortcut.edges[relation.name]
    bend = causal * shortcut / (causal + shortcut).clamp_min(1e-6)
    return arrived @ graph.causal.said[relation.name].transpose(1, 2) * bend


def _encoder_slope(encoder: NodeEncoder, values: Tensor, slope: Tensor) -> Tensor:
    """(B, N_m, width) derivative with respect to the encoder outputs, from the (B, N_m, H) one with respect to the states: equation (1)."""
    before = encoder.before(values)
    slope = _norm_slope(encoder.after, encoder.project(before), slope) @ encoder.project.weight
    return _norm_slope(encoder.before, values, slope) if isinstance(encoder.before, nn.LayerNorm) else slope


def _norm_slope(norm: nn.LayerNorm, values: Tensor, slope: Tensor) -> Tensor:
    """Derivative with respect to the input of a LayerNorm, from that with respect to its output; the shapes are equal."""
    centred = values - values.mean(dim=-1, keepdim=True)
    scale = torch.rsqrt(centred.square().mean(dim=-1, keepdim=True) + norm.eps)
    unit, scaled = centred * scale, slope * norm.weight
    return scale * (scaled - scaled.mean(dim=-1, keepdim=True) - unit * (scaled * unit).mean(dim=-1, keepdim=True))
