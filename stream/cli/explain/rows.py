"""The nodes of a window as the rows of a table: words, pieces of voice, and spans in which the face was seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stream.domain.features import Floats
from stream.domain.inference import WindowInputs
from stream.domain.modality import Modality

LONGEST_MS = {Modality.AUDIO: 500, Modality.VIDEO: 1000}
"""Longest row of voice and of faces: single nodes of 100 or 200 ms would make a table of fifty rows."""

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        modality: What kind of nodes it has.
        text: The word; empty for voice and faces.
        start_ms: Start of its first node, in media time.
        end_ms: End of its last node.
        nodes: Positions of its nodes in the order of the tensors: words, segments, frames.
    """

    modality: Modality
    text: str
    start_ms: int
    end_ms: int
    nodes: tuple[int, ...]

    def value(self, relevance: Floats) -> float:
        """Sum of the (N,) relevance of its nodes."""
        return float(relevance[list(self.nodes)].sum())

    def share(self, relevance: Floats) -> float:
        """`value` as a share of all that is listed, sum |r|, with its sign; 0 if nothing is."""
        total = float(abs(relevance).sum())
        return self.value(relevance) / total if total > 0 else 0.0


def rows_of(inputs: WindowInputs) -> tuple[Row, ...]:
    """All rows, in order of modality and time; together they have each node once."""
    words, audio = len(inputs.word_mask), len(inputs.audio_mask)
    spoken = [Row(Modality.TEXT, word.text, word.start_ms, word.end_ms, (node,)) for node, word in enumerate(inputs.word_nodes)]
    heard = _pieces(Modality.AUDIO, inputs.audio_spans_ms, words)
    seen = _pieces(Modality.VIDEO, inputs.video_spans_ms, words + audio)
    return (*spoken, *heard, *seen)


def _pieces(modality: Modality, spans: tuple[Span, ...], first: int) -> Iterator[Row]:
    """Join spans that touch, up to the longest row."""
    nodes: list[int] = []
    start_ms = end_ms = 0
    for node, (start, end) in enumerate(spans, start=first):
        if nodes and (start > end_ms or end - start_ms > LONGEST_MS[modality]):
            yield Row(modality, "", start_ms, end_ms, tuple(nodes))
            nodes = []
        if not nodes:
            start_ms = start
        nodes.append(node)
        end_ms = end
    if nodes:
        yield Row(modality, "", start_ms, end_ms, tuple(nodes))
