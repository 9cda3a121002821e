"""Readers of CMU-MOSI, MELD, corpora of voices and FER2013, with common terms: part, polarity, valence.

The valence of a voice or a face is a constant that was set by hand for each acted or labelled emotion, not an annotation. The
polarity follows from it by `polarity_of_valence`.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import soundfile

from stream.domain.media_format import SAMPLE_RATE

NEGATIVE, NEUTRAL, POSITIVE = range(3)
NEUTRAL_VALENCE = 0.3
"""Valence constants up to this distance from 0 are neutral: those of surprise (+0.1) and calm (+0.3), beside neutral itself."""

NEUTRAL_SCORE = 0.5
"""MOSI scores nearer to 0 than this are neutral: the middle one of the corpus's seven classes."""

VOICE_EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
AROUSED = (0.0, 0.0, 1.0, 0.0, 1.0, 1.0, math.nan, 1.0)
"""Whether each emotion is an excited one (Russell's circumplex, 1980); disgust is acted in both ways, and so unknown."""

TRAIN_ACTORS, VALIDATION_ACTORS = range(1, 17), range(17, 21)
"""Actors of RAVDESS for training and validation; the others are for the test."""

PARTED_SPEAKERS = 6
"""Of six speakers of another corpus of voices, in the order of their names, four are for training, one for validation, one for the test. A
corpus with fewer speakers is for training alone."""


class Part(StrEnum):
    """Part of a corpus. No video, actor or image is in two parts."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Utterance:
    """One transcript.

    Attributes:
        corpus: ``mosi``, ``meld``, or the name of another source of sentences.
        group: Video (MOSI), dialogue (MELD) or call: the unit of resampling.
        text: The words.
        score: Mean annotation in [-3, 3]; None where there is none, as in MELD.
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
    """One recording of a voice.

    Attributes:
        path: Its file, 16 kHz mono.
        corpus: Name of the corpus, that of its folder.
        speaker: Name of the speaker in the corpus.
        emotion: Index into `VOICE_EMOTIONS`.
        polarity: 0 negative, 1 neutral, 2 positive.
        valence: The emotion's constant.
        part: Part of the corpus.
    """

    path: Path
    corpus: str
    speaker: str
    emotion: int
    polarity: int
    valence: float
    part: Part

    def samples(self) -> npt.NDArray[np.int16]:
        """Read the (n,) int16 samples at 16 kHz.

        Raises:
            ValueError: If the file is not 16 kHz mono.
        """
        samples, rate = soundfile.read(self.path, dtype="int16", always_2d=False)
        if rate != SAMPLE_RATE or samples.ndim != 1:
            raise ValueError(f"{self.path.name}: recordings of voices must be 16 kHz mono")
        return np.asarray(samples, dtype=np.int16)


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
    """Read RAVDESS's speech, and every corpus in the folder ``voices``.

    A corpus has ``labels.csv`` with the columns file (16 kHz mono, in ``ogg16k``), speaker (RAVDESS: actor), emotion (one of
    `VOICE_EMOTIONS`) and valence.
    """
    tables = [data / "ravdess" / "labels.csv", *sorted(data.glob("voices/*/labels.csv"))]
    return [voice for table in tables for voice in _read_corpus(table)]


def _read_corpus(table: Path) -> list[Voice]:
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    speakers = [row.get("speaker") or row["actor"] for row in rows]
    parts = _speaker_parts(table.parent.name, sorted(set(speakers)))
    voices = []
    for row, speaker in zip(rows, speakers, strict=True):
        path, valence = table.parent / "ogg16k" / row["file"], float(row["valence"])
        emotion = VOICE_EMOTIONS.index(row["emotion"])
        voices.append(Voice(path, table.parent.name, speaker, emotion, polarity_of_valence(valence), valence, parts[speaker]))
    return voices


def _speaker_parts(corpus: str, speakers: list[str]) -> dict[str, Part]:
    """The part of each speaker of a corpus, whose names are sorted."""
    if corpus == "ravdess":
        train, validation = ({str(actor) for actor in actors} for actors in (TRAIN_ACTORS, VALIDATION_ACTORS))
        return {name: Part.TRAIN if name in train else Part.VALIDATION if name in validation else Part.TEST for name in speakers}
    if len(speakers) < PARTED_SPEAKERS:
        return dict.fromkeys(speakers, Part.TRAIN)
    last = {PARTED_SPEAKERS - 2: Part.VALIDATION, PARTED_SPEAKERS - 1: Part.TEST}
    return {name: last.get(index % PARTED_SPEAKERS, Part.TRAIN) for index, name in enumerate(speakers)}


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


def _decode(jpeg: bytes) -> npt.NDArray[np.uint8]:
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, dtype=np.uint8), cv2.IMREAD_GRAYSCALE), dtype=np.uint8)
