"""bc-LSTM: Poria et al., ACL 2017, "Context-Dependent Sentiment Analysis in User-Generated Videos".

The hierarchical network: for each modality an LSTM over the utterances of a video, and a second LSTM over their concatenated
states. The published LSTMs run in both directions and so use the future; here the direction is a setting.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from research.models.baselines.sequences import at, in_order
from research.models.interface import ModelInput, Prediction, SentimentModel, predicted
from stream.domain.modality import Modality
from stream.model.heads import Head


class ContextLSTM(nn.Module):
    """An LSTM over the utterances of padded sequences, then dropout(ReLU(W h))."""

    def __init__(self, width: int, hidden: int, dropout: float, *, both_ways: bool) -> None:
        super().__init__()
        self.before = nn.Dropout(dropout)
        self.lstm = nn.LSTM(width, hidden, batch_first=True, bidirectional=both_ways)
        self.after = nn.Sequential(nn.Linear(hidden * (1 + both_ways), hidden), nn.ReLU(), nn.Dropout(dropout))

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        """(B, L, width) and (B,) lengths to (B, L, H)."""
        packed = pack_padded_sequence(self.before(values), lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=values.shape[1])
        contexts: Tensor = self.after(states)
        return contexts


class BcLSTM(SentimentModel):
    """Unimodal LSTMs, concatenation, multimodal LSTM, head."""

    def __init__(self, widths: dict[Modality, int], hidden: int, dropout: float, *, both_ways: bool) -> None:
        super().__init__()
        self.unimodal = nn.ModuleDict({m: ContextLSTM(width, hidden, dropout, both_ways=both_ways) for m, width in widths.items()})
        self.multimodal = ContextLSTM(len(widths) * hidden, hidden, dropout, both_ways=both_ways)
        self.head = Head(hidden, hidden, dropout)

    def forward(self, inputs: ModelInput) -> Prediction:
        """Apply the head to the multimodal LSTM's state at the window itself."""
        rows = in_order(inputs)
        states = [lstm(rows.values[Modality(m)], rows.lengths) * rows.there[Modality(m)].unsqueeze(-1) for m, lstm in self.unimodal.items()]
        fused = self.multimodal(torch.cat(states, dim=-1), rows.lengths)
        return predicted(self.head, at(fused, rows.own))
