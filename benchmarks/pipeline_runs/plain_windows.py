"""Windows in a dictionary, as the peers keep them: no watermarks, no lateness, no bounds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from benchmarks.pipeline_runs import media
from benchmarks.pipeline_runs.plain_encoders import PlainEncoders
from stream.config.settings import Settings
from stream.domain.chunk import Chunk, ChunkHeader
from stream.domain.context import CONTEXT_KEPT, CONTEXT_WINDOWS, ContextFeatures, earlier_windows
from stream.domain.features import AudioFeatures, Features, TextFeatures, VideoFeatures
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.inference import WindowInputs
from stream.domain.media_format import WORD_WIDTH
from stream.domain.modality import MODALITIES, Modality
from stream.domain.window import Window
from stream.encoders.context_inputs import contribution, with_context
from stream.encoders.window_inputs import build

SETTINGS = Settings().windows


@dataclass
class SessionState:
    """The chunks of a session that a window may still need, and the context that its newest windows give to later windows."""

    encoders: PlainEncoders
    chunks: dict[Modality, list[tuple[Chunk, Features]]] = field(default_factory=lambda: {m: [] for m in MODALITIES})
    next_start_ms: int = 0
    past: list[ContextFeatures] = field(default_factory=list)

    def inputs(self, window: Window) -> WindowInputs:
        """Tensors of a window and its context. The windows must come in order."""
        states, words = window.word_states(), window.words()
        if states is None:
            states = self.encoders.word_states(words) if words else np.zeros((0, WORD_WIDTH), np.float32)
        alone = build(window, states)
        by_window = {features.window: features for features in reversed(self.past)}
        context = [features for features in by_window.values() if features.end_ms <= window.start_ms][:CONTEXT_WINDOWS]
        earlier = [by_window[chosen] for chosen in earlier_windows(by_window, window.start_ms)]
        self.past = [*self.past[1 - CONTEXT_KEPT :], contribution(window, alone)]
        return with_context(alone, window, context, earlier)

    def add(self, chunk: Chunk) -> Iterable[Window]:
        """Add a chunk. Returns the windows that it completes."""
        self.chunks[chunk.header.modality].append((chunk, self.encoders.features(chunk)))
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


def sample_windows(count: int) -> list[WindowInputs]:
    """Windows like those of the encoded load."""
    track, state, windows = TrackKey(SessionKey("bench", "sample"), "customer"), SessionState(PlainEncoders()), list[WindowInputs]()
    second = 0
    while len(windows) < count:
        for modality, (content_type, payload) in media.encoded(second).items():
            header = ChunkHeader("x", "benchmark", track, "customer", modality, second, 0, second * 1000, 1000, 0, content_type)
            windows += [state.inputs(window) for window in state.add(Chunk(header, payload))]
        second += 1
    return windows[:count]
