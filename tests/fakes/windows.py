"""Small windows, and inferences that a model might give for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stream.domain.features import AudioFeatures, TextFeatures, VideoFeatures, Word
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.inference import COALITIONS, Inference, WindowInputs
from stream.domain.media_format import FACE_WIDTH, VOICE_WIDTH
from stream.domain.modality import MODALITIES
from stream.domain.result import ModelVersion
from stream.domain.window import Window
from stream.encoders.window_inputs import NO_CONTEXT

MODEL = ModelVersion("mmci", "1", "0123456789ab")
WORD_NODES, AUDIO_NODES, VIDEO_NODES = 8, 10, 5
START_MS = 4000


def make_window(
    words: Sequence[str] = (), segments: int = 0, frames: int = 0, *, faces: int = 1, is_final: bool = True, warnings: tuple[str, ...] = ()
) -> Window:
    """A 1 s window from 4 s on: words, audible segments of 100 ms and face frames of 200 ms, each from its start. All are expected."""
    start = START_MS
    spoken = tuple(Word(w, start + 100 * i, start + 100 * (i + 1)) for i, w in enumerate(words))
    audio_spans = np.array([[start + 100 * i, start + 100 * (i + 1)] for i in range(segments)], np.int64).reshape(-1, 2)
    video_spans = np.array([[start + 200 * i, start + 200 * (i + 1)] for i in range(frames)], np.int64).reshape(-1, 2)
    return Window(
        track=TrackKey(SessionKey("default", "call-1"), "customer"),
        role="customer",
        epoch=0,
        start_ms=start,
        end_ms=start + 1000,
        media_end_ms=start + 1000,
        revision=3,
        is_final=is_final,
        text=(TextFeatures(spoken),) if words else (),
        audio=(AudioFeatures(audio_spans, np.zeros((segments, VOICE_WIDTH), np.float32), np.ones(segments, np.bool_)),) if segments else (),
        video=(VideoFeatures(video_spans, np.zeros((frames, FACE_WIDTH), np.float32), np.zeros((frames, 4), np.float32), faces, frames),)
        if frames
        else (),
        media_end_at_ms=1_700_000_000_000,
        warnings=warnings,
        modalities_expected=MODALITIES,
    )


def make_inputs(window: Window, words_dropped: int = 0) -> WindowInputs:
    """Input tensors with the window's nodes first and padding after."""
    words = window.words()
    audio = tuple((int(a), int(b)) for chunk in window.audio for a, b in chunk.spans_ms)
    video = tuple((int(a), int(b)) for chunk in window.video for a, b in chunk.spans_ms)
    return WindowInputs(
        words=np.zeros((WORD_NODES, 384), np.float32),
        word_times=np.zeros((WORD_NODES, 2), np.float32),
        word_mask=_mask(len(words), WORD_NODES),
        audio=np.zeros((AUDIO_NODES, VOICE_WIDTH), np.float32),
        audio_times=np.zeros((AUDIO_NODES, 2), np.float32),
        audio_mask=_mask(len(audio), AUDIO_NODES),
        video=np.zeros((VIDEO_NODES, FACE_WIDTH), np.float32),
        video_times=np.zeros((VIDEO_NODES, 2), np.float32),
        video_mask=_mask(len(video), VIDEO_NODES),
        **NO_CONTEXT,
        word_nodes=words,
        audio_spans_ms=audio,
        video_spans_ms=video,
        words_dropped=words_dropped,
        video_cells=None,
    )


def make_inference(
    scores: Sequence[float],
    *,
    words: Sequence[float] = (),
    audio: Sequence[float] = (),
    video: Sequence[float] = (),
    causal: float = 0.75,
    probabilities: Sequence[Sequence[float]] | None = None,
    to_review: bool = False,
    arousal: float = 0.5,
) -> Inference:
    """An inference with these coalition scores and node relevances; by default the label follows the score's sign.

    Of eight scores (and probabilities), those of the sets of modalities, the earlier windows change nothing.
    """
    scores = [*scores] * (COALITIONS // len(scores))
    rows = [*probabilities] * (COALITIONS // len(probabilities)) if probabilities else [_probabilities(s) for s in scores]
    relevance = np.zeros(WORD_NODES + AUDIO_NODES + VIDEO_NODES, np.float32)
    attention = np.zeros_like(relevance)
    for offset, values in ((0, words), (WORD_NODES, audio), (WORD_NODES + AUDIO_NODES, video)):
        relevance[offset : offset + len(values)] = values
        attention[offset : offset + len(values)] = causal
    return Inference(
        scores=np.array(scores, np.float32),
        probabilities=np.array(rows, np.float32),
        causal=attention,
        relevance=relevance,
        to_review=to_review,
        arousal=arousal,
    )


def _mask(count: int, capacity: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return (np.arange(capacity) < count).astype(np.float32)


def _probabilities(score: float) -> tuple[float, float, float]:
    if score < -0.5:
        return 0.8, 0.15, 0.05
    return (0.05, 0.15, 0.8) if score > 0.5 else (0.2, 0.6, 0.2)
