"""The small convolutional encoder of face crops."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stream.domain.media_format import FACE_WIDTH


def _convolution(inputs: int, outputs: int, stride: tuple[int, int] = (1, 1), kernel: int = 3) -> nn.Sequential:
    """Convolution, batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def _channel_weights(channels: int) -> nn.Sequential:
    """A weight in (0, 1) for each channel, from the means of all channels (squeeze and excitation, arXiv 1709.01507)."""
    return nn.Sequential(nn.Linear(channels, channels // 8), nn.ReLU(), nn.Linear(channels // 8, channels), nn.Sigmoid())


class _Residual(nn.Module):
    """Two convolutions with a residual connection; their channels are weighted by squeeze and excitation."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = _convolution(inputs, outputs, stride=(stride, stride))
        self.second = nn.Sequential(nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs))
        self.weigh = _channel_weights(outputs)
        self.short = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.short = nn.Sequential(nn.AvgPool2d(stride), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H / stride, W / stride)."""
        branch: Tensor = self.second(self.first(maps))
        weights: Tensor = self.weigh(branch.mean(dim=(2, 3)))
        return torch.relu(branch * weights[:, :, None, None] + self.short(maps))


class FaceEncoder(nn.Module):
    """A grey face crop to one embedding: a convolution with stride 2, then residual blocks at 24x24, 12x12 and 6x6 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _convolution(1, 32, stride=(2, 2), kernel=5), _Residual(32, 32), _Residual(32, 64, stride=2), _Residual(64, 128, stride=2)
        )
        self.embed = nn.Linear(128, FACE_WIDTH)

    def feature_map(self, face: Tensor) -> Tensor:
        """(B, 1, 48, 48) crops to the (B, 128, 6, 6) activations of the last block, from which Grad-CAM++ is computed."""
        activations: Tensor = self.features(face)
        return activations

    def forward(self, face: Tensor) -> Tensor:
        """(B, 1, 48, 48) crops, normalised by `stream.encoders.face.normalise`, to (B, `FACE_WIDTH`) embeddings in [-1, 1]."""
        return torch.tanh(self.embed(self.feature_map(face).mean(dim=(2, 3))))
