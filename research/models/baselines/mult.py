"""MulT: Tsai et al., ACL 2019, "Multimodal Transformer for Unaligned Multimodal Language Sequences", sections 3.1 and 3.2.

Each modality attends to the two others, Y = softmax(Q_a K_b^T / sqrt(d)) V_b with queries of the target and keys and values of
the source. Layers have cross-modal attention and a feed-forward part, both with residual connections. Self-attention over the
concatenation follows, and the state of the window itself from each modality. With one vector per utterance, the sequence is the
past utterances and the window itself.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from research.models.baselines.sequences import at, in_order
from research.models.interface import ModelInput, Prediction, SentimentModel, predicted
from stream.domain.modality import Modality
from stream.model.heads import Head


class CrossModalLayer(nn.Module):
    """x' = x + Attention(LN(x), LN(y), LN(y)); x'' = x' + FFN(LN(x')).

    A zero key is added to those of the source, so that an absent modality sends zeros instead of NaN.
    """

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.before_target, self.before_source, self.between = nn.LayerNorm(hidden), nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.attention = nn.MultiheadAttention(hidden, heads, dropout, add_zero_attn=True, batch_first=True)
        self.forward_part = nn.Sequential(nn.Linear(hidden, 2 * hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(2 * hidden, hidden))

    def forward(self, target: Tensor, source: Tensor, absent: Tensor) -> Tensor:
        """(B, L, H) target and source, (B, L) True where the source is absent, to (B, L, H)."""
        keys = self.before_source(source)
        message, _ = self.attention(self.before_target(target), keys, keys, key_padding_mask=absent, need_weights=False)
        after: Tensor = target + message
        return after + torch.as_tensor(self.forward_part(self.between(after)))


LAYERS, HEADS = 2, 4


class MulT(SentimentModel):
    """Cross-modal layers for every ordered pair, self-attention for every target, concatenation, head."""

    def __init__(self, widths: dict[Modality, int], hidden: int, dropout: float, past: int) -> None:
        super().__init__()
        self.project = nn.ModuleDict({m: nn.Sequential(nn.Dropout(dropout), nn.Linear(width, hidden)) for m, width in widths.items()})
        self.place = nn.Embedding(past + 1, hidden)
        pairs = [(target, source) for target in widths for source in widths if target != source]
        self.cross = nn.ModuleDict({f"{s}_to_{t}": _stack(hidden, dropout) for t, s in pairs})
        self.within = nn.ModuleDict({m: CrossModalLayer(max(1, len(widths) - 1) * hidden, HEADS, dropout) for m in widths})
        self.head = Head(len(widths) * max(1, len(widths) - 1) * hidden, hidden, dropout)

    def forward(self, inputs: ModelInput) -> Prediction:
        """Apply the head to the states of the window itself."""
        rows = in_order(inputs)
        length = rows.own.new_tensor(range(rows.values[Modality.TEXT].shape[1]))
        positions = self.place((rows.own.unsqueeze(1) - length).abs().clamp_max(self.place.num_embeddings - 1))
        states = {m: self.project[m](rows.values[Modality(m)]) + positions for m in self.project}
        absent = {m: rows.there[Modality(m)] == 0 for m in self.project}
        fused = []
        for target, own_states in states.items():
            received = [self._cross(source, target, states, absent[source]) for source in states if source != target]
            joined = torch.cat(received or [own_states], dim=-1)
            own = at(self.within[target](joined, joined, absent[target]), rows.own)
            fused.append(own * (1.0 - at(absent[target].unsqueeze(-1).to(own.dtype), rows.own)))
        return predicted(self.head, torch.cat(fused, dim=-1))

    def _cross(self, source: str, target: str, states: dict[str, Tensor], absent: Tensor) -> Tensor:
        state = states[target]
        layers = self.cross[f"{source}_to_{target}"]
        assert isinstance(layers, nn.ModuleList)  # noqa: S101 - __init__ builds it; narrows the type
        for layer in layers:
            state = layer(state, states[source], absent)
        return state


def _stack(hidden: int, dropout: float) -> nn.ModuleList:
    return nn.ModuleList(CrossModalLayer(hidden, HEADS, dropout) for _ in range(LAYERS))
