"""Maps that say where the digit is: explanations of the network, and masks that know nothing of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from research.digits.compose import CELL_FRAMES, CELL_PIXELS, SIDE_CELLS, SOUND_CELLS, Samples
from research.digits.network import CELLS, Answer
from stream.domain.features import Floats
from stream.domain.modality import Modality

Maps = dict[Modality, Floats]
"""Per modality (n, cells) float32; the greater, the more it counts."""


def attention(answer: Answer, _: Tensor) -> Maps:
    """Attention weights."""
    return _arrays(answer.attention)


def evidence(answer: Answer, digits: Tensor) -> Maps:
    """Share of each cell in the logit of the answer."""
    return _arrays(answer.evidence(digits))


def grad_cam(answer: Answer, digits: Tensor) -> Maps:
    """Grad-CAM++ of the attended feature maps."""
    return _arrays(answer.grad_cam(digits))


def ours(answer: Answer, digits: Tensor) -> Maps:
    """Geometric mean of attention and Grad-CAM++, each relative to its greatest cell: both must agree."""
    both = ((answer.attention[m].float(), cam.float()) for m, cam in answer.grad_cam(digits).items())
    means = ((_relative(a) * _relative(b)).sqrt() for a, b in both)
    return _arrays(dict(zip(answer.features, means, strict=True)))


EXPLAINERS: dict[str, Callable[[Answer, Tensor], Maps]] = {
    "ours": ours,
    "attention": attention,
    "closed form": evidence,
    "Grad-CAM++": grad_cam,
}


def intensity(samples: Samples) -> Maps:
    """Mean level of the sound and mean brightness of the image; all words alike."""
    count = len(samples)
    sound = samples.sound.reshape(count, SOUND_CELLS, CELL_FRAMES, -1).mean(axis=(2, 3))
    image = samples.image.reshape(count, SIDE_CELLS, CELL_PIXELS, SIDE_CELLS, CELL_PIXELS).mean(axis=(2, 4)).reshape(count, -1)
    words = np.zeros((count, CELLS[Modality.TEXT]))
    return {m: cells.astype(np.float32) for m, cells in zip(CELLS, (words, sound, image), strict=True)}


def centre(samples: Samples) -> Maps:
    """The nearer to the middle, the greater."""
    side = np.abs(np.linspace(-1.0, 1.0, SIDE_CELLS))
    middles = (-np.abs(np.linspace(-1.0, 1.0, CELLS[Modality.TEXT])), -np.abs(np.linspace(-1.0, 1.0, SOUND_CELLS)))
    image = -np.hypot(side[:, None], side).ravel()
    return {m: np.tile(line, (len(samples), 1)).astype(np.float32) for m, line in zip(CELLS, (*middles, image), strict=True)}


def at_random(samples: Samples) -> Maps:
    """Drawn for each cell."""
    rng = np.random.default_rng(0)
    return {m: rng.random((len(samples), cells)).astype(np.float32) for m, cells in CELLS.items()}


BLIND: dict[str, Callable[[Samples], Maps]] = {"intensity": intensity, "centre": centre, "random": at_random}


def _relative(cells: Tensor) -> Tensor:
    return cells / cells.amax(dim=1, keepdim=True).clamp_min(1e-9)


def _arrays(maps: dict[Modality, Tensor]) -> Maps:
    return {m: cells.detach().to(torch.float32).numpy() for m, cells in maps.items()}
