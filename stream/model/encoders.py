"""The small convolutional encoder of face crops."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from stream.domain.media_format import FACE_WIDTH

SMALL = 1e-4
"""Below it tanh(z) / z is 1 for all that float16 can tell."""


def _convolution(inputs: int, outputs: int, stride: tuple[int, int] = (1, 1), kernel: int = 3) -> nn.Sequential:
    """Convolution, batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def _channel_weights(channels: int) -> nn.Sequential:
    """A weight in (0, 1) for each channel, from the means of all channels (squeeze and excitation, arXiv 1709.01507)."""
    return nn.Sequential(nn.Linear(channels, channels // 8), nn.ReLU(), nn.Linear(channels // 8, channels), nn.Sigmoid())


class _LowPass(nn.Module):
    """A binomial low-pass over rows and columns: the mean of neighbours with weights (1, 2, 1) / 4.

    Before a step over every second pixel it removes what such a step would turn into patterns that change with the position of the
    crop (anti-aliasing, arXiv 1904.11486). The maps are continued by their edges, so that the frame of the crop does not show.
    """

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        weights = torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("kernel", torch.outer(weights, weights).repeat(channels, 1, 1, 1), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        return functional.conv2d(functional.pad(maps, (1, 1, 1, 1), mode="replicate"), self.kernel, groups=self.kernel.shape[0])


class _Residual(nn.Module):
    """Two convolutions with a residual connection; their channels are weighted by squeeze and excitation.

    With a stride the maps pass a low-pass first.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = _convolution(inputs, outputs, stride=(stride, stride))
        self.second = nn.Sequential(nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs))
        self.weigh = _channel_weights(outputs)
        self.low_pass = nn.Identity() if stride == 1 else _LowPass(inputs)
        self.short = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.short = nn.Sequential(nn.AvgPool2d(stride), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H / stride, W / stride)."""
        smooth: Tensor = self.low_pass(maps)
        branch: Tensor = self.second(self.first(smooth))
        weights: Tensor = self.weigh(branch.mean(dim=(2, 3)))
        return torch.relu(branch * weights[:, :, None, None] + self.short(smooth))


class FaceEncoder(nn.Module):
    """A grey face crop to one embedding: a convolution with stride 2, then residual blocks at 24x24, 12x12 and 6x6 pixels.

    The crop and the maps pass a low-pass before each stride, so that the embedding hardly depends on where a box begins.
    """

    def __init__(self) -> None:
        super().__init__()
        self.low_pass = _LowPass(1)
        self.features = nn.Sequential(
            _convolution(1, 32, stride=(2, 2), kernel=5), _Residual(32, 32), _Residual(32, 64, stride=2), _Residual(64, 128, stride=2)
        )
        self.embed = nn.Linear(128, FACE_WIDTH)

    def forward(self, face: Tensor) -> tuple[Tensor, Tensor]:
        """Encode (B, 1, 48, 48) crops that were normalised by `stream.encoders.face.normalise`.

        Returns:
            The (B, `FACE_WIDTH`) embeddings in [-1, 1], and the activations of the last block, (B, 128, 6, 6), from which Grad-CAM++ is
            computed.
        """
        activations: Tensor = self.features(self.low_pass(face))
        return torch.tanh(self.embed(activations.mean(dim=(2, 3)))), activations


class ServedFaceEncoder(nn.Module):
    """The face encoder with a third output: what each region of the crop has in the embedding.

    The embedding is e = tanh(z), z = mean over the cells of W a + b. Cell c gets (W a_c + b) tanh(z) / z, so that the mean over the cells
    is the embedding: a rule for nonlinear functions that keeps sums (DeepLIFT's rescale rule with the reference 0, arXiv 1704.02685).
    """

    def __init__(self, encoder: FaceEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, face: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode (B, 1, 48, 48) crops.

        Returns:
            Embeddings and activations of `FaceEncoder`, and the (B, *`FACE_CELLS`) float16 parts of the cells, row by row.
        """
        embedding, activations = self.encoder(face)
        embed = self.encoder.embed
        # A convolution, not a product of matrices: that of a single face would be rounded differently from that of several.
        before = functional.conv2d(activations, embed.weight[:, :, None, None], embed.bias).flatten(2).transpose(1, 2)
        mean = before.mean(dim=1)
        tiny = mean.abs() < SMALL
        slope = torch.where(tiny, torch.ones_like(mean), embedding / torch.where(tiny, torch.ones_like(mean), mean))
        return embedding, activations, (before * slope.unsqueeze(1)).half()
