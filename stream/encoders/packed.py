"""Chunks that their producer has encoded: a safetensors file of features in each record.

A producer that runs the encoders itself keeps voices and faces on its own premises. `docs/records.md` lists the tensors.
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
from stream.domain.kafka_records import BadRecordError, decode_words, encode_words
from stream.domain.media_format import FACE_WIDTH, SEGMENT_MS, VIDEO_PER_SECOND, VOICE_WIDTH, WORD_WIDTH
from stream.domain.modality import Modality

Tensors = dict[str, dict[str, Any]]
"""Data type, shape and bytes of each tensor by its name, as safetensors reads them."""

BOX_EDGES = 4
"""Left, top, right, bottom."""

_DTYPES: dict[str, type[np.generic]] = {"F32": np.float32, "I32": np.int32, "U8": np.uint8, "BOOL": np.bool_}


def pack(features: Features, start_ms: int) -> bytes:
    """Payload of a chunk that begins at ``start_ms`` (media time). Raises ``ValueError`` for words without states."""
    match features:
        case TextFeatures():
            if features.states is None:
                raise ValueError("the words have not been encoded")
            words = encode_words(features.words, final=features.ends_utterance)
            return save({"words": np.frombuffer(words, np.uint8), "states": features.states})
        case AudioFeatures():
            voiced = {} if features.voiced is None else {"voiced": features.voiced}
            return save({"embeddings": features.embeddings, "audible": features.audible} | voiced)
        case VideoFeatures():
            spans = (features.spans_ms - start_ms).astype(np.int32)
            seen = np.array([features.faces_max, features.frames], np.int32)
            return save({"spans_ms": spans, "embeddings": features.embeddings, "boxes": features.boxes, "seen": seen})


def unpack(chunk: Chunk) -> Features:
    """Inverse of `pack`. Raises `BadRecordError`; its message names the tensor, never its values."""
    try:
        tensors: Tensors = dict(deserialize(chunk.payload))  # type: ignore[no-untyped-call]
    except SafetensorError:
        raise BadRecordError("bad_features", "the features are not a safetensors file") from None
    match chunk.header.modality:
        case Modality.TEXT:
            return _text(tensors, chunk.header)
        case Modality.AUDIO:
            return _audio(tensors, chunk.header)
        case Modality.VIDEO:
            return _video(tensors, chunk.header)


def _text(tensors: Tensors, header: ChunkHeader) -> TextFeatures:
    features = decode_words(_tensor(tensors, "words", "U8", None).tobytes(), header.start_ms, header.duration_ms)
    return replace(features, states=_tensor(tensors, "states", "F32", len(features.words), WORD_WIDTH))


def _audio(tensors: Tensors, header: ChunkHeader) -> AudioFeatures:
    spans = _segments(header.duration_ms) + header.start_ms
    embeddings = _tensor(tensors, "embeddings", "F32", len(spans), VOICE_WIDTH)
    voiced = _tensor(tensors, "voiced", "BOOL", len(spans)) if "voiced" in tensors else None
    return AudioFeatures(spans, embeddings, _tensor(tensors, "audible", "BOOL", len(spans)), voiced)


@lru_cache(maxsize=1024)
def _segments(duration_ms: int) -> npt.NDArray[np.int64]:
    """(n, 2) start and end of a chunk's segments, from its start. Cached: nearly all chunks last a second."""
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
        _tensor(tensors, "embeddings", "F32", len(spans), FACE_WIDTH),
        _tensor(tensors, "boxes", "F32", len(spans), BOX_EDGES),
        faces_max,
        frames,
    )


def _tensor(tensors: Tensors, name: str, dtype: str, rows: int | None, *width: int) -> npt.NDArray[Any]:
    """A tensor whose type and shape are as expected.

    Args:
        tensors: All tensors of the payload.
        name: Name of the tensor.
        dtype: Its type in safetensors.
        rows: Its first dimension, or None for any.
        width: Its other dimensions.
    """
    tensor = tensors.get(name)
    if tensor is None or tensor["dtype"] != dtype or not tensor["shape"]:
        raise BadRecordError("bad_features", f"{name} is missing or has the wrong type")
    actual_rows, *actual_width = tensor["shape"]
    if actual_width != [*width] or (rows is not None and actual_rows != rows):
        raise BadRecordError("bad_features", f"{name} does not have the shape that the chunk's header requires")
    flat = np.frombuffer(tensor["data"], _DTYPES[dtype])
    # The sum of squares is finite only if every value is, and in float32 it also overflows for values that are absurdly large: one pass
    # keeps both out of the model, where they would make every result of their batch NaN.
    if dtype == "F32" and not isfinite(np.dot(flat, flat)):
        raise BadRecordError("bad_features", f"{name} has values that are not finite or far too large")
    return flat.reshape(tensor["shape"]) if width else flat
