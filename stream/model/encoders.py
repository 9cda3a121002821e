"""The two small convolutional encoders: 100 ms of voice and one face crop, each to 64 numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stream.domain.features import EMBEDDING
from stream.encoders.shapes import SEGMENTS_PER_BLOCK


def _convolution(inputs: int, outputs: int, stride: tuple[int, int] = (1, 1), kernel: int = 3) -> nn.Sequential:
    """Convolution, batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class AudioEncoder(nn.Module):
    """A second of log-mel to ten segment embeddings.

    Four convolutions halve the frequency axis to 4 bands and the time axis to 20 ms steps; two dilated convolutions over
    time give each step half a second of surroundings; five steps are averaged into a segment.
    """

    def __init__(self) -> None:
        super().__init__()
        self.spectral = nn.Sequential(
            _convolution(1, 16, stride=(2, 2), kernel=5),
            _convolution(16, 32, stride=(2, 1)),
            _convolution(32, 64, stride=(2, 1)),
            _convolution(64, 64, stride=(2, 1)),
        )
        self.temporal = nn.Sequential(
            nn.Conv1d(64 * 4, 96, 3, padding=1, bias=False),
            nn.BatchNorm1d(96),
            nn.ReLU(),
            nn.Conv1d(96, 96, 3, padding=4, dilation=4, bias=False),
            nn.BatchNorm1d(96),
            nn.ReLU(),
        )
        self.embed = nn.Linear(96, EMBEDDING)

    def forward(self, log_mel: Tensor) -> Tensor:
        """(B, 64, 100) log-mel to (B, 10, 64) embeddings in [-1, 1]."""
        bands: Tensor = self.spectral(log_mel.unsqueeze(1))
        steps: Tensor = self.temporal(bands.flatten(1, 2))
        by_segment = steps.reshape(-1, self.embed.in_features, SEGMENTS_PER_BLOCK, steps.shape[2] // SEGMENTS_PER_BLOCK).mean(dim=3)
        return torch.tanh(self.embed(by_segment.transpose(1, 2)))


class FaceEncoder(nn.Module):
    """A grey face crop to one embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _convolution(1, 32, stride=(2, 2), kernel=5),
            _convolution(32, 48),
            _convolution(48, 64, stride=(2, 2)),
            _convolution(64, 96),
            _convolution(96, 128, stride=(2, 2)),
            _convolution(128, 128),
        )
        self.embed = nn.Linear(128, EMBEDDING)

    def feature_map(self, face: Tensor) -> Tensor:
        """(B, 1, 48, 48) crops to the last convolution's (B, 128, 6, 6) activations, which Grad-CAM++ looks at."""
        activations: Tensor = self.features(face)
        return activations

    def forward(self, face: Tensor) -> Tensor:
        """(B, 1, 48, 48) crops, as `stream.encoders.face.normalise` makes them, to (B, 64) embeddings in [-1, 1]."""
        return torch.tanh(self.embed(self.feature_map(face).mean(dim=(2, 3))))
