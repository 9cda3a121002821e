"""The four corpora of the first recipe, read into one vocabulary: part, polarity, valence.

Valence of voices and faces is a hand-set constant for each acted or labelled emotion, not an annotation; polarity follows
from it by `polarity_of_valence`.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import soundfile

from stream.domain.media_format import SAMPLE_RATE

NEGATIVE, NEUTRAL, POSITIVE = range(3)
NEUTRAL_VALENCE = 0.2
"""Valence constants no farther from 0 than this count as neutral (surprise is +0.1)."""

NEUTRAL_SCORE = 0.5
"""MOSI scores nearer to 0 than this are neutral: the middle class of the corpus's seven."""

VOICE_EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
VOICE_SIGNS = (1, 2, 2, 0, 0, 0, 0, 2)
"""Sign of each emotion's valence constant: 0 negative, 1 zero, 2 positive."""

VOICE_SHARES = (1 / 15, *(2 / 15,) * 7)
"""How often each emotion was recorded: neutral has no strong variant."""

TRAIN_ACTORS, VALIDATION_ACTORS = range(1, 17), range(17, 21)


class Part(StrEnum):
    """Which part of a corpus an item belongs to; videos, actors and images are never in two."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Utterance:
    """One transcript.

    Attributes:
        corpus: ``mosi`` or ``meld``.
        group: The video (MOSI) or dialogue (MELD) it is from: the unit of resampling.
        text: Its words.
        score: MOSI's mean annotation in [-3, 3]; None in MELD.
        polarity: 0 negative, 1 neutral, 2 positive.
        part: Part of the corpus.
        speaker: Who says it, within the group.
        order: Its place in time within the group.
    """

    corpus: str
    group: str
    text: str
    score: float | None
    polarity: int
    part: Part
    speaker: str
    order: int


@dataclass(frozen=True, slots=True)
class Voice:
    """One RAVDESS recording; `samples` are int16 at 16 kHz, `emotion` indexes `VOICE_EMOTIONS`."""

    samples: npt.NDArray[np.int16]
    actor: int
    emotion: int
    polarity: int
    valence: float
    part: Part

    @property
    def sex(self) -> str:
        """``male`` or ``female``: RAVDESS gives its men odd numbers."""
        return "male" if self.actor % 2 else "female"


@dataclass(frozen=True, slots=True)
class Faces:
    """Images of one part of FER2013: (n, 48, 48) uint8, and (n,) class, polarity and valence of each."""

    images: npt.NDArray[np.uint8]
    emotions: npt.NDArray[np.int64]
    polarities: npt.NDArray[np.int64]
    valences: npt.NDArray[np.float32]
    classes: int


def polarity_of_valence(valence: float) -> int:
    """Negative, neutral or positive by `NEUTRAL_VALENCE`."""
    return NEUTRAL if abs(valence) <= NEUTRAL_VALENCE else POSITIVE if valence > 0 else NEGATIVE


def polarity_of_score(score: float) -> int:
    """Negative, neutral or positive by `NEUTRAL_SCORE`."""
    return NEUTRAL if abs(score) < NEUTRAL_SCORE else POSITIVE if score > 0 else NEGATIVE


def read_mosi(data: Path) -> list[Utterance]:
    """CMU-MOSI transcripts with scores, standard split (by video)."""
    parts = {"train": Part.TRAIN, "valid": Part.VALIDATION, "test": Part.TEST}
    with (data / "mosi" / "utterances.csv").open(encoding="utf-8", newline="") as file:
        return [
            Utterance(
                "mosi",
                row["video"],
                row["text"],
                float(row["label"]),
                polarity_of_score(float(row["label"])),
                parts[row["split_std"]],
                speaker=row["video"],
                order=int(row["segment"]),
            )
            for row in csv.DictReader(file)
        ]


def read_meld(data: Path) -> list[Utterance]:
    """MELD transcripts with sentiment, the corpus's own split (by dialogue; speakers are shared)."""
    polarities = {"negative": NEGATIVE, "neutral": NEUTRAL, "positive": POSITIVE}
    utterances = []
    for name, part in (("train", Part.TRAIN), ("dev", Part.VALIDATION), ("test", Part.TEST)):
        with (data / "meld" / f"{name}_sent_emo.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                text = row["Utterance"].replace("\x92", "'").replace("\x97", " ")
                group, polarity = f"{name}{row['Dialogue_ID']}", polarities[row["Sentiment"]]
                speaker, order = row["Speaker"], int(row["Utterance_ID"])
                utterances.append(Utterance("meld", group, text, None, polarity, part, speaker, order))
    return utterances


def read_voices(data: Path) -> list[Voice]:
    """RAVDESS speech: actors 1-16 train, 17-20 validation, 21-24 test."""
    voices = []
    with (data / "ravdess" / "labels.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            actor = int(row["actor"])
            part = Part.TRAIN if actor in TRAIN_ACTORS else Part.VALIDATION if actor in VALIDATION_ACTORS else Part.TEST
            samples = _read_samples(data / "ravdess" / "ogg16k" / row["file"])
            valence = float(row["valence"])
            voices.append(Voice(samples, actor, VOICE_EMOTIONS.index(row["emotion"]), polarity_of_valence(valence), valence, part))
    return voices


def read_faces(data: Path, part: Part) -> Faces:
    """FER2013, its own split.

    Blank images and images with conflicting labels are left out of training; images that also occur in training are left
    out of validation and test.
    """
    with np.load(data / "faces" / "fer2013_jpeg.npz") as archive:
        usage = archive["usage"] == list(Part).index(part)
        left_out = (
            archive["near_blank"] | archive["label_conflict"] if part is Part.TRAIN else archive["near_blank"] | archive["copy_in_train"]
        )
        chosen = np.flatnonzero(usage & ~left_out)
        header, body, offsets = archive["jpeg_header"].tobytes(), archive["jpeg_body"].tobytes(), archive["offsets"]
        images = np.stack([_decode(header + body[offsets[i] : offsets[i + 1]]) for i in chosen])
        emotions = archive["labels"][chosen].astype(np.int64)
        valences = archive["class_valence"].astype(np.float32)
    polarities = np.array([polarity_of_valence(float(valence)) for valence in valences], dtype=np.int64)
    return Faces(images, emotions, polarities[emotions], valences[emotions], len(valences))


def _read_samples(path: Path) -> npt.NDArray[np.int16]:
    samples, rate = soundfile.read(path, dtype="int16", always_2d=False)
    if rate != SAMPLE_RATE or samples.ndim != 1:
        raise ValueError("the RAVDESS recordings must be 16 kHz mono")
    return np.asarray(samples, dtype=np.int16)


def _decode(jpeg: bytes) -> npt.NDArray[np.uint8]:
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, dtype=np.uint8), cv2.IMREAD_GRAYSCALE), dtype=np.uint8)
