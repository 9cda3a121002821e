"""The pipeline that both peers run: windows in a dictionary, the model in torch, one window at a time, and no delivery guarantees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from stream.config.settings import Settings
from stream.domain.chunk import Chunk
from stream.domain.context import CONTEXT_KEPT, CONTEXT_WINDOWS, ContextFeatures, earlier_windows
from stream.domain.features import AudioFeatures, Features, Floats, TextFeatures, VideoFeatures
from stream.domain.inference import INPUT_NAMES, Inference, WindowInputs
from stream.domain.kafka_records import parse_chunk
from stream.domain.media_format import WORD_WIDTH
from stream.domain.modality import MODALITIES, Modality
from stream.domain.result import ExplanationRecord, ModelVersion, ScoreRecord
from stream.domain.window import Window
from stream.encoders.context_inputs import contribution, with_context
from stream.encoders.packed import unpack
from stream.encoders.window_inputs import build
from stream.explain.records import final_records
from stream.model.served import OUTPUT_NAMES, WEIGHTS, ServedMMCI, load_weights

SETTINGS = Settings().windows
VERSION = ModelVersion("mmci", "1", "torch")


def weights_file() -> Path:
    """The weights of the model that Triton serves."""
    return Settings().triton.model_repository / "mmci" / "1" / WEIGHTS


@dataclass
class SessionState:
    """The chunks of a session that a window may still need, and the context that its newest windows give to later windows."""

    chunks: dict[Modality, list[tuple[Chunk, Features]]] = field(default_factory=lambda: {m: [] for m in MODALITIES})
    next_start_ms: int = 0
    past: list[ContextFeatures] = field(default_factory=list)

    def inputs(self, window: Window) -> WindowInputs:
        """Tensors of a window and its context. The windows must come in order."""
        states = window.word_states()
        alone = build(window, np.zeros((0, WORD_WIDTH), np.float32) if states is None else states)
        by_window = {features.window: features for features in reversed(self.past)}
        context = [features for features in by_window.values() if features.end_ms <= window.start_ms][:CONTEXT_WINDOWS]
        earlier = [by_window[chosen] for chosen in earlier_windows(by_window, window.start_ms)]
        self.past = [*self.past[1 - CONTEXT_KEPT :], contribution(window, alone)]
        return with_context(alone, window, context, earlier)

    def add(self, chunk: Chunk) -> Iterable[Window]:
        """Add a chunk. Returns the windows that it completes."""
        self.chunks[chunk.header.modality].append((chunk, unpack(chunk)))
        while all(parts and parts[-1][0].header.end_ms >= self.next_start_ms + SETTINGS.length_ms for parts in self.chunks.values()):
            yield self._window(chunk)
            self.next_start_ms += SETTINGS.hop_ms
            for modality, parts in self.chunks.items():
                self.chunks[modality] = [part for part in parts if part[0].header.end_ms > self.next_start_ms]

    def _window(self, chunk: Chunk) -> Window:
        start, end = self.next_start_ms, self.next_start_ms + SETTINGS.length_ms
        inside = [features for parts in self.chunks.values() for earlier, features in parts if earlier.header.start_ms < end]
        return Window(
            track=chunk.header.track,
            role=chunk.header.role,
            epoch=0,
            start_ms=start,
            end_ms=end,
            media_end_ms=end,
            revision=1,
            is_final=True,
            text=tuple(features for features in inside if isinstance(features, TextFeatures)),
            audio=tuple(features for features in inside if isinstance(features, AudioFeatures)),
            video=tuple(features for features in inside if isinstance(features, VideoFeatures)),
            media_end_at_ms=chunk.header.captured_ms,
        )


class PlainPipeline:
    """Turns chunks into score and explanation records."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        self._model = load_weights(weights_file())
        self._sessions: dict[bytes, SessionState] = {}

    def on_record(
        self, modality: Modality, key: bytes, value: bytes, headers: Iterable[tuple[str, bytes]]
    ) -> list[tuple[ScoreRecord, ExplanationRecord]]:
        """The results of the windows that a record completes."""
        state = self._sessions.setdefault(key, SessionState())
        windows = state.add(parse_chunk(key, value, headers, modality))
        return [self._records(window, state.inputs(window)) for window in windows]

    def _records(self, window: Window, inputs: WindowInputs) -> tuple[ScoreRecord, ExplanationRecord]:
        return final_records(window, inputs, infer(self._model, [inputs])[0], VERSION, 0)


def infer(model: ServedMMCI, batch: Sequence[WindowInputs]) -> list[Inference]:
    """Run the model in torch. All windows must have the same length."""
    tensors = [torch.from_numpy(np.stack([getattr(inputs, name) for inputs in batch])) for name in INPUT_NAMES]
    with torch.inference_mode():
        return inferences([tensor.numpy() for tensor in model(*tensors)])


def inferences(tensors: Sequence[Floats]) -> list[Inference]:
    """Answers to the windows of a batch from the outputs of the model, in the order of `OUTPUT_NAMES`."""
    outputs = dict(zip(OUTPUT_NAMES, tensors, strict=True))
    return [
        Inference(
            scores=outputs["coalition_scores"][row],
            probabilities=outputs["coalition_probabilities"][row],
            causal=outputs["causal"][row],
            relevance=outputs["relevance"][row],
            to_review=bool(outputs["to_review"][row, 0]),
            arousal=float(outputs["arousal"][row, 0]),
            word_effects=outputs["word_effects"][row],
        )
        for row in range(len(outputs["relevance"]))
    ]
