"""Chunks that were encoded before they were sent: features as a safetensors file, one for each record.

For producers that run our encoders themselves, so that voice and face never leave the room. `docs/records.md` lists the tensors.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from stream.domain.chunk import Chunk, ChunkHeader
from stream.domain.features import AudioFeatures, Features, TextFeatures, VideoFeatures
from stream.domain.media_format import EMBEDDING_WIDTH, SEGMENT_MS, VIDEO_PER_SECOND, WORD_WIDTH
from stream.domain.modality import Modality
from stream.domain.wire import BadRecordError, decode_text, encode_words

Tensors = dict[str, dict[str, Any]]
"""By name: dtype, shape and data of each, as safetensors reads them."""

BOX = 4
_DTYPES: dict[str, type[np.generic]] = {"F32": np.float32, "I32": np.int32, "U8": np.uint8, "BOOL": np.bool_}


def pack(features: Features, start_ms: int) -> bytes:
    """Payload of a chunk that begins at ``start_ms``. Raises ``ValueError`` for words without states."""
    match features:
        case TextFeatures():
            if features.states is None:
                raise ValueError("the words have not been encoded")
            words = encode_words(features.words, final=features.ends_utterance)
            return save({"words": np.frombuffer(words, np.uint8), "states": features.states})
        case AudioFeatures():
            heard = {} if features.voiced is None else {"voiced": features.voiced}
            return save({"embeddings": features.embeddings, "audible": features.audible} | heard)
        case VideoFeatures():
            spans = (features.spans_ms - start_ms).astype(np.int32)
            seen = np.array([features.faces_max, features.frames], np.int32)
            return save({"spans_ms": spans, "embeddings": features.embeddings, "boxes": features.boxes, "seen": seen})


def unpack(chunk: Chunk) -> Features:
    """Inverse of `pack`. Raises `BadRecordError`; the message names the tensor, never its values."""
    try:
        tensors: Tensors = dict(deserialize(chunk.payload))  # type: ignore[no-untyped-call]
    except SafetensorError:
        raise BadRecordError("bad_features", "the features are not a safetensors file") from None
    match chunk.header.modality:
        case Modality.TEXT:
            return _text(tensors)
        case Modality.AUDIO:
            return _audio(tensors, chunk.header)
        case Modality.VIDEO:
            return _video(tensors, chunk.header)


def _text(tensors: Tensors) -> TextFeatures:
    said = decode_text(_tensor(tensors, "words", "U8", None).tobytes())
    return replace(said, states=_tensor(tensors, "states", "F32", len(said.words), WORD_WIDTH))


def _audio(tensors: Tensors, header: ChunkHeader) -> AudioFeatures:
    spans = _segments(header.duration_ms) + header.start_ms
    embeddings = _tensor(tensors, "embeddings", "F32", len(spans), EMBEDDING_WIDTH)
    voiced = _tensor(tensors, "voiced", "BOOL", len(spans)) if "voiced" in tensors else None
    return AudioFeatures(spans, embeddings, _tensor(tensors, "audible", "BOOL", len(spans)), voiced)


@lru_cache(maxsize=1024)
def _segments(duration_ms: int) -> npt.NDArray[np.int64]:
    """(n, 2) start and end of the segments of a chunk, from its start."""
    starts = SEGMENT_MS * np.arange(-(-duration_ms // SEGMENT_MS), dtype=np.int64)
    return np.stack([starts, np.minimum(starts + SEGMENT_MS, duration_ms)], axis=1)


def _video(tensors: Tensors, header: ChunkHeader) -> VideoFeatures:
    spans = _tensor(tensors, "spans_ms", "I32", None, 2)
    if len(spans) > VIDEO_PER_SECOND or not all(0 <= start <= end <= header.duration_ms for start, end in spans.tolist()):
        raise BadRecordError("bad_features", "spans_ms does not fit the chunk")
    faces_max, frames = _tensor(tensors, "seen", "I32", 2).tolist()
    if min(faces_max, frames) < 0:
        raise BadRecordError("bad_features", "seen is negative")
    return VideoFeatures(
        spans.astype(np.int64) + header.start_ms,
        _tensor(tensors, "embeddings", "F32", len(spans), EMBEDDING_WIDTH),
        _tensor(tensors, "boxes", "F32", len(spans), BOX),
        faces_max,
        frames,
    )


def _tensor(tensors: Tensors, name: str, dtype: str, rows: int | None, *width: int) -> npt.NDArray[Any]:
    found = tensors.get(name)
    if found is None or found["dtype"] != dtype or not found["shape"]:
        raise BadRecordError("bad_features", f"{name} is missing or of another type")
    count, *rest = found["shape"]
    if rest != [*width] or count != (count if rows is None else rows):
        raise BadRecordError("bad_features", f"{name} has another shape than the chunk's header asks for")
    flat = np.frombuffer(found["data"], _DTYPES[dtype])
    if dtype == "F32" and not isfinite(np.dot(flat, flat)):
        raise BadRecordError("bad_features", f"{name} is not finite, or much too large")
    return flat.reshape(found["shape"]) if width else flat
