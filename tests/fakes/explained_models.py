"""A model whose scores follow from the nodes that are left, for tests of what looks at windows again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stream.domain.features import Floats
from stream.domain.inference import COALITIONS, Coalitions, Extra, Inference, WindowInputs
from stream.domain.media_format import FACE_WIDTH, SEGMENTS_PER_BLOCK, VOICE_WIDTH, WORD_WIDTH
from stream.encoders.text import TokenisedWords
from tests.fakes.windows import VIDEO_NODES, make_inference


class ExplainedModels:
    """Each word that is left is worth half a point, each segment of voice the mean of its embedding, faces nothing."""

    async def encode_text(self, tokenised: TokenisedWords, spare_s: float = 0.0) -> Floats:
        """Zeros."""
        return np.zeros((tokenised.input_ids.shape[0], WORD_WIDTH), np.float32)

    async def audio_encoder(self, version: str) -> str:
        """That of the version."""
        return version

    async def encode_audio(self, log_mel: Floats, encoder: str) -> Floats:
        """The mean of the lowest ten bins in every segment."""
        means = log_mel[:, :10].mean(axis=(1, 2))
        return np.repeat(means, SEGMENTS_PER_BLOCK * VOICE_WIDTH).reshape(-1, SEGMENTS_PER_BLOCK, VOICE_WIDTH).astype(np.float32)

    async def infer(self, inputs: WindowInputs, version: str, extras: frozenset[Extra] = frozenset()) -> Inference:
        """The sum of what is left of the modalities of each coalition."""
        words = 0.5 * float(inputs.word_mask.sum())
        voice = float((inputs.audio.mean(axis=1) * inputs.audio_mask).sum())
        scores = [words * (index & 1) + voice * (index >> 1 & 1) for index in range(COALITIONS)]
        answer = make_inference(scores, words=[0.5] * int(inputs.word_mask.sum()), video=[0.25] * int(inputs.video_mask.sum()))
        slope = np.linspace(-1.0, 1.0, VIDEO_NODES * FACE_WIDTH, dtype=np.float32).reshape(VIDEO_NODES, FACE_WIDTH)
        return replace(answer, version=version, face_slope=slope if Extra.FACE_SLOPE in extras else None)

    async def coalitions(self, inputs: WindowInputs, version: str) -> Coalitions:
        """That of `infer`."""
        return await self.infer(inputs, version)
