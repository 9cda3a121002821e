"""Training of the network of spoken-digit images, from scratch or as the revision of the loop."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from research.digits.compose import PATCH, Samples, patch_mask
from research.digits.consistency import sample_weights
from research.digits.corpus import MEL_BINS
from research.digits.network import Answer, DigitNetwork, Inputs
from stream.domain.modality import MODALITIES, Modality

BATCH = 128
EPS = 1e-6


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train, and what the reviewers have said.

    Attributes:
        epochs: Passes over the samples. The last weights count; nothing is selected.
        peak_rate: Highest learning rate of the cycle.
        masked: Share of the samples whose masks are known: that of the digit, and that there is none ("nowhere").
        gate_weight: Weight of the gates' distance from the masks: positive and negative, as a reviewer knows both from a mask.
        cam_weight: Weight of Grad-CAM++'s distance from the masks.
        positive_weight: Weight of the attention inside the masks where there is a digit; says nothing of anything else.
        patch_weight: Weight of the gates on the patch, the negative mask of the biased task.
        patch_shuffled: The artefact is named: its place in an image takes what is there in another sample, in all samples, so that it
            says nothing of the digit any more.
        alone_weight: Weight of the cross-entropy of each modality's own answer, so that all are learned although one is easy.
        by_consistency: Whether samples whose explanations are less consistent weigh more (`research.digits.consistency`).
    """

    epochs: int
    peak_rate: float
    masked: float = 0.0
    gate_weight: float = 0.0
    cam_weight: float = 0.0
    positive_weight: float = 0.0
    patch_weight: float = 0.0
    patch_shuffled: bool = False
    alone_weight: float = 0.0
    by_consistency: bool = False


@dataclass(frozen=True, slots=True)
class Masks:
    """Masks of a batch: per modality (b, cells) float32, and (b,) whether they are known."""

    cells: dict[Modality, Tensor]
    known: Tensor


def inputs_of(samples: Samples, rows: np.ndarray[tuple[int], np.dtype[np.int64]] | slice) -> Inputs:
    """Tensors of some samples."""
    image = torch.from_numpy(samples.image[rows]).float() / 255.0
    return Inputs(torch.from_numpy(samples.words[rows]), torch.from_numpy(samples.sound[rows]), image)


def masks_of(samples: Samples, rows: np.ndarray[tuple[int], np.dtype[np.int64]] | slice) -> dict[Modality, Tensor]:
    """(b, cells) float32 masks of the digit in each modality."""
    masks = (samples.word_mask, samples.sound_mask, samples.ink_mask.reshape(len(samples), -1))
    return {modality: torch.from_numpy(mask[rows]).float() for modality, mask in zip(MODALITIES, masks, strict=True)}


def fit(network: DigitNetwork, samples: Samples, recipe: Recipe, seed: int) -> None:
    """Train a network in place. The weights follow from the samples, the recipe, the seed and the kind of processor."""
    rng, generator = np.random.default_rng((seed, 1)), torch.Generator().manual_seed(seed)
    known = torch.from_numpy(np.random.default_rng((seed, 2)).random(len(samples)) < recipe.masked)
    steps = len(samples) // BATCH
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.peak_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.peak_rate, recipe.epochs * steps, pct_start=0.2, cycle_momentum=False)
    network.train()
    for _ in range(recipe.epochs):
        order = rng.permutation(len(samples))
        for step in range(steps):
            rows = order[step * BATCH : (step + 1) * BATCH]
            inputs = _varied(inputs_of(samples, rows), generator)
            if recipe.patch_shuffled:
                inputs.image[:, :PATCH, :PATCH] = inputs.image[torch.randperm(BATCH, generator=generator), :PATCH, :PATCH]
            # Half the precision is twice as fast, and no less accurate here.
            with torch.autocast("cpu", dtype=torch.bfloat16):
                answer = network(inputs)
            digits = torch.from_numpy(samples.digits[rows])
            weights = sample_weights(network, inputs, answer, digits, generator) if recipe.by_consistency else 1.0
            loss = loss_of(answer, digits, Masks(masks_of(samples, rows), known[rows]), recipe, weights)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
    network.eval()


def loss_of(answer: Answer, digits: Tensor, masks: Masks, recipe: Recipe, weights: Tensor | float = 1.0) -> Tensor:
    """Cross-entropy, together and alone, with (b,) weights, and what the recipe asks of attention and Grad-CAM++ where masks are known."""
    loss = (weights * F.cross_entropy(answer.logits.float(), digits, reduction="none")).mean()
    for evidence in answer.alone.values():
        loss = loss + recipe.alone_weight * (weights * F.cross_entropy(evidence.float(), digits, reduction="none")).mean()
    maps = answer.grad_cam(digits) if recipe.cam_weight else {}
    for modality, mask in ((m, masks.cells[m]) for m in answer.features):
        seen = masks.known & (mask.sum(dim=1) > 0)
        if recipe.cam_weight and seen.any():
            target = mask[seen] / mask[seen].sum(dim=1, keepdim=True)
            loss = loss - recipe.cam_weight * (target * _shares(maps[modality][seen]).log()).sum(dim=1).mean()
        if modality not in answer.gates or not masks.known.any():
            continue
        gates = answer.gates[modality].float()
        if recipe.gate_weight:
            loss = loss + recipe.gate_weight * F.binary_cross_entropy_with_logits(gates[masks.known], mask[masks.known])
        if recipe.positive_weight and seen.any():
            inside = (_shares(answer.attention[modality][seen]) * mask[seen]).sum(dim=1)
            loss = loss - recipe.positive_weight * inside.add(EPS).log().mean()
        if recipe.patch_weight and modality is Modality.VIDEO:
            patch = gates[masks.known][:, torch.from_numpy(patch_mask().ravel())]
            loss = loss + recipe.patch_weight * F.softplus(patch).mean()
    return loss


def _shares(cells: Tensor) -> Tensor:
    """(b, cells) parts of 1."""
    cells = cells.float() + EPS
    return cells / cells.sum(dim=1, keepdim=True)


def _varied(inputs: Inputs, generator: torch.Generator) -> Inputs:
    """The sounds with longer or shorter vocal tracts, over other lines."""
    count = inputs.sound.shape[0]
    factor = 1.0 + 0.12 * (2.0 * torch.rand(count, 1, generator=generator) - 1.0)
    place = (torch.arange(MEL_BINS) * factor).clamp(0, MEL_BINS - 1.001)
    low = place.floor().long()
    share = (place - low)[:, None]
    wide = low[:, None].expand(-1, inputs.sound.shape[1], -1)
    sound = inputs.sound.gather(2, wide) * (1.0 - share) + inputs.sound.gather(2, wide + 1) * share
    tilt = 0.5 * torch.randn(count, 1, 1, generator=generator) * torch.linspace(-1.0, 1.0, MEL_BINS)
    return replace(inputs, sound=sound + tilt)
