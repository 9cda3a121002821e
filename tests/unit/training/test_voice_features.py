"""The frozen features that the audio encoder's projection is trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stream.domain.media_format import FEATURE_STEPS, FEATURE_WIDTH, MEL_BINS, MEL_FRAMES, SEGMENTS_PER_BLOCK, VOICE_WIDTH
from stream.training.export import AUDIO_ENTRY, config_text, export_projection
from stream.training.inference import session
from stream.training.voice_features import frozen_encoder, frozen_segments, frozen_steps


def test_an_exported_projection_reads_the_frozen_features(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    weight, bias = chance.standard_normal((VOICE_WIDTH, FEATURE_WIDTH), np.float32), chance.standard_normal(VOICE_WIDTH, np.float32)
    log_mel = chance.uniform(-0.6, 1.4, (2, MEL_BINS, MEL_FRAMES)).astype(np.float32)
    encoder = frozen_encoder()
    steps, segments = frozen_steps(encoder, log_mel), frozen_segments(encoder, log_mel)
    assert (steps.shape, segments.shape) == ((2, FEATURE_STEPS, FEATURE_WIDTH), (2, SEGMENTS_PER_BLOCK, FEATURE_WIDTH))
    np.testing.assert_allclose(segments[1, 3], steps[1, 15:20].mean(axis=0), atol=1e-5)
    (served,) = session(export_projection(weight, bias, tmp_path)).run(["embedding"], {"log_mel": log_mel})
    np.testing.assert_allclose(served, segments @ weight.T + bias, atol=1e-3)
    assert (tmp_path / "audio_encoder" / "config.pbtxt").read_text(encoding="utf-8") == config_text(AUDIO_ENTRY, "KIND_GPU", "")
