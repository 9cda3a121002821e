"""Models whose score is known: they stand in for the served ones where only what reveal makes of their answers matters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from stream.domain.features import Floats
from stream.domain.inference import COALITIONS, LABELS, WindowInputs
from stream.domain.media_format import FACE_WIDTH, SEGMENTS_PER_BLOCK, VOICE_WIDTH, WORD_WIDTH
from stream.domain.modality import Modality
from stream.encoders.text import TokenisedWords
from stream.reveal.windows import Answers


class FakeModels:
    """Encoders that pass on one number, and a score that adds up what `parts` says of each modality.

    A word's state begins with the number of its token, a segment's embedding with the mean of its block, a face's with its sharpness.
    """

    name = "fake"

    def __init__(self, parts: dict[Modality, Callable[[Floats], float]]) -> None:
        self._parts = parts

    def encode_text(self, sequences: Sequence[TokenisedWords]) -> list[Floats]:
        states = [np.zeros((len(tokenised.input_ids), WORD_WIDTH), np.float32) for tokenised in sequences]
        for own, tokenised in zip(states, sequences, strict=True):
            own[:, 0] = tokenised.input_ids
        return states

    def encode_audio(self, log_mel: Floats) -> Floats:
        embeddings = np.zeros((len(log_mel), SEGMENTS_PER_BLOCK, VOICE_WIDTH), np.float32)
        embeddings[:, :, 0] = log_mel.mean(axis=(1, 2))[:, None]
        return embeddings

    def encode_faces(self, faces: Floats) -> Floats:
        embeddings = np.zeros((len(faces), FACE_WIDTH), np.float32)
        embeddings[:, 0] = np.abs(np.diff(faces, axis=3)).mean(axis=(1, 2, 3))
        return embeddings

    def answers(self, windows: Sequence[WindowInputs]) -> Answers:
        scores = np.zeros((len(windows), COALITIONS), np.float32)
        for row, inputs in zip(scores, windows, strict=True):
            parts = {Modality.TEXT: (inputs.words, inputs.word_mask), Modality.AUDIO: (inputs.audio, inputs.audio_mask)}
            parts[Modality.VIDEO] = (inputs.video, inputs.video_mask)
            for modality, part in self._parts.items():
                values, mask = parts[modality]
                worth = part(values[mask > 0, 0]) if mask.any() else 0.0
                row += [worth * bool(index & modality.bit) for index in range(COALITIONS)]
        return Answers(scores, np.full((len(windows), COALITIONS, len(LABELS)), 1 / 3, np.float32))
