"""Chunks that their producer has encoded: a safetensors file of features in each record.

A producer that runs the encoders itself keeps voices and faces on its own premises. `docs/records.md` lists the tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from math import isfinite, prod
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from stream.domain.chunk import Chunk, ChunkHeader
from stream.domain.features import AudioFeatures, Features, TextFeatures, VideoFeatures
from stream.domain.kafka_records import BadRecordError, decode_words, encode_words
from stream.domain.media_format import FACE_WIDTH, SEGMENT_MS, VIDEO_PER_SECOND, VOICE_WIDTH, WORD_WIDTH
from stream.domain.modality import Modality

LAYOUTS = 4096
"""Headers of safetensors files that are remembered. A producer writes the same few again and again: only values differ."""

LONGEST_REMEMBERED = 1024
"""Bytes of the longest header that is remembered. Those of this module have a quarter of that."""


class _Tensor(msgspec.Struct, frozen=True):
    """Where a tensor is in a safetensors file, as its header says."""

    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


class _Tensors(NamedTuple):
    """The tensors of a payload by name, and where their data begin in it."""

    payload: bytes
    layout: Mapping[str, _Tensor]
    data_start: int


_LENGTH_BYTES = 8
"""A file begins with the length of its header."""

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
    payload = chunk.payload
    data_start = _LENGTH_BYTES + int.from_bytes(payload[:_LENGTH_BYTES], "little")
    read = _layout if data_start <= LONGEST_REMEMBERED else _layout.__wrapped__
    tensors = _Tensors(payload, read(payload[:data_start], len(payload)), data_start)
    match chunk.header.modality:
        case Modality.TEXT:
            return _text(tensors, chunk.header)
        case Modality.AUDIO:
            return _audio(tensors, chunk.header)
        case Modality.VIDEO:
            return _video(tensors, chunk.header)


@lru_cache(maxsize=LAYOUTS)
def _layout(header: bytes, length: int) -> Mapping[str, _Tensor]:
    """The tensors of a file with this header and length. Whether it is valid does not depend on the values."""
    try:
        deserialize(header.ljust(length, b"\0"))  # type: ignore[no-untyped-call]
        entries = msgspec.json.decode(header[_LENGTH_BYTES:], type=dict[str, msgspec.Raw])
        return {name: msgspec.json.decode(entry, type=_Tensor) for name, entry in entries.items() if name != "__metadata__"}
    except (SafetensorError, msgspec.MsgspecError, UnicodeError):
        raise BadRecordError("bad_features", "the features are not a safetensors file") from None


def _text(tensors: _Tensors, header: ChunkHeader) -> TextFeatures:
    features = decode_words(_tensor(tensors, "words", "U8", None).tobytes(), header.start_ms, header.duration_ms)
    return replace(features, states=_tensor(tensors, "states", "F32", len(features.words), WORD_WIDTH))


def _audio(tensors: _Tensors, header: ChunkHeader) -> AudioFeatures:
    spans = _segments(header.duration_ms) + header.start_ms
    embeddings = _tensor(tensors, "embeddings", "F32", len(spans), VOICE_WIDTH)
    voiced = _tensor(tensors, "voiced", "BOOL", len(spans)) if "voiced" in tensors.layout else None
    return AudioFeatures(spans, embeddings, _tensor(tensors, "audible", "BOOL", len(spans)), voiced)


@lru_cache(maxsize=1024)
def _segments(duration_ms: int) -> npt.NDArray[np.int64]:
    """(n, 2) start and end of a chunk's segments, from its start. Cached: nearly all chunks last a second."""
    starts = SEGMENT_MS * np.arange(-(-duration_ms // SEGMENT_MS), dtype=np.int64)
    return np.stack([starts, np.minimum(starts + SEGMENT_MS, duration_ms)], axis=1)


def _video(tensors: _Tensors, header: ChunkHeader) -> VideoFeatures:
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


def _tensor(tensors: _Tensors, name: str, dtype: str, rows: int | None, *width: int) -> npt.NDArray[Any]:
    """A tensor whose type and shape are as expected.

    Args:
        tensors: All tensors of the payload.
        name: Name of the tensor.
        dtype: Its type in safetensors.
        rows: Its first dimension, or None for any.
        width: Its other dimensions.
    """
    tensor = tensors.layout.get(name)
    if tensor is None or tensor.dtype != dtype or not tensor.shape:
        raise BadRecordError("bad_features", f"{name} is missing or has the wrong type")
    if tensor.shape[1:] != [*width] or (rows is not None and tensor.shape[0] != rows):
        raise BadRecordError("bad_features", f"{name} does not have the shape that the chunk's header requires")
    flat = np.frombuffer(tensors.payload, _DTYPES[dtype], prod(tensor.shape), tensors.data_start + tensor.data_offsets[0])
    # The sum of squares is finite only if every value is, and in float32 it also overflows for values that are absurdly large: one pass
    # keeps both out of the model, where they would make every result of their batch NaN.
    if dtype == "F32" and not isfinite(np.dot(flat, flat)):
        raise BadRecordError("bad_features", f"{name} has values that are not finite or far too large")
    return flat.reshape(tensor.shape) if width else flat
