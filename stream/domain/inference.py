"""Input and output of the model for one window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from stream.domain.features import Floats, Halves, Word
from stream.domain.modality import Modality

MODALITY_SETS = 8
"""Subsets of {text, audio, video}; index = sum of the modalities' bits, 0 = none, 7 = all."""

CONTEXT_BIT = MODALITY_SETS
"""Bit of the fourth player, the earlier windows of the session (the context), in the index of a coalition."""

COALITIONS = 2 * MODALITY_SETS
"""Subsets of {text, audio, video, earlier windows}; index = sum of bits."""

EVERYTHING = COALITIONS - 1
"""Index of the coalition of all modalities and the earlier windows. Its score is the published one."""

LABELS: tuple[str, ...] = ("negative", "neutral", "positive")

SCORE_LIMIT = 3.0
"""Scores run from -3 (very negative) to 3 (very positive), as in CMU-MOSI."""


class NodeTensors(NamedTuple):
    """Names of the tensors with the nodes of one modality: fields of `WindowInputs`, and inputs of the ``mmci`` model."""

    values: str
    times: str
    mask: str
    past: str


NODE_TENSORS: Mapping[Modality, NodeTensors] = {
    Modality.TEXT: NodeTensors("words", "word_times", "word_mask", "past_words"),
    Modality.AUDIO: NodeTensors("audio", "audio_times", "audio_mask", "past_audio"),
    Modality.VIDEO: NodeTensors("video", "video_times", "video_mask", "past_video"),
}

INPUT_NAMES: tuple[str, ...] = (
    *(name for tensors in NODE_TENSORS.values() for name in (tensors.values, tensors.times, tensors.mask)),
    *(tensors.past for tensors in NODE_TENSORS.values()),
    *("past_mask", "past_same"),
)
"""Inputs of the ``mmci`` model, in order."""


class Extra(StrEnum):
    """Outputs of the ``mmci`` model that only some callers want. The name is that of the output and of the field of `Inference`."""

    FACE_SLOPE = "face_slope"
    WORD_EFFECTS = "word_effects"


@dataclass(frozen=True, slots=True)
class Coalitions:
    """What the ``mmci`` model makes of a window with each coalition of its players.

    Attributes:
        scores: (16,) score in [-3, 3] of every coalition.
        probabilities: (16, 3) calibrated probabilities of `LABELS` of every coalition.
    """

    scores: Floats
    probabilities: Floats


@dataclass(frozen=True, slots=True)
class Inference(Coalitions):
    """Output of the ``mmci`` model for one window with W word, A audio and V video nodes.

    Attributes:
        causal: (W + A + V,) causal node attention in [0, 1]; the shortcut part is 1 - causal; 0 where there is no node.
        relevance: (W + A + V,) signed contribution of each node to the score, in score points. The nodes of a modality add up to its
            Shapley value.
        to_review: True if the label is among the least certain fifth of windows with these modalities.
        arousal: How excited the voice sounds, in [0, 1]; 0.5 without an audible segment.
        face_slope: (V, `FACE_WIDTH`) derivative of the score with respect to the embedding of each face frame, averaged over the path on
            which the faces join the other evidence, as `relevance` is; None if not asked for.
        word_effects: (W,) estimated effect of each word's removal on the score, in score points; 0 where there is no word, and everywhere
            if the weights have no estimate. None if not asked for.
        version: The version of the model that answered.
    """

    causal: Floats
    relevance: Floats
    to_review: bool
    arousal: float
    face_slope: Floats | None = None
    word_effects: Floats | None = None
    version: str = ""


@dataclass(frozen=True, slots=True)
class WindowInputs:
    """Input tensors of the ``mmci`` model for one window, padded to a fixed number of nodes. They have the same names as in the ONNX file.

    Attributes:
        words: (W, 384) float32 word states.
        word_times: (W, 2) float32, start and end in seconds from the window's start.
        word_mask: (W,) float32, 1 where there is a word.
        audio: (A, `VOICE_WIDTH`) float32 segment embeddings; only audible segments are unmasked.
        audio_times: (A, 2) float32.
        audio_mask: (A,) float32.
        video: (V, `FACE_WIDTH`) float32 face embeddings.
        video_times: (V, 2) float32.
        video_mask: (V,) float32.
        past_words: (K, 384) float32, mean word states of the windows of the context, the newest first.
        past_audio: (K, `VOICE_WIDTH`) float32, mean segment embeddings of the same windows.
        past_video: (K, `FACE_WIDTH`) float32, mean face embeddings.
        past_mask: (K, 3) float32, 1 where a window of the context has text, audio, video.
        past_same: (K,) float32, 1 where a window of the context belongs to the window's own track.
        word_nodes: The word of each unmasked row of `words`, in order.
        audio_spans_ms: Media spans of the unmasked rows of `audio`, in order.
        video_spans_ms: Media spans of the unmasked rows of `video`, in order.
        words_dropped: Words that did not fit.
        video_cells: (n, *`FACE_CELLS`) what the regions of each face have in the unmasked rows of `video`; their mean is the row. It is no
            input of the model. None if it is not known of every face.
    """

    words: Floats
    word_times: Floats
    word_mask: Floats
    audio: Floats
    audio_times: Floats
    audio_mask: Floats
    video: Floats
    video_times: Floats
    video_mask: Floats
    past_words: Floats
    past_audio: Floats
    past_video: Floats
    past_mask: Floats
    past_same: Floats
    word_nodes: tuple[Word, ...]
    audio_spans_ms: tuple[tuple[int, int], ...]
    video_spans_ms: tuple[tuple[int, int], ...]
    words_dropped: int = 0
    video_cells: Halves | None = None
