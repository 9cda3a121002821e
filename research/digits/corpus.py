"""The real parts of spoken-digit images: MNIST images, FSDD recordings and words, divided by part.

Recordings are trimmed where they are 30 dB below their loudest frame, so that the mask of a digit is what is heard of it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from stream.domain.features import Floats
from stream.training.errors import TrainingError

CLASSES = 10
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
MEL_BINS = 40
FRAME_SAMPLES, HOP_SAMPLES, SAMPLE_RATE = 256, 128, 8_000
"""Windows of 32 ms every 16 ms."""

LONGEST_RECORDING = 56
"""Frames; longer recordings (two of 3,000) would fill half of the sound."""

IMAGE_SPLIT_SEED = 15
QUIETEST = 1e-3
LOG_RANGE = 6.0
"""A recording's mel powers are raised to at least 10^-6 of its greatest one."""

DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
OTHER_WORDS = (
    *("the", "a", "my", "your", "this", "that", "it", "is", "was", "he", "she", "they", "we", "you", "of", "on", "in", "at", "with"),
    *("from", "and", "but", "so", "then", "please", "say", "write", "read", "hear", "see", "look", "number", "figure", "again", "now"),
    *("here", "there", "today", "to", "too", "won", "ate", "for", "fore", "tree", "free", "sex", "sick", "heaven", "sever", "nun", "hero"),
)
VOCABULARY = (*DIGIT_WORDS, *OTHER_WORDS)
"""Digit d is word d. Some other words sound like digits, which matters to nobody who reads."""


class Part(StrEnum):
    """Which images and recordings a sample is made of."""

    TRAIN = "train"
    DEVELOPMENT = "development"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Recordings:
    """Spoken digits of a part.

    Attributes:
        frames: (f, 40) float32 log-mel frames of all recordings, one after the other.
        starts: (n,) first frame of each recording.
        lengths: (n,) frames of each recording.
        digits: (n,) digit of each recording.
        speakers: (n,) index into `SPEAKERS`.
    """

    frames: Floats
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    digits: npt.NDArray[np.int64]
    speakers: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Images:
    """Written digits of a part: (n, 28, 28) uint8 pixels and (n,) digits, in the order of their ink."""

    pixels: npt.NDArray[np.uint8]
    digits: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Images and recordings of each part. Speakers are in all parts; whoever trains leaves one out."""

    images: dict[Part, Images]
    recordings: dict[Part, Recordings]


def read_corpus(data: Path) -> Corpus:
    """Read mnist/ and fsdd/ of the corpora; takes some ten seconds.

    7,000 images are for training, 1,000 for development, 2,000 for the test, drawn once. Recordings 0 to 4 of each speaker and digit
    are for the test, as in the corpus's own split; 5 to 9 are for development.

    Raises:
        TrainingError: If a corpus is not there.
    """
    return Corpus(_images(data / "mnist" / "t10k.npz"), _recordings(data / "fsdd"))


def log_mel(samples: npt.NDArray[np.float32]) -> Floats:
    """(t, 40) log10 mel powers of (n,) samples at 8 kHz, relative to the greatest; t = n // 128."""
    padded = np.pad(samples, FRAME_SAMPLES // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME_SAMPLES)[::HOP_SAMPLES][: samples.shape[0] // HOP_SAMPLES]
    power = np.abs(np.fft.rfft(frames * np.hanning(FRAME_SAMPLES + 1)[:-1], axis=1)) ** 2
    log = np.log10(np.maximum(power @ _mel_filters(), 1e-12))
    levelled: Floats = np.maximum(log - log.max(), -LOG_RANGE).astype(np.float32)
    return levelled


def audible(samples: npt.NDArray[np.float32]) -> slice:
    """The samples from the first to the last frame that is at most 30 dB below the loudest."""
    count = samples.shape[0] // HOP_SAMPLES
    energy = (samples[: count * HOP_SAMPLES].reshape(count, HOP_SAMPLES) ** 2).mean(axis=1)
    loud = np.flatnonzero(energy >= energy.max() * QUIETEST)
    return slice(int(loud[0]) * HOP_SAMPLES, (int(loud[-1]) + 1) * HOP_SAMPLES)


def _images(file: Path) -> dict[Part, Images]:
    if not file.is_file():
        raise TrainingError(f"The digit images are not there: {file} is missing.")
    with np.load(file, allow_pickle=False) as archive:
        pixels, digits = archive["images"], archive["labels"].astype(np.int64)
    order = np.random.default_rng(IMAGE_SPLIT_SEED).permutation(digits.shape[0])
    cut = np.split(order, [7_000, 8_000])
    parts = {}
    for part, rows in zip(Part, cut, strict=True):
        by_ink = rows[np.argsort(pixels[rows].sum(axis=(1, 2), dtype=np.int64), kind="stable")]
        parts[part] = Images(pixels[by_ink], digits[by_ink])
    return parts


def _recordings(folder: Path) -> dict[Part, Recordings]:
    if not (folder / "labels.csv").is_file():
        raise TrainingError(f"The spoken digits are not there: {folder / 'labels.csv'} is missing.")
    found: dict[Part, list[tuple[Floats, int, int]]] = {part: [] for part in Part}
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            samples, rate = soundfile.read(folder / "flac8k" / Path(row["file"]).with_suffix(".flac"), dtype="float32")
            if rate != SAMPLE_RATE:
                raise TrainingError(f"A spoken digit has {rate} samples a second instead of {SAMPLE_RATE}.")
            frames = log_mel(samples[audible(samples)])
            if frames.shape[0] <= LONGEST_RECORDING:
                index = int(row["index"])
                part = Part.TEST if index < 5 else Part.DEVELOPMENT if index < 10 else Part.TRAIN
                found[part].append((frames, int(row["digit"]), SPEAKERS.index(row["speaker"])))
    return {part: _joined(rows) for part, rows in found.items()}


def _joined(rows: list[tuple[Floats, int, int]]) -> Recordings:
    lengths = np.array([frames.shape[0] for frames, _, _ in rows], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
    digits, speakers = (np.array([row[i] for row in rows], dtype=np.int64) for i in (1, 2))
    return Recordings(np.concatenate([frames for frames, _, _ in rows]), starts, lengths, digits, speakers)


def _mel_filters() -> npt.NDArray[np.float64]:
    """(129, 40) triangular filters on the mel scale 2595 log10(1 + f / 700), up to 4 kHz."""
    mels = np.linspace(0.0, 2595.0 * np.log10(1.0 + SAMPLE_RATE / 2 / 700.0), MEL_BINS + 2)
    edges = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    hz = np.linspace(0.0, SAMPLE_RATE / 2, FRAME_SAMPLES // 2 + 1)[:, None]
    rising = (hz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hz) / (edges[2:] - edges[1:-1])
    return np.asarray(np.maximum(0.0, np.minimum(rising, falling)))
