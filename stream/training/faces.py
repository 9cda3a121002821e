"""Training of the face encoder on expression images (FER2013).

Every image of a step is shown twice: as two finders of faces, or one finder in two frames, might have cut it out. The loss is

    (1)  L = L_expression + a L_polarity + c (W / B + D),

with the cross-entropies L of both views, W the mean squared distance of the embeddings of an image's two views, B the variance of the
embeddings of the batch, and D = mean squared difference of the polarity's logits between the views, times `LOGITS_WEIGHT`. W / B does not
change with the scale of the embedding: it cannot be lowered by embeddings that are all small.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn import functional

from stream.domain.features import Floats
from stream.domain.media_format import FACE_SIZE, FACE_WIDTH
from stream.encoders.face import normalise
from stream.model.encoders import FaceEncoder
from stream.training.corpora import Faces
from stream.training.loop import Indices, Schedule, Validations, epoch_losses, low_precision, train
from stream.training.metrics import f1_scores

LOGITS_WEIGHT = 0.05
COARSE_SIDE, COARSE_SHARE = 36, 0.3
"""Width in pixels to which this share of the views is reduced and enlarged again: a face that was small in its picture."""


@dataclass(frozen=True, slots=True)
class FaceRecipe:
    """Settings of the face encoder's training.

    Attributes:
        epochs: Passes over the images.
        batch: Images of a step; each is shown in two views.
        peak_rate: Highest learning rate.
        dropout: Dropout of the embedding.
        polarity_weight: Weight of the polarity's loss, relative to that of the expression: a in equation (1).
        consistency: Weight of the difference between two views of an image: c in equation (1).
        mixed: Parameter of the Beta distribution with which a batch is mixed with itself in another order (mixup, arXiv 1710.09412);
            0 for no mixing.
        strength: Width of the ranges from which `augmented` draws.
        covered: Share of the images in which a square is blank.
        sides: (share of the epochs, width of the images in pixels up to it). Small images come first, because they cost less.
        from_served: Whether the training starts from the weights beside the served model instead of random ones.
        taught: Share of the served model's answers in the targets of such a training; the rest are the labels, which are noisy (a
            network that learns from one like itself becomes better than it, arXiv 1805.04770).
    """

    epochs: int = 60
    batch: int = 32
    peak_rate: float = 3e-3
    dropout: float = 0.2
    polarity_weight: float = 0.5
    consistency: float = 10.0
    mixed: float = 0.3
    strength: float = 1.0
    covered: float = 0.5
    sides: tuple[tuple[float, int], ...] = ((0.4, 32), (0.7, 40), (1.0, FACE_SIZE))
    from_served: bool = False
    taught: float = 0.0

    def side(self, epoch: int) -> int:
        """Width of the images of an epoch, in pixels."""
        return next(side for part, side in self.sides if epoch < part * self.epochs or part == 1.0)


FINE_TUNING = FaceRecipe(
    epochs=2,
    peak_rate=5e-4,
    dropout=0.0,
    consistency=15.0,
    mixed=0.0,
    strength=0.75,
    covered=0.0,
    sides=((1.0, FACE_SIZE),),
    from_served=True,
    taught=0.5,
)
"""A recipe of minutes that starts from the served weights."""


class FaceClassifier(nn.Module):
    """The encoder with the layers that train it: classifiers of expression and polarity."""

    def __init__(self, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.encoder = FaceEncoder()
        self.dropout = nn.Dropout(dropout)
        self.emotion = nn.Linear(FACE_WIDTH, classes)
        self.polarity = nn.Linear(FACE_WIDTH, 3)

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, 48, 48) crops to logits of expressions, (B, classes), and of polarities, (B, 3)."""
        return self.classified(self.encoder(faces)[0])

    def classified(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """(B, `FACE_WIDTH`) embeddings to logits of expressions, (B, classes), and of polarities, (B, 3)."""
        shown = self.dropout(embeddings)
        return self.emotion(shown), self.polarity(shown)


def classifier_of(state: Mapping[str, Tensor]) -> FaceClassifier:
    """The classifier with the given weights, in evaluation mode."""
    module = FaceClassifier(state["emotion.weight"].shape[0])
    module.load_state_dict(state)
    return module.eval()


def augmented(faces: Tensor, generator: torch.Generator, side: int = FACE_SIZE, strength: float = 1.0, covered: float = 0.5) -> Tensor:
    """Mirror, rotate (±20°), zoom (0.8 to 1.2), stretch and shift (±10 %) crops, and blank a square in half of them.

    Args:
        faces: (B, 1, 48, 48) normalised crops.
        generator: Draws the changes.
        side: Width of the result in pixels.
        strength: Factor of the ranges.
        covered: Share of the crops with a blank square.

    Returns:
        (B, 1, side, side) crops.
    """
    return _shown(_covered(faces, generator, covered), _affine(faces.shape[0], generator, strength), side)


def views(faces: Tensor, generator: torch.Generator, recipe: FaceRecipe, side: int = FACE_SIZE) -> Tensor:
    """Two views of each crop: augmented ones, of which the second is up to two pixels, 4 % and 2° from the first.

    Some of all views are coarse (`COARSE_SIDE`).

    From (B, 1, 48, 48) to (2 B, 1, side, side): all first views, then all second ones.
    """
    size = faces.shape[0]
    whole, first = _covered(faces, generator, recipe.covered), _affine(size, generator, recipe.strength)
    both = torch.cat([_shown(whole, first, side), _shown(whole, first @ _nudge(size, generator), side)])
    small = functional.interpolate(both, COARSE_SIDE, mode="bilinear", antialias=True, align_corners=False)
    coarse = functional.interpolate(small, side, mode="bilinear", align_corners=False)
    return torch.where((_chance(2 * size, generator) < COARSE_SHARE).reshape(-1, 1, 1, 1), coarse, both)


def _shown(faces: Tensor, affine: Tensor, side: int) -> Tensor:
    """Crops through (B, 3, 3) maps from the pixels of the result to their own, each with zero mean and unit variance again."""
    grid = functional.affine_grid(affine[:, :2], [faces.shape[0], 1, side, side], align_corners=False)
    moved = functional.grid_sample(faces, grid, padding_mode="border", align_corners=False)
    variance, mean = torch.var_mean(moved, dim=(1, 2, 3), keepdim=True)
    return (moved - mean) / torch.sqrt(variance + 1e-3)


def _covered(faces: Tensor, generator: torch.Generator, share: float) -> Tensor:
    """Crops of which some have a blank square, two sevenths of their width wide."""
    size, side = faces.shape[0], faces.shape[2]
    pixels = torch.arange(side).reshape(1, side)
    near = [(pixels - (_chance(size, generator) * side).unsqueeze(1)).abs() < side / 7 for _ in range(2)]
    square = near[0].unsqueeze(2) & near[1].unsqueeze(1) & (_chance(size, generator) < share).reshape(-1, 1, 1)
    return faces.masked_fill(square.unsqueeze(1), 0.0)


def _affine(size: int, generator: torch.Generator, strength: float) -> Tensor:
    turn, zoom, stretch, *shift = (_spread(size, generator, strength * most) for most in (math.radians(20.0), 0.2, 0.1, 0.2, 0.2))
    mirror = torch.where(_chance(size, generator) < 0.5, -1.0, 1.0)
    return _maps(turn, 1.0 + zoom, mirror * (1.0 + stretch), shift)


def _nudge(size: int, generator: torch.Generator) -> Tensor:
    turn, zoom, *shift = (_spread(size, generator, most) for most in (math.radians(2.0), 0.04, 4 / FACE_SIZE, 4 / FACE_SIZE))
    return _maps(turn, 1.0 + zoom, torch.ones(size), shift)


def _maps(turn: Tensor, zoom: Tensor, across: Tensor, shift: Sequence[Tensor]) -> Tensor:
    """(B, 3, 3) affine maps of coordinates in [-1, 1]; a shift of 2 is the width of the crop."""
    cos, sin, zero, one = torch.cos(turn) * zoom, torch.sin(turn) * zoom, torch.zeros_like(turn), torch.ones_like(turn)
    rows = ((cos * across, -sin, shift[0]), (sin * across, cos, shift[1]), (zero, zero, one))
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


def _chance(size: int, generator: torch.Generator) -> Tensor:
    return torch.rand(size, generator=generator)


def _spread(size: int, generator: torch.Generator, most: float) -> Tensor:
    """Numbers in [-most, most]."""
    return (2.0 * _chance(size, generator) - 1.0) * most


def train_faces(
    training: Faces,
    validation: Faces,
    recipe: FaceRecipe,
    *,
    seed: int,
    progress: Progress,
    initial: FaceClassifier | None = None,
    state: Path | None = None,
) -> tuple[FaceClassifier, Validations]:
    """Train on the training images; the report's value is the mean of both macro F1 on the validation images.

    Starts from the weights of `initial`, if given, and learns its answers beside the labels (`FaceRecipe.taught`). With a file for its
    `state`, an interrupted training resumes.
    """
    torch.manual_seed(seed)
    model = FaceClassifier(training.classes, recipe.dropout)
    if initial is not None:
        model.load_state_dict(initial.state_dict())
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    count = training.images.shape[0]
    targets = _Targets.of(training, initial, recipe.taught)
    losses = epoch_losses(_PairLoss(model, training.images, targets, recipe), count, recipe.batch, seed)
    schedule = Schedule(recipe.epochs, max(1, count // recipe.batch), recipe.peak_rate)
    validations = train(model, losses, partial(_mean_f1, validation), schedule, progress=progress, title="face encoder", state=state)
    return model.to(memory_format=torch.contiguous_format), validations


@dataclass(frozen=True, slots=True)
class _Targets:
    """What is learned: (n, classes) probabilities of expressions and (n, 3) of polarities."""

    emotions: Tensor
    polarities: Tensor

    @classmethod
    def of(cls, images: Faces, teacher: FaceClassifier | None, taught: float) -> _Targets:
        """The labels, mixed with the teacher's mean answers to each image and its mirror image."""
        own: tuple[npt.NDArray[np.float64], ...] = (np.eye(images.classes)[images.emotions], np.eye(3)[images.polarities])
        if teacher is not None and taught > 0.0:
            answers = zip(predict(teacher, images.images), predict(teacher, images.images[:, :, ::-1]), strict=True)
            own = tuple((1.0 - taught) * label + taught * (one + other) / 2 for label, (one, other) in zip(own, answers, strict=True))
        return cls(*(torch.from_numpy(part.astype(np.float32)) for part in own))


@dataclass(frozen=True, slots=True)
class _PairLoss:
    """Equation (1) for a batch, in two views, that is mixed with itself in another order."""

    model: FaceClassifier
    images: npt.NDArray[np.uint8]
    targets: _Targets
    recipe: FaceRecipe

    def __call__(self, chosen: Indices, rng: np.random.Generator, generator: torch.Generator, epoch: int) -> Tensor:
        side, others = self.recipe.side(epoch), rng.permutation(chosen.size)
        share = float(rng.beta(self.recipe.mixed, self.recipe.mixed)) if self.recipe.mixed else 1.0
        pair = views(torch.from_numpy(normalise(self.images[chosen])), generator, self.recipe, side)
        pair = torch.lerp(pair[np.concatenate([others, chosen.size + others])], pair, share)
        with low_precision():
            embeddings, _ = self.model.encoder(pair.contiguous(memory_format=torch.channels_last))
            emotion, polarity = self.model.classified(embeddings)
            plain = self.model.polarity(embeddings)
        loss = self.recipe.consistency * unlike(embeddings.float(), plain.float())
        for part, shown in ((share, chosen), (1.0 - share, chosen[others])):
            if part:
                loss = loss + part * self._classified(emotion.float(), polarity.float(), np.concatenate([shown, shown]))
        return loss

    def _classified(self, emotion: Tensor, polarity: Tensor, chosen: Indices) -> Tensor:
        of_emotion = functional.cross_entropy(emotion, self.targets.emotions[chosen], label_smoothing=0.1)
        return of_emotion + self.recipe.polarity_weight * functional.cross_entropy(polarity, self.targets.polarities[chosen])


def unlike(embeddings: Tensor, polarity: Tensor) -> Tensor:
    """How much two views of an image differ: W / B + D of equation (1).

    Args:
        embeddings: (2 B, `FACE_WIDTH`) embeddings of all first and all second views.
        polarity: (2 B, 3) logits of polarity.
    """
    first, second = embeddings.chunk(2)
    within = (first - second).pow(2).sum(dim=1).mean()
    between = (embeddings - embeddings.mean(dim=0)).pow(2).sum(dim=1).mean()
    of_logits = torch.sub(*polarity.chunk(2)).pow(2).mean()
    return within / between.clamp_min(1e-6) + LOGITS_WEIGHT * of_logits


def _mean_f1(images: Faces, model: nn.Module) -> float:
    emotions, polarities = predict(model, images.images)
    emotion_f1, _ = f1_scores(emotions.argmax(axis=1), images.emotions)
    polarity_f1, _ = f1_scores(polarities.argmax(axis=1), images.polarities)
    return (emotion_f1 + polarity_f1) / 2


def predict(model: nn.Module, images: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Classify (n, 48, 48) images: (n, classes) probabilities of expressions and (n, 3) of polarities."""
    emotions, polarities = [], []
    with torch.no_grad():
        for start in range(0, images.shape[0], 256):
            emotion, polarity = model(torch.from_numpy(normalise(images[start : start + 256])))
            emotions.append(torch.softmax(emotion, dim=1).numpy())
            polarities.append(torch.softmax(polarity, dim=1).numpy())
    return np.concatenate(emotions), np.concatenate(polarities)
