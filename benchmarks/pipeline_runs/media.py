"""The media of the load, second by second and the same for every session: encoded beforehand, or raw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from stream.domain.chunk import ContentType
from stream.domain.features import AudioFeatures, Features, TextFeatures, VideoFeatures, Word
from stream.domain.kafka_records import decode_text, encode_words
from stream.domain.media_format import FACE_WIDTH, SEGMENT_MS, SEGMENTS_PER_BLOCK, VIDEO_PER_SECOND, VOICE_WIDTH, WORD_WIDTH
from stream.domain.modality import MODALITIES, Modality
from stream.encoders.packed import pack
from stream.produce.sample import sample_sessions
from stream.produce.session import PlannedChunk, plan_records

VOCABULARY = ("well", "really", "like", "the", "service", "but", "it", "was", "far", "too", "slow", "nobody", "called", "me", "back")
RAW_TYPES = {Modality.TEXT: ContentType.WORDS, Modality.AUDIO: ContentType.PCM, Modality.VIDEO: ContentType.VIDEO_MP4}
SECOND_MS = 1000

Second = Callable[[int], dict[Modality, tuple[str, bytes]]]
"""Returns the content type and payload of each modality for a second of media time."""


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


def raw() -> Second:
    """The packaged sample with talking faces, repeated endlessly: PCM, H.264 and words."""
    seconds = _full_seconds()

    @cache
    def second_of(second: int) -> dict[Modality, tuple[str, bytes]]:
        played = second % len(seconds)
        shift_ms = (second - played) * SECOND_MS
        payloads = dict(seconds[played])
        words = decode_text(payloads[Modality.TEXT]).words
        shifted = (Word(word.text, word.start_ms + shift_ms, word.end_ms + shift_ms, word.confidence) for word in words)
        payloads[Modality.TEXT] = encode_words(shifted)
        return {modality: (RAW_TYPES[modality], payloads[modality]) for modality in MODALITIES}

    return second_of


def _full_seconds() -> Sequence[dict[Modality, bytes]]:
    """Payloads of the sample's seconds in which every modality fills the whole second."""
    session = sample_sessions()[1]
    by_second: dict[int, dict[Modality, bytes]] = {}
    with session.pieces() as pieces:
        for chunk in plan_records(session.plan, pieces):
            if isinstance(chunk, PlannedChunk) and chunk.duration_ms == SECOND_MS:
                by_second.setdefault(chunk.start_ms // SECOND_MS, {})[chunk.modality] = chunk.payload
    return [by_second[second] for second in sorted(by_second) if len(by_second[second]) == len(MODALITIES)]
