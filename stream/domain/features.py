"""The features of an encoded chunk: words, audio segments or face frames.

The aligner holds them until their windows close, and windows consist of them. Times are media milliseconds from the session's start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stream.domain.media_format import FACE_WIDTH, VOICE_WIDTH, WORD_WIDTH
from stream.domain.modality import Modality

Floats = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]

WIDTHS: Mapping[Modality, int] = {Modality.TEXT: WORD_WIDTH, Modality.AUDIO: VOICE_WIDTH, Modality.VIDEO: FACE_WIDTH}
"""Width of the features of a word, an audio segment and a face."""

LEAST_VOICE_MS = 300
"""Shorter voice without a word is a noise: it begins no utterance, and alone it says nothing."""


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word.

    Attributes:
        text: The word with its punctuation.
        start_ms: Start of the word.
        end_ms: End of the word.
        confidence: Recogniser's probability, in [0, 1].
        speaker: Name of the speaker in the transcript, or None.
    """

    text: str
    start_ms: int
    end_ms: int
    confidence: float = 1.0
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class TextFeatures:
    """The words of one text chunk. No words mean that nothing was said.

    Attributes:
        words: In the order in which they were sent.
        ends_utterance: True if the recogniser considers the last word the end of an utterance.
        states: (n, 384) float32, a row for each word, if the producer has encoded them. None if the worker's text encoder has to: it then
            encodes all words of a window together.
    """

    words: tuple[Word, ...]
    ends_utterance: bool = False
    states: Floats | None = None


class MarkedSound(NamedTuple):
    """The segments of an audio chunk with a nuisance put on its sound: (n, `VOICE_WIDTH`) embeddings, and (n,) which are audible."""

    embeddings: Floats
    audible: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class AudioFeatures:
    """The 100 ms segments of one audio chunk.

    Attributes:
        spans_ms: (n, 2) int64, start and end of each segment.
        embeddings: (n, `VOICE_WIDTH`) float32.
        audible: (n,) bool, False where the segment is silence.
        voiced: (n,) bool, True where somebody speaks or seems to: utterances begin and end by it. None if voice was not looked for.
        confirmed: (n,) bool, True where somebody certainly speaks, and it is no music; None if this was not looked for.
        log_mel: (80, 100) what the audio encoder heard, if sound is to be stored; else None.
        marked: By name of a nuisance, the segments with it; empty unless the chunk is probed.
    """

    spans_ms: npt.NDArray[np.int64]
    embeddings: Floats
    audible: npt.NDArray[np.bool_]
    voiced: npt.NDArray[np.bool_] | None = None
    confirmed: npt.NDArray[np.bool_] | None = None
    log_mel: Halves | None = None
    marked: Mapping[str, MarkedSound] = field(default_factory=dict)

    @property
    def voice(self) -> npt.NDArray[np.bool_]:
        """(n,) bool, True where somebody speaks for certain. What was not looked for counts as found."""
        looked_for = self.voiced if self.confirmed is None else self.confirmed
        return self.audible if looked_for is None else self.audible & looked_for


@dataclass(frozen=True, slots=True)
class VideoFeatures:
    """The frames of one video chunk in which a face was found.

    Attributes:
        spans_ms: (n, 2) int64, when each face frame was on screen.
        embeddings: (n, `FACE_WIDTH`) float32, of the followed face.
        boxes: (n, 4) float32, left, top, right, bottom of the followed face as fractions of the picture.
        faces_max: Most faces in one frame of the chunk.
        frames: Frames that were searched, with or without a face.
        cells: (n, *`FACE_CELLS`) the parts of the regions of each face in its embedding, whose mean is the embedding. None if the producer
            has encoded the faces, or no maps of faces are wanted.
        marked: By name of a nuisance, the embeddings with it; empty unless the chunk is probed.
    """

    spans_ms: npt.NDArray[np.int64]
    embeddings: Floats
    boxes: Floats
    faces_max: int
    frames: int
    cells: Halves | None = None
    marked: Mapping[str, Floats] = field(default_factory=dict)


Features = TextFeatures | AudioFeatures | VideoFeatures
