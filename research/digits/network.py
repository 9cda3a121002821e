"""The fusion network of spoken-digit images, and its explanation as part of the forward pass.

Each modality becomes cells with features h_i >= 0: 8 words, 32 pieces of sound, 14 x 14 pieces of the image. With a gate g_i in (0, 1),

    a_i = g_i / (k + sum_j g_j)          attention; what is missing from 1 is "nowhere"
    A_i = a_i h_i                        attended feature map
    logits = b + sum_m U_m sum_i A_i     evidence of modalities adds up, since they are independent given the digit

As the logits are linear in A, their gradient in it is U, and Grad-CAM++ (arXiv 1710.11063, equations 10, 11 and 19) needs no backward pass:

    w_c = sum_i relu(U_yc) / (2 + U_yc sum_j A_jc)          L_i = relu(sum_c w_c A_ic)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from research.digits.compose import BLANK, CELL_FRAMES, SIDE_CELLS, SOUND_CELLS, WORDS
from research.digits.corpus import CLASSES, MEL_BINS
from stream.domain.modality import MODALITIES, Modality

WIDTH = 32
CELLS = {Modality.TEXT: WORDS, Modality.AUDIO: SOUND_CELLS, Modality.VIDEO: SIDE_CELLS**2}
SOUND_SCALE = 1.5
"""Standard deviation of the log-mel frames, about."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """A batch: words (b, 8) int64, sound (b, 128, 40) float32, image (b, 56, 56) float32 in [0, 1]."""

    words: Tensor
    sound: Tensor
    image: Tensor


@dataclass(frozen=True, slots=True)
class Answer:
    """What the network makes of a batch.

    Attributes:
        logits: (b, 10).
        alone: Per modality (b, 10) evidence: its part of the logits.
        gates: Per modality (b, cells) logits of the gates; empty without attention.
        attention: Per modality (b, cells) weights; at most 1 in sum.
        features: Per modality (b, cells, 32), h.
        weights: Per modality (10, 32), U.
    """

    logits: Tensor
    alone: dict[Modality, Tensor]
    gates: dict[Modality, Tensor]
    attention: dict[Modality, Tensor]
    features: dict[Modality, Tensor]
    weights: dict[Modality, Tensor]

    def grad_cam(self, digits: Tensor) -> dict[Modality, Tensor]:
        """(b, cells) Grad-CAM++ of each modality for the logits of (b,) digits."""
        maps = {}
        for modality, features in self.features.items():
            attention, h = self.attention[modality].float(), features.float()
            slope = F.relu(self.weights[modality][digits])
            # The sum over the cells of equation 11 is over equal terms; a map is only used relative to itself, so that one is enough.
            channel = slope / (2.0 + slope * (attention[:, None] @ h)[:, 0])
            maps[modality] = attention * (h @ channel[:, :, None])[:, :, 0]
        return maps

    def evidence(self, digits: Tensor) -> dict[Modality, Tensor]:
        """(b, cells) share of each cell in the logits of (b,) digits; they add up to the logits without b."""
        return {m: self.attention[m] * (h @ self.weights[m][digits][:, :, None])[:, :, 0] for m, h in self.features.items()}


class DigitNetwork(nn.Module):
    """Encoders of the modalities, attention and the sum of the evidence.

    Args:
        modalities: Which modalities it reads.
        attention: Without it, all cells of a modality weigh the same.
    """

    def __init__(self, modalities: tuple[Modality, ...] = MODALITIES, *, attention: bool = True) -> None:
        super().__init__()
        kinds = {Modality.TEXT: WordEncoder, Modality.AUDIO: SoundEncoder, Modality.VIDEO: ImageEncoder}
        self.encoders = nn.ModuleDict({str(m): kinds[m]() for m in modalities})
        self.evidence = nn.ParameterDict({str(m): torch.randn(CLASSES, WIDTH) / WIDTH**0.5 for m in modalities})
        self.gates = nn.ModuleDict({str(m): Gate(m) for m in modalities} if attention else {})
        self.nowhere = nn.ParameterDict({str(m): torch.zeros(()) for m in modalities})
        self.bias = nn.Parameter(torch.zeros(CLASSES))

    def forward(self, inputs: Inputs) -> Answer:
        """Answer a batch."""
        alone: dict[Modality, Tensor] = {}
        gates: dict[Modality, Tensor] = {}
        attention: dict[Modality, Tensor] = {}
        features: dict[Modality, Tensor] = {}
        weights: dict[Modality, Tensor] = {}
        for modality in MODALITIES:
            name = str(modality)
            if name not in self.encoders:
                continue
            h = self.encoders[name](inputs)
            if name in self.gates:
                gate = gates[modality] = self.gates[name](h)
                opened = gate.sigmoid()
                a = opened / (self.nowhere[name].exp() + opened.sum(dim=1, keepdim=True))
            else:
                a = torch.full_like(h[:, :, 0], 1.0 / h.shape[1])
            attention[modality], features[modality], weights[modality] = a, h, self.evidence[name]
            alone[modality] = (a[:, None] @ h)[:, 0] @ self.evidence[name].T
        return Answer(torch.stack(list(alone.values())).sum(dim=0) + self.bias, alone, gates, attention, features, weights)


class WordEncoder(nn.Module):
    """(b, 8, 32) features of the words."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Embedding(BLANK + 1, WIDTH), nn.Linear(WIDTH, WIDTH), nn.ReLU())

    def forward(self, inputs: Inputs) -> Tensor:
        """Encode `inputs.words`."""
        encoded: Tensor = self.net(inputs.words)
        return encoded


class SoundEncoder(nn.Module):
    """(b, 32, 32) features of the sound; a cell hears .45 s on either side of it."""

    def __init__(self) -> None:
        super().__init__()
        front = nn.Conv2d(1, 16, 2 * CELL_FRAMES, CELL_FRAMES, CELL_FRAMES // 2, bias=False)
        self.front = nn.Sequential(front, nn.BatchNorm2d(16), nn.ReLU())
        self.join = _conv1d(16 * MEL_BINS // CELL_FRAMES, 96, 1)
        self.context = nn.ModuleList([_conv1d(96, 96, dilation) for dilation in (1, 2, 4)])
        self.out = nn.Sequential(nn.Conv1d(96, WIDTH, 1), nn.ReLU())

    def forward(self, inputs: Inputs) -> Tensor:
        """Encode `inputs.sound`, of which the mean of each bin is taken out: it tells the speaker and the line."""
        sound = (inputs.sound - inputs.sound.mean(dim=1, keepdim=True)) / SOUND_SCALE
        x = self.join(self.front(sound.transpose(1, 2)[:, None]).flatten(1, 2))
        for block in self.context:
            x = x + block(x)
        out: Tensor = self.out(x).transpose(1, 2)
        return out


class ImageEncoder(nn.Module):
    """(b, 196, 32) features of the image; a cell sees 41 pixels around it."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.Sequential(_conv2d(1, 16, 5, 2), _conv2d(16, WIDTH, 3, 2), _conv2d(WIDTH, WIDTH, 3, 1))
        self.context = nn.ModuleList([_conv2d(WIDTH, WIDTH, 3, 1), _conv2d(WIDTH, WIDTH, 3, 1, 2)])
        # The layout of the cells, so that no gradient changes its layout: a third of the time of a step.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, inputs: Inputs) -> Tensor:
        """Encode `inputs.image`."""
        x = self.front(inputs.image[:, None])
        for block in self.context:
            x = x + block(x)
        cells: Tensor = x.flatten(start_dim=2).transpose(1, 2)
        return cells


class Gate(nn.Module):
    """(b, cells) logits of the gates of one modality."""

    def __init__(self, modality: Modality) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1))
        self._open = {Modality.TEXT: -1.0, Modality.AUDIO: -1.5, Modality.VIDEO: -2.5}[modality]

    def forward(self, features: Tensor) -> Tensor:
        """Score (b, cells, 32) features."""
        score: Tensor = self.score(features)[:, :, 0] + self._open
        return score


def _conv2d(inside: int, outside: int, size: int, stride: int, dilation: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inside, outside, size, stride, dilation * (size // 2), dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outside), nn.ReLU())


def _conv1d(inside: int, outside: int, dilation: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv1d(inside, outside, 3, 1, dilation, dilation, bias=False), nn.BatchNorm1d(outside), nn.ReLU())
