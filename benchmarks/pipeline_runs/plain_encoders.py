"""Raw media as a single process encodes them in the obvious way: one chunk after the other, with OpenCV and ONNX Runtime."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import cv2.data
import numpy as np
import onnxruntime

from stream.config.settings import Settings
from stream.domain.chunk import Chunk, ContentType
from stream.domain.features import AudioFeatures, Features, Floats, VideoFeatures, Word
from stream.domain.kafka_records import decode_text
from stream.domain.media_format import FACE_SIZE, FACE_WIDTH
from stream.domain.modality import Modality
from stream.encoders.audio import log_mel, segments
from stream.encoders.face import normalise
from stream.encoders.packed import unpack
from stream.encoders.text import Tokenizer, pool_words
from stream.media.pcm import read_pcm
from stream.model_repository.served_models import AUDIO_ENCODER, FACE_ENCODER, TEXT_ENCODER

FRAMES_PER_SECOND = 5
SMALLEST_FACE = 0.15
"""As a fraction of the picture's shorter side."""


class PlainEncoders:
    """Decodes and encodes chunks with the models that Triton serves."""

    def __init__(self) -> None:
        self._session = cache(_session)
        self._cascade = cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / "haarcascade_frontalface_alt2.xml"))
        self._tokenizer = Tokenizer()
        cv2.setNumThreads(1)

    def features(self, chunk: Chunk) -> Features:
        """Features of a chunk: H.264, PCM, words, or what its producer has encoded."""
        if chunk.header.content_type == ContentType.FEATURES:
            return unpack(chunk)
        match chunk.header.modality:
            case Modality.TEXT:
                return decode_text(chunk.payload)
            case Modality.AUDIO:
                return self._audio(chunk)
            case _:
                return self._video(chunk)

    def word_states(self, words: Sequence[Word]) -> Floats:
        """States of the words of a window."""
        tokenised = self._tokenizer.tokenise([word.text for word in words])
        names = ("input_ids", "attention_mask", "token_type_ids")
        (hidden,) = self._session(TEXT_ENCODER).run(["last_hidden_state"], {name: getattr(tokenised, name)[np.newaxis] for name in names})
        return pool_words(hidden[0], tokenised)

    def _audio(self, chunk: Chunk) -> AudioFeatures:
        samples = read_pcm(chunk.payload, chunk.header.duration_ms)
        spans_ms, audible = segments(chunk.header.start_ms, samples, Settings().audio.silence_dbfs)
        (embeddings,) = self._session(AUDIO_ENCODER).run(["embedding"], {"log_mel": log_mel(samples)[np.newaxis]})
        return AudioFeatures(spans_ms, embeddings[0][: len(spans_ms)], audible)

    def _video(self, chunk: Chunk) -> VideoFeatures:
        start_ms, crops, boxes, spans, faces_max, frames = chunk.header.start_ms, [], [], [], 0, 0
        for time_ms, grey in _frames(chunk.payload):
            height, width = grey.shape
            smallest = int(min(grey.shape) * SMALLEST_FACE)
            found = sorted(self._cascade.detectMultiScale(grey, minSize=(smallest, smallest)), key=lambda box: -box[2])
            frames, faces_max = frames + 1, max(faces_max, len(found))
            for x, y, side, _ in found[:1]:
                crops.append(cv2.resize(grey[y : y + side, x : x + side], (FACE_SIZE, FACE_SIZE), interpolation=cv2.INTER_AREA))
                boxes.append((x / width, y / height, (x + side) / width, (y + side) / height))
                spans.append((start_ms + time_ms, start_ms + time_ms + 1000 // FRAMES_PER_SECOND))
        embeddings = np.zeros((0, FACE_WIDTH), np.float32)
        if crops:
            (embeddings,) = self._session(FACE_ENCODER).run(["embedding"], {"face": normalise(np.stack(crops).astype(np.uint8))})
        return VideoFeatures(
            np.array(spans, np.int64).reshape(-1, 2), embeddings, np.array(boxes, np.float32).reshape(-1, 4), faces_max, frames
        )


def _frames(payload: bytes) -> Iterator[tuple[int, Any]]:
    """Five grey frames of a second, with their times."""
    taken = -1
    with av.open(io.BytesIO(payload), mode="r") as container:
        for frame in container.decode(video=0):
            slot = int(frame.time * FRAMES_PER_SECOND + 1e-6)
            if slot > taken:
                taken = slot
                yield round(frame.time * 1000), frame.to_ndarray(format="gray")


def _session(model: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    file = Settings().triton.model_repository / model / "1" / "model.onnx"
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
