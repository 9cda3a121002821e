"""Masks from reviewers' verdicts: which nodes of a stored window must not be used, and where the feeling shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from stream.domain.inference import WindowInputs
from stream.domain.modality import Modality
from stream.domain.verdict import Mask, Span, SuspectVerdict, Verdict
from stream.sinks.stored_window import StoredWindow
from stream.training.reasons import Judged, judged_windows

Spans = Sequence[tuple[int, int]]


class Verdicts(NamedTuple):
    """Windows with masks, and how many verdicts gave them.

    Attributes:
        judged: The windows; None if no verdict with a span is about a window of the store.
        used: Verdicts with a span that touches something in a window.
        unused: Verdicts with a span whose window is not there, or has nothing in that span.
    """

    judged: Judged | None
    used: int
    unused: int


def masks_of(verdicts: Iterable[Verdict | SuspectVerdict], stored: Callable[[str], StoredWindow | None]) -> Verdicts:
    """Put the spans of verdicts onto their windows. Of several spans of one window, all count; a negative one goes before a positive one.

    Args:
        verdicts: Those that were not taken back. What they say of the label counts for nothing here, only their spans do.
        stored: Reads a window from the store; None if it is not there, or of no use.
    """
    spans: dict[str, list[Span]] = defaultdict(list)
    for said in verdicts:
        if isinstance(said, Verdict) and said.span is not None:
            spans[said.window_id].append(said.span)
    inputs: list[WindowInputs] = []
    masks: dict[Mask, list[Mapping[Modality, np.ndarray]]] = {Mask.EVIDENCE: [], Mask.NOT_EVIDENCE: []}
    used = 0
    for window_id, own in spans.items():
        window = stored(window_id)
        touching = [] if window is None else [span for span in own if _nodes(window.inputs, span).any()]
        if window is None or not touching:
            continue
        used += len(touching)
        inputs.append(window.inputs)
        for kind, found in masks.items():
            found.append(_by_modality(window.inputs, [span for span in touching if span.mask is kind]))
    unused = sum(map(len, spans.values())) - used
    if not inputs:
        return Verdicts(None, 0, unused)
    negative = masks[Mask.NOT_EVIDENCE]
    positive = [_without(one, other) for one, other in zip(masks[Mask.EVIDENCE], negative, strict=True)]
    return Verdicts(judged_windows(inputs, negative, positive), used, unused)


def _by_modality(inputs: WindowInputs, spans: Iterable[Span]) -> dict[Modality, np.ndarray]:
    found: dict[Modality, np.ndarray] = {}
    for span in spans:
        nodes = _nodes(inputs, span)
        found[span.modality] = np.maximum(found.get(span.modality, nodes), nodes)
    return found


def _without(positive: Mapping[Modality, np.ndarray], negative: Mapping[Modality, np.ndarray]) -> dict[Modality, np.ndarray]:
    return {modality: own * (1.0 - negative[modality]) if modality in negative else own for modality, own in positive.items()}


def _nodes(inputs: WindowInputs, span: Span) -> np.ndarray:
    """1 for each node of the span's modality that it touches, 0 for the others; the nodes are those that are unmasked, in order."""
    words: Spans = [(word.start_ms, word.end_ms) for word in inputs.word_nodes]
    nodes: Spans = {Modality.TEXT: words, Modality.AUDIO: inputs.audio_spans_ms, Modality.VIDEO: inputs.video_spans_ms}[span.modality]
    return np.array([float(start < span.end_ms and end > span.start_ms) for start, end in nodes], np.float32)
