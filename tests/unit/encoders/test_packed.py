"""Chunks that their producer has encoded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load, save

from stream.domain.chunk import Chunk, ContentType
from stream.domain.features import AudioFeatures, Features, TextFeatures, VideoFeatures, Word
from stream.domain.kafka_records import BadRecordError
from stream.domain.media_format import FACE_WIDTH, VOICE_WIDTH, WORD_WIDTH
from stream.domain.modality import Modality
from stream.encoders.packed import pack, unpack
from tests.fakes.chunks import header

START_MS = 3000
RANDOM = np.random.default_rng(0)
STARTS = np.arange(START_MS, START_MS + 950, 100)
FEATURES: dict[Modality, Features] = {
    Modality.TEXT: TextFeatures(
        (Word("hello", 3000, 3200), Word("there", 3300, 3500)), True, RANDOM.standard_normal((2, WORD_WIDTH)).astype(np.float32)
    ),
    Modality.AUDIO: AudioFeatures(
        np.stack([STARTS, np.minimum(STARTS + 100, START_MS + 950)], axis=1),
        RANDOM.standard_normal((10, VOICE_WIDTH)).astype(np.float32),
        np.arange(10) % 3 > 0,
        np.arange(10) % 4 > 0,
    ),
    Modality.VIDEO: VideoFeatures(
        np.array([[3000, 3200], [3200, 3400]]),
        RANDOM.standard_normal((2, FACE_WIDTH)).astype(np.float32),
        np.full((2, 4), 0.5, np.float32),
        2,
        5,
    ),
}


def chunk(modality: Modality, payload: bytes) -> Chunk:
    return Chunk(replace(header(3), modality=modality, start_ms=START_MS, duration_ms=950, content_type=ContentType.FEATURES), payload)


def changed(modality: Modality, **tensors: npt.NDArray[Any] | None) -> Chunk:
    """A chunk of the features with some tensors replaced, or removed where None is given."""
    tensors_by_name = load(pack(FEATURES[modality], START_MS)) | tensors
    return chunk(modality, save({name: tensor for name, tensor in tensors_by_name.items() if tensor is not None}))


@pytest.mark.parametrize("modality", Modality)
def test_unpack_returns_the_packed_features(modality: Modality) -> None:
    features = FEATURES[modality]
    unpacked = unpack(chunk(modality, pack(features, START_MS)))
    assert type(unpacked) is type(features)
    for name in type(features).__slots__:
        np.testing.assert_array_equal(getattr(unpacked, name), getattr(features, name))


def test_words_without_states_cannot_be_packed() -> None:
    with pytest.raises(ValueError, match="encoded"):
        pack(TextFeatures((Word("hello", 0, 1),)), 0)


@pytest.mark.parametrize("modality", Modality)
@pytest.mark.parametrize("payload", [b"x", b"\xff" * 64, b'\x08\0\0\0\0\0\0\0{"a":1}'])
def test_a_payload_that_is_not_a_safetensors_file_is_refused(modality: Modality, payload: bytes) -> None:
    with pytest.raises(BadRecordError) as refused:
        unpack(chunk(modality, payload))
    assert refused.value.reason == "bad_features"


@pytest.mark.parametrize(
    "bad",
    [
        changed(Modality.TEXT, states=None),
        changed(Modality.TEXT, states=np.zeros((3, WORD_WIDTH), np.float32)),
        changed(Modality.TEXT, states=np.zeros((2, WORD_WIDTH), np.float64)),
        changed(Modality.TEXT, states=np.full((2, WORD_WIDTH), np.nan, np.float32)),
        changed(Modality.TEXT, states=np.full((2, WORD_WIDTH), np.inf, np.float32)),
        changed(Modality.AUDIO, embeddings=np.zeros((9, VOICE_WIDTH), np.float32)),
        changed(Modality.AUDIO, audible=np.zeros(10, np.uint8)),
        changed(Modality.VIDEO, spans_ms=np.array([[0, 200], [200, 1000]], np.int32)),
        changed(Modality.VIDEO, spans_ms=np.array([[0, 200], [-5, 100]], np.int32)),
        changed(Modality.VIDEO, spans_ms=np.array([[0, 200], [300, 200]], np.int32)),
        changed(Modality.VIDEO, seen=np.array([-1, 5], np.int32)),
        changed(Modality.VIDEO, boxes=np.zeros((1, 4), np.float32)),
        changed(
            Modality.VIDEO,
            spans_ms=np.zeros((6, 2), np.int32),
            embeddings=np.zeros((6, FACE_WIDTH), np.float32),
            boxes=np.zeros((6, 4), np.float32),
        ),
    ],
)
def test_the_error_names_the_tensor_that_does_not_fit(bad: Chunk) -> None:
    with pytest.raises(BadRecordError, match=r"states|embeddings|audible|spans_ms|seen|boxes") as refused:
        unpack(bad)
    assert refused.value.reason == "bad_features"


def test_bad_words_in_features_are_reported_as_bad_words() -> None:
    with pytest.raises(BadRecordError) as refused:
        unpack(changed(Modality.TEXT, words=np.frombuffer(b"no json", np.uint8)))
    assert refused.value.reason == "bad_words"
