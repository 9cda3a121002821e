"""How right answers and maps are: accuracy, macro F1, IoU with the true masks, and what deleting the best cells does."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from research.digits.compose import BLANK, CELL_FRAMES, CELL_PIXELS, SIDE_CELLS, Booleans, Integers, Samples, patch_mask
from research.digits.maps import BLIND, EXPLAINERS, Maps
from research.digits.network import DigitNetwork
from research.digits.training import inputs_of
from stream.domain.features import Floats
from stream.domain.modality import Modality
from stream.training.metrics import accuracy, f1_scores

BATCH = 250
NOISE_IMAGE, NOISE_SOUND, LOST_WORDS = 0.3, 1.0, 0.2
"""Perturbation: noise on pixels in [0, 1] and on log10 mel powers, and the share of the words that are lost."""

Numbers = dict[str, float]


def answers(network: DigitNetwork, samples: Samples, explainers: Collection[str] = tuple(EXPLAINERS)) -> tuple[Floats, dict[str, Maps]]:
    """(n, 10) probabilities, and the maps of some explainers for the network's own answer."""
    probabilities: list[Floats] = []
    maps: dict[str, list[Maps]] = {name: [] for name in explainers}
    with torch.no_grad():
        for start in range(0, len(samples), BATCH):
            answer = network(inputs_of(samples, slice(start, start + BATCH)))
            probabilities.append(answer.logits.softmax(dim=1).numpy())
            for name, parts in maps.items():
                parts.append(EXPLAINERS[name](answer, answer.logits.argmax(dim=1)))
    joined = {name: {m: np.concatenate([part[m] for part in parts]) for m in parts[0]} for name, parts in maps.items()}
    return np.concatenate(probabilities), joined


def answer_scores(probabilities: Floats, digits: Integers) -> Numbers:
    """Accuracy and macro F1 of (n, 10) probabilities."""
    answered = probabilities.argmax(axis=1)
    return {"accuracy": accuracy(answered, digits), "macro_f1": f1_scores(answered, digits)[0]}


def map_scores(network: DigitNetwork, samples: Samples, found: tuple[Floats, dict[str, Maps]]) -> dict[str, Numbers]:
    """IoU and deletion effect of each explainer and of each mask that knows nothing.

    Only windows that are answered right count, and of these for each modality those in which it holds the digit.

    Returns:
        By map: `text`, `audio`, `video` and their mean `top`: IoU of as many of the best cells as the true mask has. `text_span`,
        `audio_span`, `video_span` and `span`: IoU of the best span or box of the true size. `deletion`: how far the probability of
        the answer falls when the best cells of all modalities are blanked.
    """
    probabilities, maps = found
    right = probabilities.argmax(axis=1) == samples.digits
    kept = _rows(samples, right)
    blind = {name: {m: cells for m, cells in make(kept).items() if m in maps["ours"]} for name, make in BLIND.items()}
    known = {name: {m: cells[right] for m, cells in explained.items()} for name, explained in maps.items()} | blind
    before = probabilities[right, kept.digits]
    return {name: _map_scores(network, kept, each, before) for name, each in known.items()}


def _map_scores(network: DigitNetwork, samples: Samples, maps: Maps, before: Floats) -> Numbers:
    masks = {Modality.TEXT: samples.word_mask, Modality.AUDIO: samples.sound_mask, Modality.VIDEO: samples.ink_mask}
    best: dict[Modality, Booleans] = {}
    top: dict[Modality, float] = {}
    span: dict[Modality, float] = {}
    for m, cells in maps.items():
        mask = masks[m].reshape(len(samples), -1)
        holds = mask.any(axis=1)
        if not holds.any():
            continue
        best[m] = top_cells(cells, mask.sum(axis=1))
        top[m] = float(iou(best[m], mask)[holds].mean())
        if m is Modality.VIDEO:
            grid = cells.reshape(-1, SIDE_CELLS, SIDE_CELLS)
            span[m] = float(np.mean([iou(best_box(grid[i], box)[None], box[None])[0] for i, box in _held(samples.box_mask)]))
        else:
            span[m] = float(np.mean([iou(best_box(cells[i][None], line[None])[None], line[None, None])[0] for i, line in _held(mask)]))
    after = answers(network, blanked(samples, best), ())[0][np.arange(len(samples)), samples.digits]
    numbers = {str(m): value for m, value in top.items()} | {f"{m}_span": value for m, value in span.items()}
    means = {"top": float(np.mean([*top.values()])), "span": float(np.mean([*span.values()]))}
    return numbers | means | {"deletion": float((before - after).mean())}


def top_cells(cells: Floats, counts: Integers) -> Booleans:
    """(n, cells) the greatest counts[i] cells of each row; of equal ones the first."""
    rank = np.argsort(np.argsort(-cells, axis=1, kind="stable"), axis=1, kind="stable")
    return np.asarray(rank < counts[:, None])


def best_box(cells: Floats, true: Booleans) -> Booleans:
    """(h, w) the box of the true box's size that has the most of (h, w) cells."""
    height, width = int(true.any(axis=1).sum()), int(true.any(axis=0).sum())
    sums = np.lib.stride_tricks.sliding_window_view(cells, (height, width)).sum(axis=(2, 3))
    row, column = np.unravel_index(int(sums.argmax()), sums.shape)
    found = np.zeros_like(true)
    found[row : row + height, column : column + width] = True
    return found


def iou(first: Booleans, second: Booleans) -> npt.NDArray[np.float64]:
    """(n,) intersection over union of (n, …) masks; 0 where both are empty."""
    axes = tuple(range(1, first.ndim))
    return np.asarray((first & second).sum(axis=axes) / np.maximum((first | second).sum(axis=axes), 1))


def blanked(samples: Samples, best: Mapping[Modality, Booleans]) -> Samples:
    """Samples without some cells: words become `BLANK`, sound the mean of its frames, the image black."""
    words, sound, image = samples.words.copy(), samples.sound.copy(), samples.image.copy()
    if Modality.TEXT in best:
        words[best[Modality.TEXT]] = BLANK
    if Modality.AUDIO in best:
        gone = best[Modality.AUDIO].repeat(CELL_FRAMES, axis=1)
        sound = np.where(gone[:, :, None], sound.mean(axis=1, keepdims=True), sound)
    if Modality.VIDEO in best:
        gone = best[Modality.VIDEO].reshape(-1, SIDE_CELLS, SIDE_CELLS)
        image[gone.repeat(CELL_PIXELS, axis=1).repeat(CELL_PIXELS, axis=2)] = 0
    return replace(samples, words=words, sound=sound, image=image)


def perturbed(samples: Samples) -> Samples:
    """Samples with noise on image and sound, and a fifth of the words lost."""
    rng = np.random.default_rng(0)
    image = samples.image / 255.0 + NOISE_IMAGE * rng.standard_normal(samples.image.shape, dtype=np.float32)
    sound = samples.sound + NOISE_SOUND * rng.standard_normal(samples.sound.shape, dtype=np.float32)
    words = np.where(rng.random(samples.words.shape) < LOST_WORDS, BLANK, samples.words)
    return replace(samples, words=words, sound=sound, image=(image.clip(0.0, 1.0) * 255.0).astype(np.uint8))


def patch_share(samples: Samples, maps: Maps) -> float:
    """Mean share of the patch in the image's map, in images without a digit; maps that are empty have none on it.

    The attention counts as it is, so that what goes nowhere is not on the patch.
    """
    empty = ~samples.ink_mask.any(axis=(1, 2))
    return float(np.abs(maps[Modality.VIDEO][empty][:, patch_mask().ravel()]).sum(axis=1).mean())


def _rows(samples: Samples, rows: Booleans) -> Samples:
    return Samples(**{name: getattr(samples, name)[rows] for name in Samples.__slots__})


def _held(masks: Booleans) -> list[tuple[int, Booleans]]:
    """Index and mask of the samples that hold the digit."""
    return [(int(i), masks[i]) for i in np.flatnonzero(masks.any(axis=tuple(range(1, masks.ndim))))]
