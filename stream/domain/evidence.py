"""The parts of an explanation that point at something in the window: words, phrases, spans of sound and picture."""

from __future__ import annotations

import msgspec


class WordEvidence(msgspec.Struct, frozen=True):
    """A word and its signed relevance in score points: its part of the contribution of the words."""

    text: str
    start_ms: int
    end_ms: int
    relevance: float


class SpanEvidence(msgspec.Struct, frozen=True):
    """A span of sound or picture and its signed relevance in score points: its part of the contribution of its modality."""

    start_ms: int
    end_ms: int
    relevance: float


class WordClaim(msgspec.Struct, frozen=True):
    """A phrase whose effect was measured: without it, the remaining words were encoded again and the model was asked again.

    Attributes:
        text: The words, separated by spaces, redacted.
        start_ms: Start of the first word.
        end_ms: End of the last word.
        effect: Score of the window minus its score without the phrase.
        label_without: Label of the window without the phrase.
    """

    text: str
    start_ms: int
    end_ms: int
    effect: float
    label_without: str
