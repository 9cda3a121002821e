"""One second of each modality after the other, the same for every session: encoded beforehand, or raw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from stream.domain.chunk import ContentType
from stream.domain.features import AudioFeatures, Features, TextFeatures, VideoFeatures, Word
from stream.domain.kafka_records import decode_text, encode_words
from stream.domain.media_format import EMBEDDING_WIDTH, SEGMENT_MS, SEGMENTS_PER_BLOCK, VIDEO_PER_SECOND, WORD_WIDTH
from stream.domain.modality import MODALITIES, Modality
from stream.encoders.packed import pack
from stream.produce.sample import sample_sessions
from stream.produce.session import PlannedChunk, plan_records

VOCABULARY = ("well", "really", "like", "the", "service", "but", "it", "was", "far", "too", "slow", "nobody", "called", "me", "back")
RAW_TYPES = {Modality.TEXT: ContentType.WORDS, Modality.AUDIO: ContentType.PCM, Modality.VIDEO: ContentType.VIDEO_MP4}
SECOND_MS = 1000

Second = Callable[[int], dict[Modality, tuple[str, bytes]]]
"""Content type and payload of each modality in a second of media time."""


@cache
def encoded(second: int) -> dict[Modality, tuple[str, bytes]]:
    """Two or three words, ten audible segments and five faces with made-up embeddings."""
    chance, start_ms = np.random.default_rng(second), second * SECOND_MS
    count = int(chance.integers(2, 4))
    words = tuple(
        Word(str(chance.choice(VOCABULARY)), start_ms + 40 + number * 300, start_ms + 300 + number * 300) for number in range(count)
    )
    features: dict[Modality, Features] = {
        Modality.TEXT: TextFeatures(words, states=chance.standard_normal((count, WORD_WIDTH), np.float32)),
        Modality.AUDIO: AudioFeatures(
            spans(start_ms, SEGMENT_MS, SEGMENTS_PER_BLOCK),
            chance.standard_normal((SEGMENTS_PER_BLOCK, EMBEDDING_WIDTH), np.float32),
            np.ones(SEGMENTS_PER_BLOCK, np.bool_),
        ),
        Modality.VIDEO: VideoFeatures(
            spans(start_ms, SECOND_MS // VIDEO_PER_SECOND, VIDEO_PER_SECOND),
            chance.standard_normal((VIDEO_PER_SECOND, EMBEDDING_WIDTH), np.float32),
            np.tile(np.array([0.4, 0.2, 0.6, 0.5], np.float32), (VIDEO_PER_SECOND, 1)),
            1,
            VIDEO_PER_SECOND,
        ),
    }
    return {modality: (ContentType.FEATURES, pack(part, start_ms)) for modality, part in features.items()}


def spans(start_ms: int, step_ms: int, count: int) -> npt.NDArray[np.int64]:
    """(count, 2) int64, one after the other."""
    starts = start_ms + step_ms * np.arange(count, dtype=np.int64)
    return np.stack([starts, starts + step_ms], axis=1)


def raw() -> Second:
    """The packaged talking faces over and over: PCM, H.264 and words."""
    full = _full_seconds()

    @cache
    def second_of(second: int) -> dict[Modality, tuple[str, bytes]]:
        played = second % len(full)
        shift_ms = (second - played) * SECOND_MS
        payloads = dict(full[played])
        words = decode_text(payloads[Modality.TEXT]).words
        moved = (Word(w.text, w.start_ms + shift_ms, w.end_ms + shift_ms, w.confidence) for w in words)
        payloads[Modality.TEXT] = encode_words(moved)
        return {modality: (RAW_TYPES[modality], payloads[modality]) for modality in MODALITIES}

    return second_of


def _full_seconds() -> Sequence[dict[Modality, bytes]]:
    session = sample_sessions()[1]
    by_second: dict[int, dict[Modality, bytes]] = {}
    with session.pieces() as pieces:
        for chunk in plan_records(session.plan, pieces):
            if isinstance(chunk, PlannedChunk) and chunk.duration_ms == SECOND_MS:
                by_second.setdefault(chunk.start_ms // SECOND_MS, {})[chunk.modality] = chunk.payload
    return [by_second[second] for second in sorted(by_second) if len(by_second[second]) == len(MODALITIES)]
