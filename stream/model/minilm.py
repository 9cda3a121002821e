"""MiniLM (Wang et al., NeurIPS 2020) as a torch module, for fine-tuning.

The layers are those of BERT (Devlin et al., NAACL 2019): post-norm transformer layers with GELU. The sizes are those of the
checkpoint all-MiniLM-L6-v2; `stream.training.minilm_weights` maps its names to the names here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

VOCABULARY, POSITIONS, WIDTH, INNER, LAYERS, HEADS = 30_522, 512, 384, 1_536, 6, 12
EPSILON = 1e-12


class Layer(nn.Module):
    """h' = LN(h + W_o Attention(h)); h'' = LN(h' + W_2 GELU(W_1 h'))."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.query, self.key, self.value, self.output = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.attention_norm = nn.LayerNorm(WIDTH, eps=EPSILON)
        self.widen, self.narrow = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)
        self.output_norm = nn.LayerNorm(WIDTH, eps=EPSILON)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """(B, T, 384) states and (B, 1, 1, T) True for a token and False for padding, to (B, T, 384)."""
        size, length, _ = states.shape
        query, key, value = (
            project(states).view(size, length, HEADS, -1).transpose(1, 2) for project in (self.query, self.key, self.value)
        )
        rate = self.dropout.p if self.training else 0.0
        context = F.scaled_dot_product_attention(query, key, value, mask, dropout_p=rate).transpose(1, 2).reshape(size, length, WIDTH)
        states = self.attention_norm(states + self.dropout(self.output(context)))
        after: Tensor = self.output_norm(states + self.dropout(self.narrow(F.gelu(self.widen(states)))))
        return after


class MiniLM(nn.Module):
    """Word pieces to hidden states."""

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(POSITIONS, WIDTH)
        self.kinds = nn.Embedding(2, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=EPSILON)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(Layer(dropout) for _ in range(LAYERS))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """(B, T) int64 pieces and their mask to (B, T, 384) last hidden states."""
        positions = torch.arange(ids.shape[1], device=ids.device)
        states: Tensor = self.dropout(self.norm(self.words(ids) + self.places(positions) + self.kinds.weight[0]))
        attended = (mask > 0).view(mask.shape[0], 1, 1, -1)
        for layer in self.layers:
            states = layer(states, attended)
        return states


def pool(states: Tensor, own: Tensor) -> Tensor:
    """Mean state of a text's own pieces, without the context before it: (B, T, 384) states and (B, T) 0/1 to (B, 384)."""
    weights = own.unsqueeze(-1)
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp_min(1.0)
