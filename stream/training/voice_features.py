"""The frozen features of voices: what the audio encoder computes before its projection, on which the projection is trained."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import onnxruntime

from stream.domain.features import Floats
from stream.domain.media_format import FEATURE_STEPS, FEATURE_WIDTH, MEL_BINS, MEL_FRAMES, SEGMENTS_PER_BLOCK, VOICE_WIDTH
from stream.model_repository.audio_weights import encoder_with
from stream.training.inference import session


def frozen_encoder() -> onnxruntime.InferenceSession:
    """The audio encoder without a trained projection, for `frozen_steps`. Raises `WeightsError` if Whisper's weights are not installed."""
    return session(encoder_with(np.zeros((VOICE_WIDTH, FEATURE_WIDTH), np.float32), np.zeros(VOICE_WIDTH, np.float32)))


def frozen_steps(encoder: onnxruntime.InferenceSession, log_mel: Floats) -> Floats:
    """Features of (n, 80, 100) blocks every 20 ms: (n, 50, 384)."""
    steps: Floats = encoder.run(["feature_map"], {"log_mel": log_mel})[0]
    return steps


def frozen_segments(encoder: onnxruntime.InferenceSession, log_mel: Floats) -> Floats:
    """Features of (n, 80, 100) blocks every 100 ms, which the projection reads: (n, 10, 384)."""
    by_segment = frozen_steps(encoder, log_mel).reshape(-1, SEGMENTS_PER_BLOCK, FEATURE_STEPS // SEGMENTS_PER_BLOCK, FEATURE_WIDTH)
    segments: Floats = by_segment.mean(axis=2)
    return segments


def signature(encoder: onnxruntime.InferenceSession) -> int:
    """A number that stands for an encoder: that of stored features says whether this encoder made them."""
    block = np.random.default_rng(0).uniform(-0.6, 1.4, (1, MEL_BINS, MEL_FRAMES)).astype(np.float32)
    return crc32(frozen_segments(encoder, block).astype(np.float16).tobytes())
