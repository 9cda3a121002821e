"""Training of the face encoder on expression images (FER2013)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn import functional

from stream.domain.features import Floats
from stream.domain.media_format import EMBEDDING_WIDTH, FACE_SIZE
from stream.encoders.face import normalise
from stream.model.encoders import FaceEncoder
from stream.model.precision import low_precision
from stream.training.corpora import Faces
from stream.training.loop import Fit, Schedule, train
from stream.training.metrics import f1_scores


@dataclass(frozen=True, slots=True)
class FaceRecipe:
    """How the face encoder is trained.

    Attributes:
        epochs: Passes over the images.
        batch: Images of a step.
        peak_rate: Highest learning rate.
        dropout: On the embedding.
        polarity_weight: Of the polarity's loss beside the expression's.
        mixed: Parameter of the Beta distribution by which each batch is mixed with itself in another order (mixup, arXiv 1710.09412).
        sides: Up to which part of the epochs images are how many pixels wide: small ones cost less, and come first.
    """

    epochs: int = 60
    batch: int = 64
    peak_rate: float = 3e-3
    dropout: float = 0.2
    polarity_weight: float = 0.5
    mixed: float = 0.3
    sides: tuple[tuple[float, int], ...] = ((0.4, 32), (0.7, 40), (1.0, FACE_SIZE))

    def side(self, epoch: int) -> int:
        """Width of the images of an epoch."""
        return next(side for part, side in self.sides if epoch < part * self.epochs or part == 1.0)


class FaceClassifier(nn.Module):
    """The encoder with what it is taught by: expression and polarity."""

    def __init__(self, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.encoder = FaceEncoder()
        self.dropout = nn.Dropout(dropout)
        self.emotion = nn.Linear(EMBEDDING_WIDTH, classes)
        self.polarity = nn.Linear(EMBEDDING_WIDTH, 3)

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, 48, 48) to logits (B, classes) and (B, 3)."""
        embedding = self.dropout(self.encoder(faces))
        return self.emotion(embedding), self.polarity(embedding)


def augmented(faces: Tensor, generator: torch.Generator, side: int = FACE_SIZE) -> Tensor:
    """Mirror, turn (+-20 degrees), zoom (0.8 to 1.2), stretch and shift (+-10 %) each crop, and blank a square in half of them.

    Args:
        faces: (B, 1, 48, 48).
        generator: Source of chance.
        side: Width of the result.

    Returns:
        (B, 1, side, side).
    """
    batch = faces.shape[0]

    def chance() -> Tensor:
        return torch.rand(batch, generator=generator)

    turn = (chance() - 0.5) * math.radians(40.0)
    zoom = 0.8 + 0.4 * chance()
    stretch = 0.9 + 0.2 * chance()
    mirror = torch.where(chance() < 0.5, -1.0, 1.0)
    cos, sin = torch.cos(turn) * zoom, torch.sin(turn) * zoom
    across = mirror * stretch
    shift = [(chance() - 0.5) * 0.4 for _ in range(2)]
    affine = torch.stack([torch.stack([cos * across, -sin, shift[0]], dim=1), torch.stack([sin * across, cos, shift[1]], dim=1)], dim=1)
    grid = functional.affine_grid(affine, [batch, 1, side, side], align_corners=False)
    moved = functional.grid_sample(faces, grid, padding_mode="border", align_corners=False)
    rows = torch.arange(side).reshape(1, side)
    hidden = [((rows - (chance() * side).unsqueeze(1)).abs() < side / 7) for _ in range(2)]
    square = hidden[0].unsqueeze(2) & hidden[1].unsqueeze(1) & (chance() < 0.5).reshape(-1, 1, 1)
    return moved.masked_fill(square.unsqueeze(1), 0.0)


def train_faces(
    training: Faces, validation: Faces, recipe: FaceRecipe, *, seed: int, progress: Progress, state: Path | None = None
) -> tuple[FaceClassifier, Fit]:
    """Train on the training images; the report's value is the mean of both macro F1 on the validation images.

    Args:
        training: Images to learn from.
        validation: Images of the report.
        recipe: How.
        seed: Of all chance.
        progress: Shows a bar.
        state: File that keeps the state, so that training can be taken up again.
    """
    torch.manual_seed(seed)
    model = FaceClassifier(training.classes, recipe.dropout).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    steps = max(1, training.images.shape[0] // recipe.batch)

    def losses(epoch: int) -> Iterator[Tensor]:
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(training.images.shape[0])
        generator = torch.Generator().manual_seed(seed + 1_000 * epoch)
        for step in range(steps):
            chosen = order[step * recipe.batch : (step + 1) * recipe.batch]
            faces = augmented(torch.from_numpy(normalise(training.images[chosen])), generator, recipe.side(epoch))
            share, others = float(rng.beta(recipe.mixed, recipe.mixed)), rng.permutation(recipe.batch)
            faces = torch.lerp(faces[others], faces, share)
            with low_precision():
                answer = model(faces.contiguous(memory_format=torch.channels_last))
            yield share * loss(answer, chosen) + (1.0 - share) * loss(answer, chosen[others])

    def loss(answer: tuple[Tensor, Tensor], of: npt.NDArray[np.int64]) -> Tensor:
        emotion, polarity = answer
        emotions, polarities = torch.from_numpy(training.emotions[of]), torch.from_numpy(training.polarities[of])
        return functional.cross_entropy(emotion.float(), emotions, label_smoothing=0.1) + recipe.polarity_weight * functional.cross_entropy(
            polarity.float(), polarities
        )

    def validate(averaged: nn.Module) -> float:
        emotions, polarities = predict(averaged, validation.images)
        emotion_f1, _ = f1_scores(emotions.argmax(axis=1), validation.emotions)
        polarity_f1, _ = f1_scores(polarities.argmax(axis=1), validation.polarities)
        return (emotion_f1 + polarity_f1) / 2

    schedule = Schedule(recipe.epochs, steps, recipe.peak_rate)
    fit = train(model, losses, validate, schedule, progress=progress, title="face encoder", state=state)
    return model.to(memory_format=torch.contiguous_format), fit


def predict(model: nn.Module, images: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Probabilities of images: (n, classes) expressions and (n, 3) polarities."""
    emotions, polarities = [], []
    with torch.no_grad():
        for start in range(0, images.shape[0], 256):
            emotion, polarity = model(torch.from_numpy(normalise(images[start : start + 256])))
            emotions.append(torch.softmax(emotion, dim=1).numpy())
            polarities.append(torch.softmax(polarity, dim=1).numpy())
    return np.concatenate(emotions), np.concatenate(polarities)
