"""Corpora of acted and natural voices, and the measures of the product's answers to them. Pure but for the reading of files."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from stream.domain.inference import LABELS
from stream.domain.media_format import SAMPLE_RATE
from stream.domain.result import ScoreRecord
from stream.media.pcm import Samples
from stream.training.corpora import AROUSED, VOICE_EMOTIONS, polarity_of_valence
from stream.training.metrics import auc, calibration_error, macro_recall

HAPPY = "happy"
STRONG = 0.9
"""A score beyond ±0.9, a valence beyond ±0.3, is a strong move: the voice alone claims a clear sentiment.

Models that cap the score of a voice alone at this (`stream.training.mmci.MMCIRecipe.wordless_cap`) make no strong move, right or wrong.
"""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording of a corpus.

    Attributes:
        name: A name that is unique in the corpus.
        path: Its file, 16 kHz mono.
        speaker: Name of the speaker; the recording's own name where the corpus names none.
        emotion: The label, in the vocabulary of RAVDESS.
        polarity: 0 negative, 1 neutral, 2 positive.
    """

    name: str
    path: Path
    speaker: str
    emotion: str
    polarity: int

    def samples(self) -> Samples:
        """Read the (n,) int16 samples. Raises ``ValueError`` if they are not 16 kHz mono."""
        samples, rate = soundfile.read(self.path, dtype="int16")
        if rate != SAMPLE_RATE or samples.ndim != 1:
            raise ValueError(f"{self.path}: the recordings must be 16 kHz mono")
        return np.asarray(samples, dtype=np.int16)


@dataclass(frozen=True, slots=True)
class Answer:
    """The product's answer to one recording: score in [-3, 3], arousal in [0, 1], probabilities of negative, neutral and positive."""

    score: float
    arousal: float
    probabilities: tuple[float, float, float]


@dataclass(slots=True)
class WindowMean:
    """Averages the final windows of a recording, each weighted by how much of the recording it covers.

    Attributes:
        start_ms: Media time at which the recording begins in its session.
        end_ms: Media time at which it ends.
    """

    start_ms: int
    end_ms: int
    _weights: list[float] = field(default_factory=list)
    _numbers: list[tuple[float, ...]] = field(default_factory=list)

    def add(self, record: ScoreRecord) -> None:
        """Add a window. A window without a voice has no score, and says nothing of the recording."""
        covered = min(record.end_ms, self.end_ms) - max(record.start_ms, self.start_ms)
        if record.score is not None and record.arousal is not None and covered > 0:
            self._weights.append(covered)
            self._numbers.append((record.score, record.arousal, *(record.probabilities[label] for label in LABELS)))

    def answer(self) -> Answer | None:
        """The average, or None if no window scores the recording."""
        if not self._weights:
            return None
        score, arousal, *probabilities = np.average(self._numbers, axis=0, weights=self._weights).tolist()
        negative, neutral, positive = probabilities
        return Answer(score, arousal, (negative, neutral, positive))


def conversations(recordings: Sequence[Recording], most: int, seed: int) -> list[list[Recording]]:
    """The recordings of each speaker in a random order, in sessions of at most `most` recordings."""
    speakers: dict[str, list[Recording]] = {}
    for index in np.random.default_rng(seed).permutation(len(recordings)):
        speakers.setdefault(recordings[index].speaker, []).append(recordings[index])
    return [own[start : start + most] for own in speakers.values() for start in range(0, len(own), most)]


def corpora(folder: Path) -> dict[str, list[Recording]]:
    """Read ``labels.csv`` of a corpus, or of every corpus in a folder of corpora.

    A corpus is a folder with ``labels.csv``, whose columns ``file``, ``emotion``, ``valence`` and, if there is one, ``speaker`` (or
    ``actor``) are used, and with the files beside it or in ``ogg16k``.

    Raises:
        FileNotFoundError: If there is no ``labels.csv``.
    """
    tables = [folder / "labels.csv"] if (folder / "labels.csv").is_file() else sorted(folder.glob("*/labels.csv"))
    if not tables:
        raise FileNotFoundError(f"{folder}: there is no labels.csv in this folder or in the folders below it")
    return {table.parent.name: _read(table) for table in tables}


def _read(table: Path) -> list[Recording]:
    sounds = table.parent / "ogg16k" if (table.parent / "ogg16k").is_dir() else table.parent
    recordings = []
    with table.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            name = f"{number:05d}"
            speaker = row.get("speaker") or row.get("actor") or name
            recordings.append(Recording(name, sounds / row["file"], speaker, row["emotion"], polarity_of_valence(float(row["valence"]))))
    return recordings


def sample(recordings: Sequence[Recording], most: int, seed: int) -> list[Recording]:
    """Draw at most `most` recordings, the same number of each emotion as far as there are enough."""
    rng = np.random.default_rng(seed)
    by_emotion: dict[str, list[Recording]] = {}
    for index in rng.permutation(len(recordings)):
        by_emotion.setdefault(recordings[index].emotion, []).append(recordings[index])
    share = most // len(by_emotion)
    return [recording for name in sorted(by_emotion) for recording in by_emotion[name][:share]]


def measures(recordings: Sequence[Recording], answers: Sequence[Answer | None]) -> dict[str, float | int | None]:
    """Measures of the answers to a corpus.

    Returns:
        ``recordings`` and ``unanswered``, the number of recordings without a score, which count as neutral with certainty;
        ``polarity_recall``, the macro recall of the most probable polarity; ``happy_negative_auc``, the chance that a happy
        recording scores above one of negative polarity (None without either); ``ece``, the calibration error of the most probable
        polarity; ``wrong_strong`` and ``right_strong``, the shares of recordings with a score beyond ±`STRONG` of the wrong and
        of the right sign; ``arousal_auc``, the chance that an excited recording has more arousal than a quiet one (`AROUSED`).
    """
    given = [answer or Answer(0.0, 0.5, (0.0, 1.0, 0.0)) for answer in answers]
    truth = np.array([recording.polarity for recording in recordings])
    probabilities = np.array([answer.probabilities for answer in given], dtype=np.float32)
    scores = np.array([answer.score for answer in given])
    strong = np.abs(scores) > STRONG
    right = np.sign(scores) == truth - 1
    arousal = np.array([answer.arousal for answer in given])
    aroused = np.array([AROUSED[VOICE_EMOTIONS.index(recording.emotion)] for recording in recordings])
    happy = np.array([recording.emotion == HAPPY for recording in recordings])
    return {
        "recordings": len(recordings),
        "unanswered": sum(answer is None for answer in answers),
        "polarity_recall": macro_recall(probabilities.argmax(axis=1), truth),
        "happy_negative_auc": auc(scores[happy], scores[truth == 0]),
        "arousal_auc": auc(arousal[aroused == 1], arousal[aroused == 0]),
        "ece": calibration_error(probabilities, truth),
        "wrong_strong": float((strong & ~right).mean()),
        "right_strong": float((strong & right).mean()),
    }
