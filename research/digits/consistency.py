"""Consistency of explanations as a training weight, after "Improving Network Interpretability via Explanation Consistency Evaluation".

A sample whose explanation changes when only its background changes teaches more:

    w_i = (2 - c_i) / mean_j (2 - c_j),   c_i = mean over modalities of cos(L_i, L'_i)

L is Grad-CAM++ of the true digit for the sample, L' that for the sample with noise in the cells that have less attention than the mean of
their modality. The source's background is changed by an attack, ours by noise. The words stay as they are.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from research.digits.compose import CELL_FRAMES, CELL_PIXELS, SIDE_CELLS
from research.digits.network import Answer, DigitNetwork, Inputs
from stream.domain.modality import Modality

NOISE = 0.3
"""Standard deviation of the noise: of an image in [0, 1], and of a log-mel frame divided by the spread of all."""


def sample_weights(network: DigitNetwork, inputs: Inputs, answer: Answer, digits: Tensor, generator: torch.Generator) -> Tensor:
    """(b,) weights w with mean 1. The network, in which they have no gradient, needs attention."""
    with torch.no_grad():
        first = answer.grad_cam(digits)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            second = network(with_other_background(inputs, answer, generator)).grad_cam(digits)
        consistency = torch.stack([F.cosine_similarity(first[m].float(), second[m].float(), dim=1) for m in first]).mean(dim=0)
        weights = 2.0 - consistency
        return weights / weights.mean()


def with_other_background(inputs: Inputs, answer: Answer, generator: torch.Generator) -> Inputs:
    """The same samples with noise where there is little attention."""
    changed = inputs
    if Modality.AUDIO in answer.attention:
        frames = _background(answer, Modality.AUDIO).repeat_interleave(CELL_FRAMES, dim=1).unsqueeze(2)
        noise = NOISE * inputs.sound.std() * torch.randn(inputs.sound.shape, generator=generator)
        changed = replace(changed, sound=inputs.sound + frames * noise)
    if Modality.VIDEO in answer.attention:
        cells = _background(answer, Modality.VIDEO).reshape(-1, SIDE_CELLS, SIDE_CELLS)
        pixels = cells.repeat_interleave(CELL_PIXELS, dim=1).repeat_interleave(CELL_PIXELS, dim=2)
        noise = NOISE * torch.randn(inputs.image.shape, generator=generator)
        changed = replace(changed, image=(inputs.image + pixels * noise).clamp(0.0, 1.0))
    return changed


def _background(answer: Answer, modality: Modality) -> Tensor:
    """(b, cells) 1 where a cell has less attention than the mean cell of its sample."""
    attention = answer.attention[modality].float()
    return (attention < attention.mean(dim=1, keepdim=True)).float()
