"""Training of the face encoder on expression images (FER2013)."""

from __future__ import annotations

import math
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


@dataclass(frozen=True, slots=True)
class FaceRecipe:
    """Settings of the face encoder's training.

    Attributes:
        epochs: Passes over the images.
        batch: Images of a step.
        peak_rate: Highest learning rate.
        dropout: Dropout of the embedding.
        polarity_weight: Weight of the polarity's loss, relative to that of the expression.
        mixed: Parameter of the Beta distribution with which a batch is mixed with itself in another order (mixup, arXiv 1710.09412).
        sides: (share of the epochs, width of the images in pixels up to it). Small images come first, because they cost less.
    """

    epochs: int = 60
    batch: int = 64
    peak_rate: float = 3e-3
    dropout: float = 0.2
    polarity_weight: float = 0.5
    mixed: float = 0.3
    sides: tuple[tuple[float, int], ...] = ((0.4, 32), (0.7, 40), (1.0, FACE_SIZE))

    def side(self, epoch: int) -> int:
        """Width of the images of an epoch, in pixels."""
        return next(side for part, side in self.sides if epoch < part * self.epochs or part == 1.0)


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
        embedding = self.dropout(self.encoder(faces))
        return self.emotion(embedding), self.polarity(embedding)


def augmented(faces: Tensor, generator: torch.Generator, side: int = FACE_SIZE) -> Tensor:
    """Mirror, rotate (±20°), zoom (0.8 to 1.2), stretch and shift (±10 %) crops, and blank a square in half of them.

    From (B, 1, 48, 48) to (B, 1, side, side).
    """
    size = faces.shape[0]
    grid = functional.affine_grid(_affine(size, generator), [size, 1, side, side], align_corners=False)
    moved = functional.grid_sample(faces, grid, padding_mode="border", align_corners=False)
    rows = torch.arange(side).reshape(1, side)
    covered = [(rows - (_chance(size, generator) * side).unsqueeze(1)).abs() < side / 7 for _ in range(2)]
    square = covered[0].unsqueeze(2) & covered[1].unsqueeze(1) & (_chance(size, generator) < 0.5).reshape(-1, 1, 1)
    return moved.masked_fill(square.unsqueeze(1), 0.0)


def _affine(size: int, generator: torch.Generator) -> Tensor:
    """(B, 2, 3) random affine maps from the pixels of the result to the pixels of the crop."""
    turn = (_chance(size, generator) - 0.5) * math.radians(40.0)
    zoom = 0.8 + 0.4 * _chance(size, generator)
    stretch = 0.9 + 0.2 * _chance(size, generator)
    mirror = torch.where(_chance(size, generator) < 0.5, -1.0, 1.0)
    cos, sin = torch.cos(turn) * zoom, torch.sin(turn) * zoom
    across = mirror * stretch
    shift = [(_chance(size, generator) - 0.5) * 0.4 for _ in range(2)]
    return torch.stack([torch.stack([cos * across, -sin, shift[0]], dim=1), torch.stack([sin * across, cos, shift[1]], dim=1)], dim=1)


def _chance(size: int, generator: torch.Generator) -> Tensor:
    return torch.rand(size, generator=generator)


def train_faces(
    training: Faces, validation: Faces, recipe: FaceRecipe, *, seed: int, progress: Progress, state: Path | None = None
) -> tuple[FaceClassifier, Validations]:
    """Train on the training images; the report's value is the mean of both macro F1 on the validation images.

    With a file for its `state`, an interrupted training resumes.
    """
    torch.manual_seed(seed)
    model = FaceClassifier(training.classes, recipe.dropout).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    count = training.images.shape[0]
    losses = epoch_losses(_MixedLoss(model, training, recipe), count, recipe.batch, seed)
    schedule = Schedule(recipe.epochs, max(1, count // recipe.batch), recipe.peak_rate)
    validations = train(model, losses, partial(_mean_f1, validation), schedule, progress=progress, title="face encoder", state=state)
    return model.to(memory_format=torch.contiguous_format), validations


@dataclass(frozen=True, slots=True)
class _MixedLoss:
    """The loss of a batch that is mixed with itself in another order."""

    model: FaceClassifier
    images: Faces
    recipe: FaceRecipe

    def __call__(self, chosen: Indices, rng: np.random.Generator, generator: torch.Generator, epoch: int) -> Tensor:
        faces = augmented(torch.from_numpy(normalise(self.images.images[chosen])), generator, self.recipe.side(epoch))
        share, others = float(rng.beta(self.recipe.mixed, self.recipe.mixed)), rng.permutation(self.recipe.batch)
        faces = torch.lerp(faces[others], faces, share)
        with low_precision():
            answer = self.model(faces.contiguous(memory_format=torch.channels_last))
        return share * self._loss(answer, chosen) + (1.0 - share) * self._loss(answer, chosen[others])

    def _loss(self, answer: tuple[Tensor, Tensor], targets: Indices) -> Tensor:
        emotion, polarity = (logits.float() for logits in answer)
        emotions, polarities = torch.from_numpy(self.images.emotions[targets]), torch.from_numpy(self.images.polarities[targets])
        of_polarity = functional.cross_entropy(polarity, polarities)
        return functional.cross_entropy(emotion, emotions, label_smoothing=0.1) + self.recipe.polarity_weight * of_polarity


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
