from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from stream.config.media_settings import AudioSettings, VideoSettings
from stream.config.worker_settings import ExplanationSettings
from stream.domain.chunk import Chunk
from stream.domain.features import AudioFeatures, Floats, Halves, VideoFeatures
from stream.domain.media_format import FACE_CELLS, FACE_WIDTH, VOICE_WIDTH
from stream.domain.modality import Modality
from stream.media.faces import FaceFrame, FaceFrames
from stream.media.media_info import AudioSource
from stream.media.sandbox import Sandbox
from stream.media.source import read_audio
from stream.pipeline.encode import ChunkEncoder
from stream.produce.sample import CALL
from stream.serving.errors import ModelRejectedError
from stream.serving.models import Models
from tests.fakes.chunks import header


class NoModels:
    async def audio_encoder(self, _version: str) -> str:
        return "1"

    async def encode_audio(self, blocks: Floats, encoder: str = "1") -> Floats:
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


class OneFaceInThreeFrames:
    async def find_faces(self, *_: object) -> FaceFrames:
        shades = (10, 250, 90)
        crops = [np.full((1, 48, 48), shade, np.uint8) for shade in shades]
        return tuple(FaceFrame(200 * i, ((0.1, 0.1, 0.5, 0.5),), crop) for i, crop in enumerate(crops))


class CellModels:
    """Cells of noise, and embeddings that are their means."""

    async def encode_face_cells(self, faces: Floats) -> tuple[Floats, Halves]:
        cells = np.random.default_rng(0).normal(size=(len(faces), *FACE_CELLS)).astype(np.float16)
        return cells.astype(np.float32).mean(axis=1), cells


async def test_the_mean_of_the_cells_of_a_face_is_its_embedding_after_smoothing() -> None:
    encoder = ChunkEncoder(
        cast(Sandbox, OneFaceInThreeFrames()),
        cast(Models, CellModels()),
        AudioSettings(),
        VideoSettings(),
        ExplanationSettings(face_maps=True),
    )
    features = await encoder.encode(Chunk(header(0, Modality.VIDEO), b"a picture"))
    assert isinstance(features, VideoFeatures)
    assert features.cells is not None
    assert features.cells.shape == (3, *FACE_CELLS)
    np.testing.assert_allclose(features.cells.astype(np.float32).mean(axis=1), features.embeddings, atol=1e-3)
    unsmoothed, _ = await CellModels().encode_face_cells(np.zeros((3, 1, 48, 48), np.float32))
    np.testing.assert_allclose(features.embeddings[1], unsmoothed.mean(axis=0), atol=1e-6)


async def test_the_sound_is_kept_only_for_a_store_that_wants_it() -> None:
    samples = np.round(8000 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype("<i2").tobytes()
    store = Path("store.db")
    kept = []
    for settings in (
        ExplanationSettings(store=store, store_sound=True),
        ExplanationSettings(store=store),
        ExplanationSettings(store_sound=True),
    ):
        encoder = ChunkEncoder(cast(Sandbox, None), cast(Models, NoModels()), AudioSettings(), VideoSettings(), settings)
        features = await encoder.encode(Chunk(header(0, Modality.AUDIO), samples))
        assert isinstance(features, AudioFeatures)
        kept.append(None if features.log_mel is None else features.log_mel.shape)
    assert kept == [(80, 100), None, None]


class ListeningModels:
    """Embeddings that hold the mean of each block or crop."""

    async def audio_encoder(self, _version: str) -> str:
        return "1"

    async def encode_audio(self, blocks: Floats, encoder: str = "1") -> Floats:
        return np.tile(blocks.mean(axis=(1, 2))[:, None, None], (1, 10, VOICE_WIDTH)).astype(np.float32)

    async def encode_faces(self, faces: Floats) -> Floats:
        return np.tile(np.abs(np.diff(faces, axis=3)).mean(axis=(1, 2, 3))[:, None], (1, FACE_WIDTH)).astype(np.float32)


class NoisyFaces:
    async def find_faces(self, *_: object) -> FaceFrames:
        crops = np.random.default_rng(0).integers(0, 256, (3, 1, 48, 48)).astype(np.uint8)
        return tuple(FaceFrame(200 * i, ((0.1, 0.1, 0.5, 0.5),), crop) for i, crop in enumerate(crops))


class RefusingModels(ListeningModels):
    """Refuse whatever has a nuisance."""

    async def encode_audio(self, blocks: Floats, encoder: str = "1") -> Floats:
        if len(blocks) > 1:
            raise ModelRejectedError("not finite")
        return await super().encode_audio(blocks, encoder)

    async def encode_faces(self, faces: Floats) -> Floats:
        if len(faces) > 3:
            raise ModelRejectedError("not finite")
        return await super().encode_faces(faces)


def probing(share: float, models: ListeningModels | None = None) -> ChunkEncoder:
    settings = (AudioSettings(), VideoSettings(), ExplanationSettings(face_maps=False))
    return ChunkEncoder(cast(Sandbox, NoisyFaces()), cast(Models, models or ListeningModels()), *settings, probed_share=share)


async def test_a_probed_chunk_has_its_features_with_each_nuisance_and_its_own_are_as_ever() -> None:
    samples = np.round(8000 * np.sin(2 * np.pi * 440 * np.arange(12_000) / 16_000)).astype("<i2").tobytes()
    sound = Chunk(replace(header(0, Modality.AUDIO), duration_ms=750), samples)
    picture = Chunk(header(0, Modality.VIDEO), b"a picture")
    plain = [await probing(0.0).encode(chunk) for chunk in (sound, picture)]
    probed = [await probing(1.0).encode(chunk) for chunk in (sound, picture)]
    for own, other, names in zip(plain, probed, (("hiss", "hum"), ("blur", "bad light")), strict=True):
        assert isinstance(own, AudioFeatures | VideoFeatures)
        assert isinstance(other, AudioFeatures | VideoFeatures)
        assert (own.embeddings == other.embeddings).all()
        assert own.marked == {}
        assert tuple(other.marked) == names
    heard, seen = probed
    assert isinstance(heard, AudioFeatures)
    assert isinstance(seen, VideoFeatures)
    for marked in heard.marked.values():
        assert (marked.embeddings.shape, marked.audible.shape) == ((8, VOICE_WIDTH), (8,))
        assert not np.allclose(marked.embeddings, heard.embeddings)
    assert seen.marked["blur"][0, 0] < seen.embeddings[0, 0] / 2, "less sharp"


async def test_a_nuisance_that_an_encoder_refuses_costs_no_chunk() -> None:
    tone = np.round(8000 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype("<i2").tobytes()
    for chunk in (Chunk(header(0, Modality.AUDIO), tone), Chunk(header(0, Modality.VIDEO), b"a picture")):
        plain, probed = await probing(0.0).encode(chunk), await probing(1.0, RefusingModels()).encode(chunk)
        assert isinstance(plain, AudioFeatures | VideoFeatures)
        assert isinstance(probed, AudioFeatures | VideoFeatures)
        assert (plain.embeddings == probed.embeddings).all()
        assert probed.marked == {}


async def test_silence_is_not_probed() -> None:
    features = await probing(1.0).encode(Chunk(header(0, Modality.AUDIO), bytes(32_000)))
    assert isinstance(features, AudioFeatures)
    assert features.marked == {}


class VersionedModels(ListeningModels):
    """Each version of the model has an audio encoder of its own, which is named like it."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def audio_encoder(self, version: str) -> str:
        return f"encoder of {version}"

    async def encode_audio(self, blocks: Floats, encoder: str = "1") -> Floats:
        self.asked.append(encoder)
        return await super().encode_audio(blocks, encoder)


async def test_sound_is_encoded_for_the_version_that_the_epoch_keeps_and_silence_pins_nothing() -> None:
    models, pinned = VersionedModels(), list[str]()

    async def version() -> str:
        pinned.append("7")
        return "7"

    encoder = ChunkEncoder(
        cast(Sandbox, None), cast(Models, models), AudioSettings(), VideoSettings(), model_version=version, probed_share=1.0
    )
    await encoder.encode(Chunk(header(0, Modality.AUDIO), bytes(32_000)))
    assert pinned == []
    tone = np.round(8000 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype("<i2").tobytes()
    await encoder.encode(Chunk(header(0, Modality.AUDIO), tone))
    assert (models.asked, pinned) == (["encoder of 7"], ["7"])
