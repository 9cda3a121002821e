"""Encodes chunks: decodes them in the sandbox, finds the face, and has Triton encode the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stream.config.media_settings import AudioSettings, VideoSettings
from stream.config.worker_settings import ExplanationSettings
from stream.domain.chunk import Chunk, ContentType
from stream.domain.features import AudioFeatures, Features, Floats, Halves, MarkedSound, VideoFeatures
from stream.domain.kafka_records import decode_words
from stream.domain.media_format import FACE_WIDTH, VOICE_WIDTH
from stream.domain.modality import Modality
from stream.domain.sampling import is_probed
from stream.encoders.audio import log_mel, segments
from stream.encoders.face import normalise, smoothed
from stream.encoders.packed import unpack
from stream.media.faces import FaceTracker
from stream.media.pcm import read_pcm, trim
from stream.media.sandbox import Sandbox
from stream.media.voice import confirmed_segments, voiced_segments
from stream.model_repository.files import VERSION
from stream.nuisances.pictures import Crops
from stream.nuisances.probes import marked_faces, marked_sounds
from stream.pipeline.ports import ModelVersionOf
from stream.serving.errors import ModelRejectedError
from stream.serving.models import Models

NOTHING_EXPLAINED = ExplanationSettings(face_maps=False)


class ChunkEncoder:
    """Encodes the chunks of one track. It remembers which face it follows, so video chunks must come in order.

    Args:
        sandbox: Decodes compressed media.
        models: Triton's encoders.
        audio: Settings of audio.
        video: Settings of video.
        explanations: Whether explanations need the cells of the faces, and the store the sound; by default neither.
        model_version: The version of the model that scores the epoch; its audio encoder is asked. By default that of the release.
        probed_share: Share of the media that is also encoded with nuisances on it, see `stream.domain.sampling.is_probed`.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        models: Models,
        audio: AudioSettings,
        video: VideoSettings,
        explanations: ExplanationSettings = NOTHING_EXPLAINED,
        *,
        model_version: ModelVersionOf | None = None,
        probed_share: float = 0.0,
    ) -> None:
        self._sandbox = sandbox
        self._models = models
        self._audio = audio
        self._video = video
        self._face_cells = explanations.face_maps
        self._keep_sound = explanations.store is not None and explanations.store_sound
        self._model_version = model_version
        self._probed_share = probed_share
        self._face_tracker = FaceTracker()

    def encode_immediately(self, chunk: Chunk) -> Features | None:
        """Features of a chunk that needs neither decoder nor model; None for any other chunk. Raises `BadRecordError`."""
        match chunk.header.content_type:
            case ContentType.WORDS:
                return decode_words(chunk.payload, chunk.header.start_ms, chunk.header.duration_ms)
            case ContentType.FEATURES:
                return unpack(chunk)
            case _:
                return None

    async def encode(self, chunk: Chunk) -> Features:
        """Features of a chunk. Raises `BadRecordError` or `MediaError`."""
        features = self.encode_immediately(chunk)
        if features is not None:
            return features
        return await (self._encode_audio(chunk) if chunk.header.modality is Modality.AUDIO else self._encode_video(chunk))

    async def _encode_audio(self, chunk: Chunk) -> AudioFeatures:
        header = chunk.header
        if header.content_type == ContentType.PCM:
            samples = read_pcm(chunk.payload, header.duration_ms)
        else:
            samples = trim(await self._sandbox.decode_audio(chunk.payload, header.content_type), header.duration_ms)
        spans_ms, audible = segments(header.start_ms, samples, self._audio.silence_dbfs)
        embeddings = np.zeros((len(spans_ms), VOICE_WIDTH), np.float32)
        heard: Halves | None = None
        marked: dict[str, MarkedSound] = {}
        # The model's input leaves silent segments out: encoding a silent chunk would only load Triton.
        if audible.any():
            block = log_mel(samples)
            sounds = marked_sounds(samples, header.start_ms) if self._is_probed(chunk) else {}
            embeddings, *others = (await self._encode_blocks(block, [*map(log_mel, sounds.values())]))[:, : len(spans_ms)]
            sounds = sounds if others else {}
            for (name, sound), own in zip(sounds.items(), others, strict=True):
                marked[name] = MarkedSound(own, segments(header.start_ms, sound, self._audio.silence_dbfs)[1])
            heard = block.astype(np.float16) if self._keep_sound else None
        voiced = audible & voiced_segments(samples) if audible.any() else audible
        # The second detector is slower, and is asked only about chunks in which the first one hears a voice.
        confirmed = audible & confirmed_segments(samples) if voiced.any() else voiced
        return AudioFeatures(spans_ms, embeddings, audible, voiced, confirmed, heard, marked)

    async def _encode_video(self, chunk: Chunk) -> VideoFeatures:
        header, video = chunk.header, self._video
        detections = await self._sandbox.find_faces(chunk.payload, header.content_type, video.frames_per_second, video.max_pixels)
        faces = self._face_tracker.follow(detections, header.start_ms, header.duration_ms)
        embeddings, cells = np.zeros((0, FACE_WIDTH), np.float32), None
        if len(faces.crops) and self._face_cells:
            embeddings, parts = await self._models.encode_face_cells(normalise(faces.crops))
            # The cells as the embeddings: their mean stays the embedding.
            rows = smoothed(parts.reshape(len(parts), -1).astype(np.float32), faces.spans_ms)
            embeddings, cells = smoothed(embeddings, faces.spans_ms), rows.reshape(parts.shape).astype(np.float16)
        elif len(faces.crops):
            embeddings = smoothed(await self._models.encode_faces(normalise(faces.crops)), faces.spans_ms)
        marked = (
            await self._encode_marked(marked_faces(faces.crops, header.start_ms)) if len(faces.crops) and self._is_probed(chunk) else {}
        )
        marked = {name: smoothed(rows, faces.spans_ms) for name, rows in marked.items()}
        return VideoFeatures(faces.spans_ms, embeddings, faces.boxes, faces.faces_max, faces.frames, cells, marked)

    async def _audio_encoder(self) -> str:
        """The version of the audio encoder. It follows from the version that the epoch is pinned to: a replay has to ask the same one."""
        return VERSION if self._model_version is None else await self._models.audio_encoder(await self._model_version())

    async def _encode_blocks(self, block: Floats, marked: Sequence[Floats]) -> Floats:
        """Embeddings of a block and of the same with nuisances, from one request; of the block alone, if the model refuses those."""
        encoder = await self._audio_encoder()
        try:
            return await self._models.encode_audio(np.stack([block, *marked]), encoder)
        except ModelRejectedError:
            if not marked:
                raise
            return await self._models.encode_audio(block[np.newaxis], encoder)

    async def _encode_marked(self, faces: Mapping[str, Crops]) -> dict[str, Floats]:
        """Embeddings of crops with each nuisance, from one request; none if the model refuses them: that costs no chunk."""
        try:
            rows = await self._models.encode_faces(np.concatenate([normalise(crops) for crops in faces.values()]))
        except ModelRejectedError:
            return {}
        return dict(zip(faces, np.split(rows, len(faces)), strict=True))

    def _is_probed(self, chunk: Chunk) -> bool:
        header = chunk.header
        return is_probed(header.track, header.start_ms, header.start_ms + 1, self._probed_share)
