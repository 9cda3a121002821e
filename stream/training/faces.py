"""Training of the face encoder on expression images (FER2013)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn import functional

from stream.domain.features import EMBEDDING, Floats
from stream.encoders.face import normalise
from stream.model.encoders import FaceEncoder
from stream.model.precision import low_precision
from stream.training.corpora import Faces
from stream.training.loop import Fit, Schedule, train
from stream.training.metrics import f1_scores


@dataclass(frozen=True, slots=True)
class FaceRecipe:
    """How the face encoder is trained."""

    epochs: int = 12
    batch: int = 64
    peak_rate: float = 4e-3
    dropout: float = 0.2
    polarity_weight: float = 0.5


class FaceClassifier(nn.Module):
    """The encoder with what it is taught by: expression and polarity."""

    def __init__(self, classes: int, dropout: float) -> None:
        super().__init__()
        self.encoder = FaceEncoder()
        self.dropout = nn.Dropout(dropout)
        self.emotion = nn.Linear(EMBEDDING, classes)
        self.polarity = nn.Linear(EMBEDDING, 3)

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, 48, 48) to logits (B, classes) and (B, 3)."""
        embedding = self.dropout(self.encoder(faces))
        return self.emotion(embedding), self.polarity(embedding)


def augmented(faces: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror, turn (+-15 degrees), zoom (0.8 to 1.2) and shift (+-10 %) each crop, and blank a square in half of them.

    Args:
        faces: (B, 1, 48, 48).
        generator: Source of chance.
    """
    batch = faces.shape[0]

    def chance() -> Tensor:
        return torch.rand(batch, generator=generator)

    turn = (chance() - 0.5) * math.radians(30.0)
    zoom = 0.8 + 0.4 * chance()
    mirror = torch.where(chance() < 0.5, -1.0, 1.0)
    cos, sin = torch.cos(turn) * zoom, torch.sin(turn) * zoom
    shift = [(chance() - 0.5) * 0.4 for _ in range(2)]
    affine = torch.stack([torch.stack([cos * mirror, -sin, shift[0]], dim=1), torch.stack([sin * mirror, cos, shift[1]], dim=1)], dim=1)
    grid = functional.affine_grid(affine, list(faces.shape), align_corners=False)
    moved = functional.grid_sample(faces, grid, padding_mode="border", align_corners=False)
    side = faces.shape[-1]
    rows = torch.arange(side).reshape(1, side)
    hidden = [((rows - (chance() * side).unsqueeze(1)).abs() < 6) for _ in range(2)]
    square = hidden[0].unsqueeze(2) & hidden[1].unsqueeze(1) & (chance() < 0.5).reshape(-1, 1, 1)
    return moved.masked_fill(square.unsqueeze(1), 0.0)


def train_faces(training: Faces, validation: Faces, recipe: FaceRecipe, seed: int, progress: Progress) -> tuple[FaceClassifier, Fit]:
    """Train on the training images, keep the epoch with the best mean of both macro F1 on the validation images."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    model = FaceClassifier(training.classes, recipe.dropout)
    steps = max(1, training.images.shape[0] // recipe.batch)

    def losses(_: int) -> Iterator[Tensor]:
        order = rng.permutation(training.images.shape[0])
        for step in range(steps):
            chosen = order[step * recipe.batch : (step + 1) * recipe.batch]
            faces = augmented(torch.from_numpy(normalise(training.images[chosen])), generator)
            with low_precision():
                emotion, polarity = model(faces)
            yield functional.cross_entropy(
                emotion.float(), torch.from_numpy(training.emotions[chosen]), label_smoothing=0.1
            ) + recipe.polarity_weight * functional.cross_entropy(polarity.float(), torch.from_numpy(training.polarities[chosen]))

    def validate() -> float:
        emotions, polarities = predict(model, validation.images)
        emotion_f1, _ = f1_scores(emotions.argmax(axis=1), validation.emotions)
        polarity_f1, _ = f1_scores(polarities.argmax(axis=1), validation.polarities)
        return (emotion_f1 + polarity_f1) / 2

    fit = train(model, losses, validate, Schedule(recipe.epochs, steps, recipe.peak_rate), progress=progress, title="face encoder")
    return model, fit


def predict(model: FaceClassifier, images: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Probabilities of images: (n, classes) expressions and (n, 3) polarities."""
    emotions, polarities = [], []
    with torch.no_grad():
        for start in range(0, images.shape[0], 256):
            emotion, polarity = model(torch.from_numpy(normalise(images[start : start + 256])))
            emotions.append(torch.softmax(emotion, dim=1).numpy())
            polarities.append(torch.softmax(polarity, dim=1).numpy())
    return np.concatenate(emotions), np.concatenate(polarities)
