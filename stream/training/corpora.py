"""Readers of CMU-MOSI, MELD, RAVDESS and FER2013, with common terms: part, polarity, valence.

The valence of a voice or a face is a constant that was set by hand for each acted or labelled emotion, not an annotation. The
polarity follows from it by `polarity_of_valence`.
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
"""Valence constants up to this distance from 0 are neutral (surprise has +0.1)."""

NEUTRAL_SCORE = 0.5
"""MOSI scores nearer to 0 than this are neutral: the middle one of the corpus's seven classes."""

VOICE_EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
VOICE_SIGNS = (1, 2, 2, 0, 0, 0, 0, 2)
"""Sign of each emotion's valence constant: 0 negative, 1 zero, 2 positive."""

VOICE_SHARES = (1 / 15, *(2 / 15,) * 7)
"""Share of each emotion in the recordings: neutral has no strong variant, and so half as many."""

TRAIN_ACTORS, VALIDATION_ACTORS = range(1, 17), range(17, 21)


class Part(StrEnum):
    """Part of a corpus. No video, actor or image is in two parts."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Utterance:
    """One transcript.

    Attributes:
        corpus: ``mosi`` or ``meld``.
        group: Video (MOSI) or dialogue (MELD): the unit of resampling.
        text: The words.
        score: MOSI's mean annotation in [-3, 3]; None in MELD.
        polarity: 0 negative, 1 neutral, 2 positive.
        part: Part of the corpus.
        speaker: Name of the speaker within the group.
        order: Position in time within the group.
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
    """One RAVDESS recording: int16 `samples` at 16 kHz; `emotion` is an index into `VOICE_EMOTIONS`."""

    samples: npt.NDArray[np.int16]
    actor: int
    emotion: int
    polarity: int
    valence: float
    part: Part


@dataclass(frozen=True, slots=True)
class Faces:
    """Images of one part of FER2013: (n, 48, 48) uint8, and the (n,) emotion, polarity and valence of each; number of emotions."""

    images: npt.NDArray[np.uint8]
    emotions: npt.NDArray[np.int64]
    polarities: npt.NDArray[np.int64]
    valences: npt.NDArray[np.float32]
    classes: int


def polarity_of_valence(valence: float) -> int:
    """`NEGATIVE`, `NEUTRAL` or `POSITIVE`, by `NEUTRAL_VALENCE`."""
    return NEUTRAL if abs(valence) <= NEUTRAL_VALENCE else POSITIVE if valence > 0 else NEGATIVE


def polarity_of_score(score: float) -> int:
    """`NEGATIVE`, `NEUTRAL` or `POSITIVE`, by `NEUTRAL_SCORE`."""
    return NEUTRAL if abs(score) < NEUTRAL_SCORE else POSITIVE if score > 0 else NEGATIVE


def read_mosi(data: Path) -> list[Utterance]:
    """Read CMU-MOSI's transcripts with their scores; the parts are the standard split, by video."""
    parts = {"train": Part.TRAIN, "valid": Part.VALIDATION, "test": Part.TEST}
    utterances = []
    with (data / "mosi" / "utterances.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            video, score, part, order = row["video"], float(row["label"]), parts[row["split_std"]], int(row["segment"])
            utterances.append(Utterance("mosi", video, row["text"], score, polarity_of_score(score), part, speaker=video, order=order))
    return utterances


def read_meld(data: Path) -> list[Utterance]:
    """Read MELD's transcripts with their sentiment; the parts are its own split, by dialogue (they share speakers)."""
    polarities = {"negative": NEGATIVE, "neutral": NEUTRAL, "positive": POSITIVE}
    utterances = []
    for name, part in (("train", Part.TRAIN), ("dev", Part.VALIDATION), ("test", Part.TEST)):
        with (data / "meld" / f"{name}_sent_emo.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                # The files mix encodings: these are a quotation mark and a dash of Windows-1252.
                text = row["Utterance"].replace("\x92", "'").replace("\x97", " ")
                group, polarity = f"{name}{row['Dialogue_ID']}", polarities[row["Sentiment"]]
                speaker, order = row["Speaker"], int(row["Utterance_ID"])
                utterances.append(Utterance("meld", group, text, None, polarity, part, speaker, order))
    return utterances


def read_voices(data: Path) -> list[Voice]:
    """Read RAVDESS's speech: actors 1-16 for training, 17-20 for validation, 21-24 for the test."""
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
    """Read one part of FER2013, by its own split.

    Training leaves out blank images and images with conflicting labels. Validation and test leave out blank images and copies of
    training images.
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
