"""Models of trials: the encoders of the repository, each input encoded once, a projection of voices, and a network in torch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch

from stream.domain.features import Floats
from stream.domain.inference import INPUT_NAMES, WindowInputs
from stream.encoders.text import TokenisedWords
from stream.model.served import OUTPUT_NAMES, ServedMMCI
from stream.reveal.windows import Answers, ServedModels
from stream.training.voice import Projection
from stream.training.voice_features import frozen_encoder, frozen_segments

BATCH = 64


class RememberedEncoders:
    """The encoders of other models, which are asked once for each input."""

    def __init__(self, models: ServedModels) -> None:
        self._models = models
        self._frozen = frozen_encoder()
        self._known: dict[bytes, Floats] = {}

    def encode_text(self, sequences: Sequence[TokenisedWords]) -> list[Floats]:
        """Token states (T, 384) of each sequence."""
        keys = [hashlib.sha1(own.input_ids.tobytes(), usedforsecurity=False).digest() for own in sequences]
        new = {key: own for key, own in zip(keys, sequences, strict=True) if key not in self._known}
        self._known |= dict(zip(new, self._models.encode_text(list(new.values())), strict=True))
        return [self._known[key] for key in keys]

    def frozen_segments(self, log_mel: Floats) -> Floats:
        """Frozen features (n, 10, 384) of (n, 80, 100) blocks, which a projection reads."""
        return self._rows(log_mel, partial(frozen_segments, self._frozen))

    def encode_faces(self, faces: Floats) -> Floats:
        """Embeddings (n, `FACE_WIDTH`) of (n, 1, 48, 48) crops."""
        return self._rows(faces, self._models.encode_faces)

    def _rows(self, rows: Floats, encode: Callable[[Floats], Floats]) -> Floats:
        keys = [hashlib.sha1(row.tobytes(), usedforsecurity=False).digest() for row in rows]
        new = {key: row for key, row in zip(keys, rows, strict=True) if key not in self._known}
        if not len(rows):
            return encode(rows)
        if new:
            self._known |= dict(zip(new, encode(np.stack(list(new.values()))), strict=True))
        return np.stack([self._known[key] for key in keys])


class TrialModels:
    """`stream.reveal.windows.ServedModels` with a network and a projection of voices that a trial has trained."""

    name = "trial"

    def __init__(self, encoders: RememberedEncoders, served: ServedMMCI, projection: Projection) -> None:
        self.encode_text, self.encode_faces = encoders.encode_text, encoders.encode_faces
        self._frozen_segments = encoders.frozen_segments
        self._served, self._projection = served, projection

    def encode_audio(self, log_mel: Floats) -> Floats:
        """Segment embeddings (n, 10, `VOICE_WIDTH`) of (n, 80, 100) blocks."""
        return self._projection(self._frozen_segments(log_mel))

    def answers(self, windows: Sequence[WindowInputs]) -> Answers:
        """What the network says of n windows, all of one length."""
        places = [OUTPUT_NAMES.index(name) for name in ("coalition_scores", "coalition_probabilities")]
        parts = []
        with torch.no_grad():
            for start in range(0, len(windows), BATCH):
                batch = windows[start : start + BATCH]
                outputs = self._served(*(torch.from_numpy(np.stack([getattr(own, name) for own in batch])) for name in INPUT_NAMES))
                parts.append([outputs[place].numpy() for place in places])
        return Answers(*(np.concatenate(part) for part in zip(*parts, strict=True)))
