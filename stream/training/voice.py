"""Training of the audio encoder on acted speech (RAVDESS)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn import functional

from stream.domain.features import EMBEDDING, Floats
from stream.encoders.audio import LOG_MEAN, LOG_SCALE, POWER_FLOOR, log_mel, segments
from stream.encoders.shapes import BLOCK_SAMPLES, MEL_BINS, MEL_FRAMES, SEGMENTS_PER_BLOCK
from stream.model.encoders import AudioEncoder
from stream.model.precision import low_precision
from stream.training.corpora import VOICE_EMOTIONS, VOICE_SHARES, VOICE_SIGNS, Voice
from stream.training.loop import Fit, Schedule, train
from stream.training.metrics import macro_recall
from stream.training.nuisances import Signal, noise, some_line

SILENCE_DBFS = -55.0
PEAK_DBFS = (-20.0, -3.0)
"""Recordings are brought to one of these peaks: how loud a voice arrives says more of the line than of the speaker."""

BLOCKS, SHOWN = 3, 2
"""Blocks of a variant, and how many of them, one after the other, a training step is shown."""

LINES = 1 / 3
"""Part of the examples that come over a line."""

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class VoiceRecipe:
    """How the audio encoder is trained.

    Attributes:
        epochs: Passes over the recordings.
        batch: Recordings of a step.
        peak_rate: Highest learning rate.
        dropout: On the pooled embeddings.
        variants: Variants of each recording that are made beforehand.
        paired: Part of the batch whose plain variant is looked at too.
        polarity_weight: w_p of equation (1).
        agreement_weight: w_c.
    """

    epochs: int = 80
    batch: int = 32
    peak_rate: float = 3e-3
    dropout: float = 0.3
    variants: int = 8
    paired: float = 0.125
    polarity_weight: float = 0.5
    agreement_weight: float = 1.0


class Logits(NamedTuple):
    """Answers to recordings: (B, 8) emotions, (B, 3) polarities, and (B, K * 10, 64) segment embeddings."""

    emotions: Tensor
    polarities: Tensor
    segments: Tensor


class VoiceClassifier(nn.Module):
    """The encoder with what it is taught by: emotion and polarity of a recording's audible segments.

    Segments e_t are pooled with attention a_t = softmax_t(q . e_t) over the audible ones to mean m = sum a_t e_t and
    deviation sqrt(sum a_t (e_t - m)^2), to which linear layers are applied.
    """

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.encoder = AudioEncoder()
        self.attention = nn.Linear(EMBEDDING, 1)
        self.dropout = nn.Dropout(dropout)
        self.emotion = nn.Linear(2 * EMBEDDING, len(VOICE_EMOTIONS))
        self.polarity = nn.Linear(2 * EMBEDDING, 3)

    def forward(self, blocks: Tensor, audible: Tensor) -> Logits:
        """(B, K, 64, 100) blocks and (B, K * 10) bool audibility to logits."""
        embeddings = self.encoder(blocks.flatten(0, 1)).reshape(blocks.shape[0], -1, EMBEDDING).float()
        relevance = self.attention(embeddings).masked_fill(~audible.unsqueeze(2), -1e4)
        weights = torch.softmax(relevance, dim=1)
        mean = (weights * embeddings).sum(dim=1, keepdim=True)
        deviation = ((weights * (embeddings - mean) ** 2).sum(dim=1) + 1e-6).sqrt()
        pooled = self.dropout(torch.cat([mean.squeeze(1), deviation], dim=1))
        return Logits(self.emotion(pooled), self.polarity(pooled), embeddings)


@dataclass(frozen=True, slots=True)
class Truth:
    """Classes of recordings, (n,) int64 each; `signs` are 0 negative, 1 zero, 2 positive."""

    emotions: Tensor
    polarities: Tensor
    signs: Tensor

    @classmethod
    def of(cls, voices: Sequence[Voice]) -> Truth:
        """The classes of some recordings."""
        return cls(
            torch.tensor([voice.emotion for voice in voices]),
            torch.tensor([voice.polarity for voice in voices]),
            torch.tensor([int(np.sign(voice.valence)) + 1 for voice in voices]),
        )


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


def moved(samples: Samples, rng: np.random.Generator) -> Signal:
    """Other tempo and pitch (+-12 %) and another phase of the blocks: `BLOCKS` seconds at a peak of `PEAK_DBFS`'s upper end."""
    loud = at_peak(samples, PEAK_DBFS[1])
    tempo = rng.uniform(0.88, 1.12)
    stretched = np.interp(np.arange(0, loud.shape[0] - 1, tempo), np.arange(loud.shape[0]), loud)
    length = BLOCKS * BLOCK_SAMPLES
    room = length - stretched.shape[0]
    start = int(rng.integers(min(0, room), max(0, min(room, BLOCK_SAMPLES)) + 1))
    piece = np.zeros(length)
    inside = stretched[max(0, -start) : max(0, -start) + length - max(0, start)]
    piece[max(0, start) : max(0, start) + inside.shape[0]] = inside
    return piece


@dataclass(frozen=True, slots=True)
class Shelf:
    """Log-mel blocks of every recording in several variants, made once: each as recorded (0) and over a line (1).

    Attributes:
        mel: (n, V, 2, K, 64, 100) float16.
        audible: (n, V, 2, K * 10) bool.
    """

    mel: npt.NDArray[np.float16]
    audible: npt.NDArray[np.bool_]

    def __getitem__(self, chosen: Sequence[int] | npt.NDArray[np.int64]) -> Shelf:
        """The shelf of some of the recordings."""
        return Shelf(self.mel[chosen], self.audible[chosen])

    def shown(self, *where: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """`SHOWN` blocks of some variants.

        Args:
            where: Four arrays (B,): recording, variant, channel, first block.

        Returns:
            (B, SHOWN, 64, 100) float32 and (B, SHOWN * 10) bool.
        """
        *variant, first = (index[:, None] for index in where)
        blocks = first + np.arange(SHOWN)
        segments_ = first * SEGMENTS_PER_BLOCK + np.arange(SHOWN * SEGMENTS_PER_BLOCK)
        return (
            torch.from_numpy(self.mel[(*variant, blocks)].astype(np.float32)),
            torch.from_numpy(self.audible[(*variant, segments_)]),
        )


def fill_shelf(voices: Sequence[Voice], variants: int, seed: int, progress: Progress) -> Shelf:
    """Compute the variants of recordings; a recording's follow from the seed and its place alone."""
    mel = np.empty((len(voices), variants, 2, BLOCKS, MEL_BINS, MEL_FRAMES), dtype=np.float16)
    audible = np.empty((len(voices), variants, 2, BLOCKS * SEGMENTS_PER_BLOCK), dtype=np.bool_)
    for place, voice in enumerate(progress.track(voices, description="voice variants")):
        rng = np.random.default_rng([seed, place])
        piece = voiced(voice.samples)
        for variant in range(variants):
            plain = moved(piece, rng)
            for channel, signal in enumerate((noise(plain, rng.uniform(-85.0, -60.0), rng), some_line(plain, rng))):
                mel[place, variant, channel], audible[place, variant, channel] = blocks_of(to_samples(signal))
    return Shelf(mel, audible)


def to_samples(signal: Signal) -> Samples:
    """Float samples to int16, clipped."""
    return np.asarray(np.clip(signal, -32_768, 32_767), dtype=np.int16)


def masked(blocks: Tensor, generator: torch.Generator) -> Tensor:
    """Quieter by chance, and with SpecAugment's masks (arXiv 1904.08779): one band over all blocks, one stretch of each block.

    Args:
        blocks: (B, K, 64, 100) log-mel.
        generator: Source of chance.
    """
    floor = (math.log(POWER_FLOOR) - LOG_MEAN) / LOG_SCALE

    def chance(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    batch, count = blocks.shape[:2]
    quieter_db = chance(batch, 1, 1, 1) * (PEAK_DBFS[1] - PEAK_DBFS[0])
    blocks = (blocks - quieter_db * (math.log(10.0) / 10.0 / LOG_SCALE)).clamp_min(floor)
    band = _stretch(MEL_BINS, chance(batch, 1), chance(batch, 1) * 12)
    time = _stretch(MEL_FRAMES, chance(batch, count, 1), chance(batch, count, 1) * 25)
    return blocks.masked_fill(band[:, None, :, None] | time[:, :, None, :], floor)


def _stretch(length: int, place: Tensor, width: Tensor) -> Tensor:
    """(..., 1) places in [0, 1] and widths to (..., length) bool."""
    covered: Tensor = (torch.arange(length) - place * length).abs() < width / 2
    return covered


@dataclass(frozen=True, slots=True)
class _Course:
    """What the loss of a batch is made from."""

    model: VoiceClassifier
    shelf: Shelf
    truth: Truth
    recipe: VoiceRecipe
    balance: Tensor

    def loss(self, chosen: npt.NDArray[np.int64], rng: np.random.Generator, generator: torch.Generator) -> Tensor:
        """Equation (1) for some recordings."""
        recipe, truth = self.recipe, self.truth
        pairs = int(recipe.paired * chosen.shape[0])
        variants = rng.integers(0, recipe.variants, chosen.shape)
        lines = (np.arange(chosen.shape[0]) < pairs) | (rng.random(chosen.shape[0]) < LINES)
        channels = np.concatenate([lines, np.zeros(pairs, dtype=np.bool_)]).astype(np.int64)
        rows = np.concatenate([np.arange(chosen.shape[0]), np.arange(pairs)])
        first = rng.integers(0, BLOCKS - SHOWN + 1, chosen.shape)
        blocks, audible = self.shelf.shown(chosen[rows], variants[rows], channels, first[rows])
        with low_precision():
            found = self.model(masked(blocks, generator), audible)
        emotion = functional.cross_entropy(found.emotions.float(), truth.emotions[chosen[rows]], label_smoothing=0.1)
        polarity = functional.cross_entropy(found.polarities.float(), truth.polarities[chosen[rows]], weight=self.balance)
        both = (audible[:pairs] & audible[chosen.shape[0] :]).unsqueeze(2)
        gap = ((found.segments[:pairs] - found.segments[chosen.shape[0] :]) ** 2 * both).sum() / (both.sum() * EMBEDDING).clamp_min(1)
        total: Tensor = emotion + recipe.polarity_weight * polarity + recipe.agreement_weight * gap
        return total


def train_voice(
    voices: Sequence[Voice],
    shelf: Shelf,
    validation: Sequence[Voice],
    recipe: VoiceRecipe,
    *,
    seed: int,
    progress: Progress,
    state: Path | None = None,
) -> tuple[VoiceClassifier, Fit]:
    """Train on recordings; the report's value is the mean macro recall of emotion and sign on the validation recordings.

    The loss of a batch is, with emotion e and polarity p,

        L = CE(e) + w_p CE(p) + w_c mean |z(x) - z(x')|^2                     (1)

    where x' is the plain variant of some of the recordings whose variant over a line is x, and z their segment embeddings.

    Args:
        voices: Recordings to learn from.
        shelf: Their variants.
        validation: Recordings of the report; may be empty.
        recipe: How.
        seed: Of all chance.
        progress: Shows a bar.
        state: File that keeps the state, so that training can be taken up again.
    """
    torch.manual_seed(seed)
    model = VoiceClassifier(recipe.dropout).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    truth = Truth.of(voices)
    course = _Course(model, shelf, truth, recipe, _balance(truth.polarities))
    steps = max(1, len(voices) // recipe.batch)

    def losses(epoch: int) -> Iterator[Tensor]:
        rng = np.random.default_rng([seed, epoch])
        generator = torch.Generator().manual_seed(seed + 1_000 * epoch)
        order = rng.permutation(len(voices))
        for step in range(steps):
            yield course.loss(order[step * recipe.batch : (step + 1) * recipe.batch], rng, generator)

    inputs = [blocks_of(at_peak(voice.samples, -6.0)) for voice in validation]

    def validate(averaged: nn.Module) -> float:
        if not validation:
            return math.nan
        answers, known = predict(averaged, inputs), Truth.of(validation)
        named = [(answers.emotions, known.emotions), (answers.signs, known.signs)]
        return float(np.mean([macro_recall(found.argmax(axis=1), wanted.numpy()) for found, wanted in named]))

    schedule = Schedule(recipe.epochs, steps, recipe.peak_rate)
    fit = train(model, losses, validate, schedule, progress=progress, title="audio encoder", state=state)
    return model.to(memory_format=torch.contiguous_format), fit


class Answers(NamedTuple):
    """Probabilities for whole recordings: (n, 8) emotions, (n, 3) polarities, (n, 3) signs of valence.

    A sign's probability is that of its emotions, as if the signs were equally frequent:

        p(s) ~ sum_{e in s} p(e) / sum_{e in s} P(e)                          (2)

    with the corpus's shares P, so that the likeliest sign is the best guess for macro recall.
    """

    emotions: Floats
    polarities: Floats
    signs: Floats


def predict(model: nn.Module, inputs: Sequence[tuple[Floats, npt.NDArray[np.bool_]]]) -> Answers:
    """Probabilities of whole recordings, given as `blocks_of` makes them."""
    emotions, polarities = [], []
    with torch.no_grad():
        for mel, audible in inputs:
            found = model(torch.from_numpy(mel).unsqueeze(0), torch.from_numpy(audible).unsqueeze(0))
            emotions.append(torch.softmax(found.emotions[0], dim=0).numpy())
            polarities.append(torch.softmax(found.polarities[0], dim=0).numpy())
    return Answers(np.stack(emotions), np.stack(polarities), signs_of(np.stack(emotions)))


def signs_of(emotions: Floats) -> Floats:
    """Equation (2): (n, 8) probabilities of emotions to (n, 3) of signs."""
    member = np.equal.outer(VOICE_SIGNS, np.arange(3)).astype(np.float32)
    weighed = (emotions @ member) / (np.asarray(VOICE_SHARES, dtype=np.float32) @ member)
    signs: Floats = weighed / weighed.sum(axis=1, keepdims=True)
    return signs


def _balance(classes: Tensor) -> Tensor:
    counts = torch.bincount(classes, minlength=3).clamp_min(1)
    return classes.shape[0] / (3.0 * counts)
