"""Chunks that were encoded beforehand, second by second and the same for every session."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from stream.domain.chunk import ContentType
from stream.domain.features import AudioFeatures, Features, TextFeatures, VideoFeatures, Word
from stream.domain.media_format import FACE_WIDTH, SEGMENT_MS, SEGMENTS_PER_BLOCK, VIDEO_PER_SECOND, VOICE_WIDTH, WORD_WIDTH
from stream.domain.modality import Modality
from stream.encoders.packed import pack

VOCABULARY = ("well", "really", "like", "the", "service", "but", "it", "was", "far", "too", "slow", "nobody", "called", "me", "back")
SECOND_MS = 1000


@cache
def encoded(second: int) -> dict[Modality, tuple[str, bytes]]:
    """Two or three words, ten audible segments and five faces, with random embeddings."""
    rng, start_ms = np.random.default_rng(second), second * SECOND_MS
    count = int(rng.integers(2, 4))
    words = tuple(Word(str(rng.choice(VOCABULARY)), start_ms + 40 + number * 300, start_ms + 300 + number * 300) for number in range(count))
    features: dict[Modality, Features] = {
        Modality.TEXT: TextFeatures(words, states=rng.standard_normal((count, WORD_WIDTH), np.float32)),
        Modality.AUDIO: AudioFeatures(
            spans(start_ms, SEGMENT_MS, SEGMENTS_PER_BLOCK),
            rng.standard_normal((SEGMENTS_PER_BLOCK, VOICE_WIDTH), np.float32),
            np.ones(SEGMENTS_PER_BLOCK, np.bool_),
        ),
        Modality.VIDEO: VideoFeatures(
            spans(start_ms, SECOND_MS // VIDEO_PER_SECOND, VIDEO_PER_SECOND),
            rng.standard_normal((VIDEO_PER_SECOND, FACE_WIDTH), np.float32),
            np.tile(np.array([0.4, 0.2, 0.6, 0.5], np.float32), (VIDEO_PER_SECOND, 1)),
            1,
            VIDEO_PER_SECOND,
        ),
    }
    return {modality: (ContentType.FEATURES, pack(encoded_features, start_ms)) for modality, encoded_features in features.items()}


def spans(start_ms: int, step_ms: int, count: int) -> npt.NDArray[np.int64]:
    """Start and end (ms) of adjacent spans, shape (count, 2)."""
    starts = start_ms + step_ms * np.arange(count, dtype=np.int64)
    return np.stack([starts, starts + step_ms], axis=1)
