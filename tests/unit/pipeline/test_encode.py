from __future__ import annotations

from typing import cast

import numpy as np

from stream.config.settings import AudioSettings, VideoSettings
from stream.domain.chunk import Chunk
from stream.domain.features import AudioFeatures, Floats
from stream.domain.media_format import VOICE_WIDTH
from stream.domain.modality import Modality
from stream.media.media_info import AudioSource
from stream.media.sandbox import Sandbox
from stream.media.source import read_audio
from stream.pipeline.encode import ChunkEncoder
from stream.produce.sample import CALL
from stream.serving.models import Models
from tests.fakes.chunks import header


class NoModels:
    async def encode_audio(self, blocks: Floats) -> Floats:
        return np.zeros((len(blocks), 10, VOICE_WIDTH), np.float32)


async def test_voice_is_found_where_sound_is_audible() -> None:
    encoder = ChunkEncoder(cast(Sandbox, None), cast(Models, NoModels()), AudioSettings(silence_dbfs=-30.0), VideoSettings())
    customer = read_audio(CALL, [AudioSource(0, 1)])[0][0].samples
    samples = np.concatenate([customer[:8000], customer[:8000] // 200])
    features = await encoder.encode(Chunk(header(0, Modality.AUDIO), samples.astype("<i2").tobytes()))
    assert isinstance(features, AudioFeatures)
    assert features.voiced is not None
    assert features.voiced[:5].sum() >= 2
    assert not features.voiced[5:].any()
    assert features.confirmed is not None
    assert features.confirmed[:5].any()
    assert not features.confirmed[5:].any()


async def test_a_tone_is_no_confirmed_voice_and_silence_is_not_looked_at() -> None:
    encoder = ChunkEncoder(cast(Sandbox, None), cast(Models, NoModels()), AudioSettings(), VideoSettings())
    tone = np.round(8000 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000))
    for samples, audible in ((tone, True), (np.zeros(16_000), False)):
        features = await encoder.encode(Chunk(header(0, Modality.AUDIO), samples.astype("<i2").tobytes()))
        assert isinstance(features, AudioFeatures)
        assert features.audible.all() == audible
        assert features.confirmed is not None
        assert not features.confirmed.any()
