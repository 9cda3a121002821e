"""Windows of raw media, which marks can be put on, and their encoding as the worker does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, cast

import numpy as np
import numpy.typing as npt

from stream.domain.features import AudioFeatures, Floats, VideoFeatures
from stream.domain.inference import WindowInputs
from stream.domain.media_format import BLOCK_SAMPLES, SAMPLE_RATE, SEGMENTS_PER_BLOCK, VIDEO_PER_SECOND, VOICE_WIDTH, WORD_WIDTH
from stream.domain.modality import Modality
from stream.encoders.audio import log_mel, segments
from stream.encoders.face import normalise, smoothed
from stream.encoders.text import TokenisedWords, default_tokenizer, pool_words
from stream.encoders.window_inputs import build
from stream.encoders.window_of_words import WINDOW_MS, window_of_words
from stream.nuisances.line_effects import Signal
from stream.nuisances.marks import AnyMark, Mark, Words
from stream.nuisances.pictures import Crops

SILENCE_DBFS = -55.0
FRAME_MS = 1_000 // VIDEO_PER_SECOND

Samples = npt.NDArray[np.int16]


class Answers(NamedTuple):
    """(n, 16) scores and (n, 16, 3) probabilities of every coalition of n windows."""

    scores: Floats
    probabilities: Floats

    def of(self, rows: Sequence[int]) -> Answers:
        """Those to some of the windows."""
        return Answers(*(part[rows] for part in self))


class ServedModels(Protocol):
    """The four served models as functions of arrays, wherever they run.

    Attributes:
        name: Name and version of ``mmci``, for reports.
    """

    name: str

    def encode_text(self, sequences: Sequence[TokenisedWords]) -> list[Floats]:
        """Token states (T, 384) of each sequence."""

    def encode_audio(self, log_mel: Floats) -> Floats:
        """Segment embeddings (n, 10, `VOICE_WIDTH`) of (n, 80, 100) blocks."""

    def encode_faces(self, faces: Floats) -> Floats:
        """Embeddings (n, `FACE_WIDTH`) of (n, 1, 48, 48) crops."""

    def answers(self, windows: Sequence[WindowInputs]) -> Answers:
        """What ``mmci`` says of n windows, all of one length."""


@dataclass(frozen=True, slots=True)
class RawWindow:
    """At most four seconds of one person, before the encoders.

    Attributes:
        words: What is said, spread evenly over the window.
        samples: (n,) int16 at 16 kHz; no samples for no sound.
        crops: (k, 48, 48) uint8 faces, one every 200 ms; k may be 0.
        polarity: 0 negative, 1 neutral, 2 positive, where it is known. No detector reads it.
        name: Which window it is, for reports: they may be shown around, so it holds no words.
    """

    words: Words
    samples: Samples
    crops: Crops
    polarity: int | None = None
    name: str = ""

    def with_mark(self, mark: AnyMark, strength: float, rng: np.random.Generator) -> RawWindow:
        """The window with a mark on it; the window itself if it lacks the mark's modality."""
        if not self.has(mark.modality):
            return self
        match mark.modality:
            case Modality.TEXT:
                return replace(self, words=cast("Mark[Words]", mark).put(self.words, strength, rng))
            case Modality.AUDIO:
                heard = cast("Mark[Signal]", mark).put(self.samples.astype(np.float64), strength, rng)
                longest = WINDOW_MS * SAMPLE_RATE // 1_000
                return replace(self, samples=np.asarray(np.clip(heard, -32_768, 32_767), dtype=np.int16)[:longest])
            case Modality.VIDEO:
                return replace(self, crops=cast("Mark[Crops]", mark).put(self.crops, strength, rng))

    def has(self, modality: Modality) -> bool:
        """Whether the window has something of a modality."""
        parts = {Modality.TEXT: len(self.words), Modality.AUDIO: len(self.samples), Modality.VIDEO: len(self.crops)}
        return parts[modality] > 0


class Features(NamedTuple):
    """Features of n windows by modality: word states, audio features, video features."""

    states: list[Floats]
    sounds: list[AudioFeatures]
    faces: list[VideoFeatures]

    @classmethod
    def of(cls, windows: Sequence[RawWindow], models: ServedModels) -> Features:
        """Encode windows."""
        return cls(_word_states(windows, models), _audio(windows, models), _video(windows, models))

    def rows(self, chosen: Sequence[int]) -> Features:
        """Those of some of the windows."""
        return Features([self.states[row] for row in chosen], [self.sounds[row] for row in chosen], [self.faces[row] for row in chosen])

    def with_new(self, modality: Modality, windows: Sequence[RawWindow], models: ServedModels) -> Features:
        """Those of the windows after one modality has changed: only that is encoded again."""
        match modality:
            case Modality.TEXT:
                return self._replace(states=_word_states(windows, models))
            case Modality.AUDIO:
                return self._replace(sounds=_audio(windows, models))
            case Modality.VIDEO:
                return self._replace(faces=_video(windows, models))

    def inputs(self, windows: Sequence[RawWindow]) -> list[WindowInputs]:
        """Inputs of ``mmci``, each window alone: without context, and from a speaker of whom nothing has been heard."""
        return [build(window_of_words(raw.words, sound, face), own) for raw, own, sound, face in zip(windows, *self, strict=True)]


def encode(windows: Sequence[RawWindow], models: ServedModels) -> list[WindowInputs]:
    """`Features.inputs` of windows that have not been encoded yet."""
    return Features.of(windows, models).inputs(windows)


def _word_states(windows: Sequence[RawWindow], models: ServedModels) -> list[Floats]:
    tokenised = [default_tokenizer().tokenise(raw.words) for raw in windows]
    spoken = [index for index, raw in enumerate(windows) if raw.words]
    states = [np.zeros((0, WORD_WIDTH), np.float32) for _ in windows]
    for index, hidden in zip(spoken, models.encode_text([tokenised[index] for index in spoken]), strict=True):
        states[index] = pool_words(hidden, tokenised[index])
    return states


def _audio(windows: Sequence[RawWindow], models: ServedModels) -> list[AudioFeatures]:
    blocks = [
        [log_mel(raw.samples[start : start + BLOCK_SAMPLES]) for start in range(0, len(raw.samples), BLOCK_SAMPLES)] for raw in windows
    ]
    flat = [block for own in blocks for block in own]
    embedded = models.encode_audio(np.stack(flat)) if flat else np.zeros((0, SEGMENTS_PER_BLOCK, VOICE_WIDTH), np.float32)
    found, first = [], 0
    for raw, own in zip(windows, blocks, strict=True):
        spans, audible = segments(0, raw.samples, SILENCE_DBFS)
        rows = embedded[first : first + len(own)].reshape(-1, VOICE_WIDTH)[: len(spans)]
        found.append(AudioFeatures(spans, rows, audible))
        first += len(own)
    return found


def _video(windows: Sequence[RawWindow], models: ServedModels) -> list[VideoFeatures]:
    crops = np.concatenate([raw.crops for raw in windows])
    embedded = models.encode_faces(normalise(crops))
    found, first = [], 0
    for raw in windows:
        count = len(raw.crops)
        starts = FRAME_MS * np.arange(count, dtype=np.int64)
        spans = np.stack([starts, starts + FRAME_MS], axis=1)
        rows = smoothed(embedded[first : first + count], spans)
        found.append(VideoFeatures(spans, rows, np.zeros((count, 4), np.float32), min(count, 1), count))
        first += count
    return found
