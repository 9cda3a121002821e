"""Training of the audio encoder on acted speech (RAVDESS)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn import functional

from stream.domain.features import EMBEDDING, Floats
from stream.encoders.audio import LOG_MEAN, LOG_SCALE, POWER_FLOOR, log_mel, segments
from stream.encoders.shapes import BLOCK_SAMPLES, MEL_BINS, SEGMENTS_PER_BLOCK
from stream.model.encoders import AudioEncoder
from stream.model.precision import low_precision
from stream.training.corpora import VOICE_EMOTIONS, Part, Voice
from stream.training.loop import Fit, Schedule, train
from stream.training.metrics import f1_scores

SILENCE_DBFS = -55.0
PEAK_DBFS = (-20.0, -3.0)
"""Recordings are brought to one of these peaks: how loud a voice arrives says more of the line than of the speaker."""

BLOCKS = 2
"""Blocks of a training example."""

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class VoiceRecipe:
    """How the audio encoder is trained."""

    epochs: int = 50
    batch: int = 32
    peak_rate: float = 3e-3
    dropout: float = 0.3
    polarity_weight: float = 0.5


class VoiceClassifier(nn.Module):
    """The encoder with what it is taught by: emotion and polarity of the mean over audible segments."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.encoder = AudioEncoder()
        self.dropout = nn.Dropout(dropout)
        self.emotion = nn.Linear(EMBEDDING, len(VOICE_EMOTIONS))
        self.polarity = nn.Linear(EMBEDDING, 3)

    def forward(self, blocks: Tensor, audible: Tensor) -> tuple[Tensor, Tensor]:
        """(B, K, 64, 100) blocks and (B, K * 10) audibility to logits (B, 8) and (B, 3)."""
        segments_ = self.encoder(blocks.flatten(0, 1)).reshape(blocks.shape[0], -1, EMBEDDING).float()
        weights = audible / audible.sum(dim=1, keepdim=True).clamp_min(1.0)
        pooled = self.dropout((segments_ * weights.unsqueeze(-1)).sum(dim=1))
        return self.emotion(pooled), self.polarity(pooled)


def at_peak(samples: Samples, peak_dbfs: float) -> Samples:
    """Scale a recording so that its largest sample is at a level."""
    largest = max(int(np.abs(samples.astype(np.int32)).max(initial=1)), 1)
    return np.asarray(np.clip(samples * (10.0 ** (peak_dbfs / 20.0) * 32_767.0 / largest), -32_768, 32_767), dtype=np.int16)


def blocks_of(samples: Samples) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Cut samples into blocks of a second as the live path does.

    Returns:
        (K, 64, 100) float32 and (K * 10,) bool: log-mel blocks and which of their segments are audible.
    """
    count = max(1, -(-samples.shape[0] // BLOCK_SAMPLES))
    mel = np.stack([log_mel(samples[i * BLOCK_SAMPLES : (i + 1) * BLOCK_SAMPLES]) for i in range(count)])
    audible = np.zeros(count * SEGMENTS_PER_BLOCK, dtype=np.bool_)
    heard = segments(0, samples, SILENCE_DBFS)[1]
    audible[: heard.shape[0]] = heard
    return mel, audible


def voiced(samples: Samples) -> Samples:
    """The recording from its first to its last audible segment, at a peak of -6 dBFS."""
    loud = at_peak(samples, -6.0)
    heard = np.flatnonzero(segments(0, loud, SILENCE_DBFS)[1])
    if heard.size == 0:
        return loud
    segment = BLOCK_SAMPLES // SEGMENTS_PER_BLOCK
    return loud[heard[0] * segment : (heard[-1] + 1) * segment]


def augmented(samples: Samples, rng: np.random.Generator) -> Samples:
    """Other tempo and pitch (+-10 %), other phase of the blocks, other level, some noise."""
    tempo = rng.uniform(0.9, 1.1)
    stretched = np.interp(np.arange(0, samples.shape[0] - 1, tempo), np.arange(samples.shape[0]), samples)
    length = BLOCKS * BLOCK_SAMPLES
    offset = int(rng.integers(-BLOCK_SAMPLES // 2, max(1, stretched.shape[0] - BLOCK_SAMPLES)))
    piece = np.zeros(length)
    inside = stretched[max(0, offset) : max(0, offset) + length - max(0, -offset)]
    piece[max(0, -offset) : max(0, -offset) + inside.shape[0]] = inside
    noise_dbfs = rng.uniform(-85.0, -45.0)
    piece += rng.standard_normal(length) * 32_768.0 * 10.0 ** (noise_dbfs / 20.0)
    gain_db = rng.uniform(PEAK_DBFS[0], PEAK_DBFS[1]) + 6.0
    return np.asarray(np.clip(piece * 10.0 ** (gain_db / 20.0), -32_768, 32_767), dtype=np.int16)


def masked(blocks: Floats, rng: np.random.Generator) -> Floats:
    """SpecAugment's masks (arXiv 1904.08779), and in a third of the examples the band of a telephone line."""
    floor = (np.log(POWER_FLOOR) - LOG_MEAN) / LOG_SCALE
    blocks = blocks.copy()
    low, width = int(rng.integers(0, MEL_BINS - 10)), int(rng.integers(0, 10))
    blocks[:, low : low + width] = floor
    start, length = int(rng.integers(0, 80)), int(rng.integers(0, 20))
    blocks[:, :, start : start + length] = floor
    if rng.random() < 1 / 3:
        blocks[:, : TELEPHONE_BINS[0]] = floor
        blocks[:, TELEPHONE_BINS[1] :] = floor
    return blocks


def _mel_bin(hz: float) -> int:
    """Index of the mel filter around a frequency."""
    mels = 2595.0 * np.log10(1.0 + np.array([50.0, hz, 7_800.0]) / 700.0)
    return int((mels[1] - mels[0]) / (mels[2] - mels[0]) * (MEL_BINS + 1))


TELEPHONE_BINS = (_mel_bin(300.0), _mel_bin(3_400.0))


def train_voice(voices: Sequence[Voice], recipe: VoiceRecipe, seed: int, progress: Progress) -> tuple[VoiceClassifier, Fit]:
    """Train on the training actors, keep the epoch with the best mean of both macro F1 on the validation actors."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = VoiceClassifier(recipe.dropout)
    training = [voice for voice in voices if voice.part is Part.TRAIN]
    pieces = [voiced(voice.samples) for voice in training]
    polarity_weight = _balance(np.array([voice.polarity for voice in training]))
    validation = [voice for voice in voices if voice.part is Part.VALIDATION]
    steps = max(1, len(training) // recipe.batch)

    def losses(_: int) -> Iterator[Tensor]:
        order = rng.permutation(len(training))
        for step in range(steps):
            chosen = order[step * recipe.batch : (step + 1) * recipe.batch]
            cut = [blocks_of(augmented(pieces[i], rng)) for i in chosen]
            blocks = torch.from_numpy(np.stack([masked(mel, rng) for mel, _ in cut]))
            audible = torch.from_numpy(np.stack([heard for _, heard in cut])).float()
            with low_precision():
                emotion, polarity = model(blocks, audible)
            yield functional.cross_entropy(
                emotion.float(), torch.tensor([training[i].emotion for i in chosen]), label_smoothing=0.1
            ) + recipe.polarity_weight * functional.cross_entropy(
                polarity.float(), torch.tensor([training[i].polarity for i in chosen]), weight=polarity_weight
            )

    inputs = [blocks_of(at_peak(voice.samples, -6.0)) for voice in validation]

    def validate() -> float:
        return _mean_f1(predict(model, inputs), validation)

    fit = train(model, losses, validate, Schedule(recipe.epochs, steps, recipe.peak_rate), progress=progress, title="audio encoder")
    return model, fit


def predict(model: VoiceClassifier, inputs: Sequence[tuple[Floats, npt.NDArray[np.bool_]]]) -> tuple[Floats, Floats]:
    """Probabilities of whole recordings: (n, 8) emotions and (n, 3) polarities."""
    emotions, polarities = [], []
    with torch.no_grad():
        for mel, audible in inputs:
            emotion, polarity = model(torch.from_numpy(mel).unsqueeze(0), torch.from_numpy(audible).float().unsqueeze(0))
            emotions.append(torch.softmax(emotion[0], dim=0).numpy())
            polarities.append(torch.softmax(polarity[0], dim=0).numpy())
    return np.stack(emotions), np.stack(polarities)


def _mean_f1(predicted: tuple[Floats, Floats], voices: Sequence[Voice]) -> float:
    emotions, polarities = predicted
    emotion_f1, _ = f1_scores(emotions.argmax(axis=1), np.array([voice.emotion for voice in voices]))
    polarity_f1, _ = f1_scores(polarities.argmax(axis=1), np.array([voice.polarity for voice in voices]))
    return (emotion_f1 + polarity_f1) / 2


def _balance(polarities: npt.NDArray[np.int64]) -> Tensor:
    counts = np.maximum(np.bincount(polarities, minlength=3), 1)
    return torch.tensor(polarities.shape[0] / (3.0 * counts), dtype=torch.float32)
