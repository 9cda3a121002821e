"""Finds the words, spans of sound and face frames that moved the score most, and where the attention puts the evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TypeVar

import numpy as np

from stream.domain.evidence import SpanEvidence, WordEvidence
from stream.domain.features import Floats, Word
from stream.domain.inference import Inference, WindowInputs
from stream.domain.modality import Modality
from stream.domain.result import AttentionShare
from stream.explain.rounding import rounded

Item = TypeVar("Item")
Span = tuple[int, int]

TOP_WORDS = 5
TOP_SPANS = 3
TOP_FRAMES = 3


@dataclass(frozen=True, slots=True)
class Evidence:
    """The strongest evidence of a window, strongest first, and where the attention puts it.

    Attributes:
        words: At most `TOP_WORDS` words.
        audio_spans: At most `TOP_SPANS` spans of sound.
        video_frames: At most `TOP_FRAMES` face frames.
        attention_share: See the function `attention_share`; None if the window has no node.
    """

    words: tuple[WordEvidence, ...]
    audio_spans: tuple[SpanEvidence, ...]
    video_frames: tuple[SpanEvidence, ...]
    attention_share: AttentionShare | None

    def rest(self, contributions: Mapping[Modality, float]) -> dict[Modality, float]:
        """What of the contributions of these modalities is not listed: with the list it adds up to them, digit by digit."""
        listed: dict[Modality, Iterable[WordEvidence | SpanEvidence]] = {
            Modality.TEXT: self.words,
            Modality.AUDIO: self.audio_spans,
            Modality.VIDEO: self.video_frames,
        }
        return {m: rounded(points - sum(item.relevance for item in listed[m])) for m, points in contributions.items()}


def gather(inputs: WindowInputs, inference: Inference, shown: Sequence[Word]) -> Evidence:
    """Collect the evidence from the relevance that the model gives each node.

    Args:
        inputs: The window.
        inference: The model's answer.
        shown: The words of `inputs` as they may be shown.

    Nodes are in the order of the tensors: W words, A segments, V frames; within each modality the real rows come before the padding.
    """
    relevance = _per_modality(inputs, inference.relevance)
    word_relevance, audio_relevance, video_relevance = (values.tolist() for values in relevance)
    words = strongest(zip(shown, word_relevance, strict=True), TOP_WORDS, lambda word: word.start_ms)
    spans = strongest(merge_spans(zip(inputs.audio_spans_ms, audio_relevance, strict=True)), TOP_SPANS, lambda span: span[0])
    frames = strongest(zip(inputs.video_spans_ms, video_relevance, strict=True), TOP_FRAMES, lambda span: span[0])
    return Evidence(
        words=tuple(WordEvidence(word.text, word.start_ms, word.end_ms, value) for word, value in words),
        audio_spans=tuple(SpanEvidence(*span, value) for span, value in spans),
        video_frames=tuple(SpanEvidence(*span, value) for span, value in frames),
        attention_share=attention_share(np.concatenate(relevance), np.concatenate(_per_modality(inputs, inference.causal))),
    )


def strongest(items: Iterable[tuple[Item, float]], count: int, start_ms: Callable[[Item], int]) -> list[tuple[Item, float]]:
    """The items with the largest relevance of either sign, at most ``count``, with their rounded relevance.

    Of items with equal relevance the earlier comes first. Items whose relevance rounds to zero are left out.
    """
    ranked = [(-abs(value), start_ms(item), item, value) for item, exact in items if (value := rounded(exact))]
    return [(item, value) for _, _, item, value in sorted(ranked, key=itemgetter(0, 1))[:count]]


def merge_spans(spans: Iterable[tuple[Span, float]]) -> Iterator[tuple[Span, float]]:
    """Join spans that touch and whose relevances have the same sign; their relevances add up."""
    current: Span | None = None
    total = 0.0
    for span, relevance in sorted(spans):
        if current and span[0] <= current[1] and (relevance > 0) is (total > 0) and (relevance < 0) is (total < 0):
            current, total = (current[0], max(current[1], span[1])), total + relevance
            continue
        if current:
            yield current, total
        current, total = span, relevance
    if current:
        yield current, total


def attention_share(relevance: Floats, causal: Floats) -> AttentionShare | None:
    """Where the causal and the shortcut attention put the evidence: sum |r_i| c_i / sum |r_i| over the window's nodes, and the rest.

    Args:
        relevance: (n,) signed relevance r of every node of the window.
        causal: (n,) causal attention c of the same nodes, in [0, 1].

    Returns:
        Two shares that add up to 1. The causal one is the mean of c if no node moved the score; None without nodes.
    """
    if not len(relevance):
        return None
    weight = np.abs(relevance.astype(np.float64))
    total = float(weight.sum())
    attention = causal.astype(np.float64)
    share = float((weight * attention).sum()) / total if total > 0 else float(attention.mean())
    share = rounded(min(1.0, max(0.0, share)))
    return AttentionShare(causal=share, shortcut=rounded(1.0 - share))


def _per_modality(inputs: WindowInputs, nodes: Floats) -> tuple[Floats, Floats, Floats]:
    """Split (W + A + V,) node values into the values of the real words, segments and frames."""
    words, audio = len(inputs.word_mask), len(inputs.audio_mask)
    return (
        nodes[: len(inputs.word_nodes)],
        nodes[words : words + len(inputs.audio_spans_ms)],
        nodes[words + audio : words + audio + len(inputs.video_spans_ms)],
    )
