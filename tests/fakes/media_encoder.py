"""An encoder that remembers what it was given."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from stream.domain.chunk import Chunk
from stream.domain.features import AudioFeatures, Features, VideoFeatures
from stream.domain.media_format import FACE_WIDTH, VOICE_WIDTH
from stream.domain.modality import Modality
from tests.fakes.processing_context import FakeEncoder


class MediaEncoder(FakeEncoder):
    """Gives sound a voice and pictures a face, and remembers the modality, track and start of every chunk that it has decoded."""

    decoded: ClassVar[list[tuple[Modality, str, int]]] = []

    async def encode(self, chunk: Chunk) -> Features:
        of = chunk.header
        self.decoded.append((of.modality, of.track.track, of.start_ms))
        spans = np.arange(of.start_ms, of.end_ms, 100)[:, np.newaxis] + np.array([[0, 100]])
        heard = np.ones(len(spans), np.bool_)
        match of.modality:
            case Modality.TEXT:
                return await super().encode(chunk)
            case Modality.AUDIO:
                return AudioFeatures(spans, np.ones((len(spans), VOICE_WIDTH), np.float32), heard, heard, heard)
            case Modality.VIDEO:
                boxes = np.zeros((len(spans), 4), np.float32)
                return VideoFeatures(spans, np.ones((len(spans), FACE_WIDTH), np.float32), boxes, 1, len(spans))
