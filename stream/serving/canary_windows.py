"""Windows of made-up features that a version of ``mmci`` has to answer before it may score real ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stream.domain.context import CONTEXT_WINDOWS
from stream.domain.features import Floats
from stream.domain.inference import WindowInputs
from stream.domain.media_format import FACE_WIDTH, VOICE_WIDTH, WORD_WIDTH
from stream.domain.modality import MODALITIES


def canary_windows() -> tuple[WindowInputs, WindowInputs]:
    """Two windows of made-up features, always the same: one with all modalities and earlier windows, one with two words alone."""
    chance = np.random.default_rng(0)
    words, audio, video = 8, 10, 5

    def features(rows: int, width: int) -> Floats:
        values: Floats = chance.normal(0, 0.5, (rows, width)).astype(np.float32)
        return values

    def times(rows: int) -> Floats:
        starts = np.linspace(0, 3.8, rows)
        spans: Floats = np.stack([starts, starts + 0.2], axis=1).astype(np.float32)
        return spans

    everything = WindowInputs(
        words=features(words, WORD_WIDTH),
        word_times=times(words),
        word_mask=np.ones(words, np.float32),
        audio=features(audio, VOICE_WIDTH),
        audio_times=times(audio),
        audio_mask=np.ones(audio, np.float32),
        video=features(video, FACE_WIDTH),
        video_times=times(video),
        video_mask=np.ones(video, np.float32),
        past_words=features(CONTEXT_WINDOWS, WORD_WIDTH),
        past_audio=features(CONTEXT_WINDOWS, VOICE_WIDTH),
        past_video=features(CONTEXT_WINDOWS, FACE_WIDTH),
        past_mask=np.ones((CONTEXT_WINDOWS, len(MODALITIES)), np.float32),
        past_same=np.ones(CONTEXT_WINDOWS, np.float32),
        word_nodes=(),
        audio_spans_ms=(),
        video_spans_ms=(),
    )
    alone = replace(
        everything,
        word_mask=(np.arange(words) < 2).astype(np.float32),
        audio_mask=np.zeros(audio, np.float32),
        video_mask=np.zeros(video, np.float32),
        past_mask=np.zeros((CONTEXT_WINDOWS, len(MODALITIES)), np.float32),
    )
    return everything, alone
