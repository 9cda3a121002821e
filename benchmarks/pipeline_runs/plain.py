"""What the peers share: the windows of a session in a dictionary, the model in torch, one window at a time. No promises of delivery."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from stream.config.settings import Settings
from stream.domain.chunk import Chunk
from stream.domain.context import CONTEXT_WINDOWS, ContextFeatures
from stream.domain.features import AudioFeatures, Features, TextFeatures, VideoFeatures
from stream.domain.inference import Inference, WindowInputs
from stream.domain.kafka_records import parse_chunk
from stream.domain.media_format import WORD_WIDTH
from stream.domain.modality import MODALITIES, Modality
from stream.domain.result import ExplanationRecord, ModelVersion, ScoreRecord
from stream.domain.window import Window
from stream.encoders.context_inputs import contribution, with_context
from stream.encoders.packed import unpack
from stream.encoders.window_inputs import build
from stream.explain.records import final_records
from stream.model.served import INPUT_NAMES, WEIGHTS, ServedMMCI, load_weights

SETTINGS = Settings().windows
VERSION = ModelVersion("mmci", "1", "torch")


def weights() -> Path:
    """Of the model that Triton serves."""
    return Settings().triton.model_repository / "mmci" / "1" / WEIGHTS


@dataclass
class Collected:
    """The chunks of one session that a window may still need, and what its newest windows left for later ones."""

    chunks: dict[Modality, list[tuple[Chunk, Features]]] = field(default_factory=lambda: {m: [] for m in MODALITIES})
    next_start_ms: int = 0
    past: list[ContextFeatures] = field(default_factory=list)

    def inputs(self, window: Window) -> WindowInputs:
        """Tensors of a window with those before it; windows come in order."""
        states = window.word_states()
        alone = build(window, np.zeros((0, WORD_WIDTH), np.float32) if states is None else states)
        earlier = [features for features in reversed(self.past) if features.end_ms <= window.start_ms]
        self.past = [*self.past[1 - 2 * CONTEXT_WINDOWS :], contribution(window, alone)]
        return with_context(alone, window, earlier[:CONTEXT_WINDOWS])

    def add(self, chunk: Chunk) -> Iterable[Window]:
        """Take in a chunk; the windows that are complete now."""
        self.chunks[chunk.header.modality].append((chunk, unpack(chunk)))
        while all(parts and parts[-1][0].header.end_ms >= self.next_start_ms + SETTINGS.length_ms for parts in self.chunks.values()):
            yield self._window(chunk)
            self.next_start_ms += SETTINGS.hop_ms
            for modality, parts in self.chunks.items():
                self.chunks[modality] = [part for part in parts if part[0].header.end_ms > self.next_start_ms]

    def _window(self, chunk: Chunk) -> Window:
        start, end = self.next_start_ms, self.next_start_ms + SETTINGS.length_ms
        inside = [features for parts in self.chunks.values() for part, features in parts if part.header.start_ms < end]
        return Window(
            track=chunk.header.track,
            role=chunk.header.role,
            epoch=0,
            start_ms=start,
            end_ms=end,
            media_end_ms=end,
            revision=1,
            is_final=True,
            text=tuple(f for f in inside if isinstance(f, TextFeatures)),
            audio=tuple(f for f in inside if isinstance(f, AudioFeatures)),
            video=tuple(f for f in inside if isinstance(f, VideoFeatures)),
            media_end_at_ms=chunk.header.captured_ms,
        )


class PlainPipeline:
    """Chunks in, records out."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        self._model = load_weights(weights())
        self._sessions: dict[bytes, Collected] = {}

    def on_record(
        self, modality: Modality, key: bytes, value: bytes, headers: Iterable[tuple[str, bytes]]
    ) -> list[tuple[ScoreRecord, ExplanationRecord]]:
        """The results of the windows that a record completes."""
        collected = self._sessions.setdefault(key, Collected())
        windows = collected.add(parse_chunk(key, value, headers, modality))
        return [self._explained(window, collected.inputs(window)) for window in windows]

    def _explained(self, window: Window, inputs: WindowInputs) -> tuple[ScoreRecord, ExplanationRecord]:
        return final_records(window, inputs, infer(self._model, [inputs])[0], VERSION, 0)


def infer(model: ServedMMCI, batch: list[WindowInputs]) -> list[Inference]:
    """The model in torch on windows of one length."""
    tensors = [torch.from_numpy(np.stack([getattr(inputs, name) for inputs in batch])) for name in INPUT_NAMES]
    with torch.inference_mode():
        scores, probabilities, causal, relevance, unadjusted, review = (tensor.numpy() for tensor in model(*tensors))
    return [
        Inference(scores[row], probabilities[row], causal[row], relevance[row], float(unadjusted[row, 0]), bool(review[row, 0]))
        for row in range(len(batch))
    ]
