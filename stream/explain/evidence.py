"""Which words, spans of sound and face frames moved the score, and how much of that the model calls causal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from stream.domain.features import Floats
from stream.domain.inference import Inference, WindowInputs
from stream.domain.result import SpanEvidence, WordEvidence
from stream.explain.rounding import rounded

Item = TypeVar("Item", WordEvidence, SpanEvidence)

TOP_WORDS = 5
TOP_SPANS = 3
TOP_FRAMES = 3


@dataclass(frozen=True, slots=True)
class Evidence:
    """The strongest evidence of one window, strongest first, and its causal share.

    Attributes:
        words: At most `TOP_WORDS` words.
        audio_spans: At most `TOP_SPANS` spans of sound.
        video_frames: At most `TOP_FRAMES` face frames.
        causal_share: See `causal_share`; None when the window holds no node at all.
    """

    words: tuple[WordEvidence, ...]
    audio_spans: tuple[SpanEvidence, ...]
    video_frames: tuple[SpanEvidence, ...]
    causal_share: float | None


def gather(inputs: WindowInputs, inference: Inference) -> Evidence:
    """Read the evidence out of the model's node relevances.

    Nodes are in the order of the tensors: W words, A segments, V frames, each with its real rows before its padding.
    """
    relevance = _per_modality(inputs, inference.relevance)
    words = (
        WordEvidence(word.text, word.start_ms, word.end_ms, rounded(value))
        for word, value in zip(inputs.word_nodes, relevance[0], strict=True)
    )
    sound = (SpanEvidence(*span, float(value)) for span, value in zip(inputs.audio_spans_ms, relevance[1], strict=True))
    frames = (SpanEvidence(*span, rounded(value)) for span, value in zip(inputs.video_spans_ms, relevance[2], strict=True))
    return Evidence(
        words=tuple(_strongest(words, TOP_WORDS)),
        audio_spans=tuple(_strongest(merge_spans(sound), TOP_SPANS)),
        video_frames=tuple(_strongest(frames, TOP_FRAMES)),
        causal_share=causal_share(np.concatenate(relevance), np.concatenate(_per_modality(inputs, inference.causal))),
    )


def merge_spans(spans: Iterable[SpanEvidence]) -> Iterator[SpanEvidence]:
    """Join spans that touch and whose relevance has the same sign; relevances add up, rounded at the end."""
    current: SpanEvidence | None = None
    for span in sorted(spans, key=lambda s: (s.start_ms, s.end_ms)):
        if current and span.start_ms <= current.end_ms and np.sign(span.relevance) == np.sign(current.relevance):
            current = SpanEvidence(current.start_ms, max(current.end_ms, span.end_ms), current.relevance + span.relevance)
            continue
        if current:
            yield SpanEvidence(current.start_ms, current.end_ms, rounded(current.relevance))
        current = span
    if current:
        yield SpanEvidence(current.start_ms, current.end_ms, rounded(current.relevance))


def causal_share(relevance: Floats, causal: Floats) -> float | None:
    """Part of the evidence that the model attends to as causal: sum |r_i| c_i / sum |r_i| over the window's nodes.

    Args:
        relevance: (n,) signed relevance r of every node that is there.
        causal: (n,) causal attention c of the same nodes, in [0, 1].

    Returns:
        A share in [0, 1]; the plain mean of c where no node moved the score; None without nodes.
    """
    if not len(relevance):
        return None
    weight = np.abs(relevance.astype(np.float64))
    total = float(weight.sum())
    attention = causal.astype(np.float64)
    share = float((weight * attention).sum()) / total if total > 0 else float(attention.mean())
    return min(1.0, max(0.0, share))


def _per_modality(inputs: WindowInputs, nodes: Floats) -> tuple[Floats, Floats, Floats]:
    """Split (W + A + V,) node values into those of the real words, segments and frames."""
    words, audio = len(inputs.word_mask), len(inputs.audio_mask)
    return (
        nodes[: len(inputs.word_nodes)],
        nodes[words : words + len(inputs.audio_spans_ms)],
        nodes[words + audio : words + audio + len(inputs.video_spans_ms)],
    )


def _strongest(items: Iterable[Item], count: int) -> list[Item]:
    moving = (item for item in items if item.relevance != 0)
    return sorted(moving, key=lambda item: (-abs(item.relevance), item.start_ms))[:count]
