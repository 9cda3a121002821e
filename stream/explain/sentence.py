"""Writes one plain English sentence: what drove a score, when, and what the score would be without the strongest modality."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from stream.domain.modality import MODALITIES, Modality
from stream.domain.result import SpanEvidence, WordEvidence
from stream.domain.warning_codes import WarningCode
from stream.explain.warnings import PLAIN

QUOTED_WORDS = 3
QUOTED_CHARACTERS = 24
"""Most words that the sentence quotes, and most characters of each: words come from outside and may be of any length."""

SMALL = 0.1
"""Score points. A modality that moves the score by less gets no clause."""

NOUNS: dict[Modality, str] = {Modality.TEXT: "words", Modality.AUDIO: "voice", Modality.VIDEO: "face"}
_ABSENT: dict[Modality, str] = {Modality.TEXT: "words", Modality.AUDIO: "sound", Modality.VIDEO: "a face"}
_KEPT_SIGNS = frozenset("'\u2019-%€£$")


@dataclass(frozen=True, slots=True)
class Findings:
    """The facts that the sentence is made of.

    Attributes:
        role: The track's role.
        start_ms: Start of the window.
        end_ms: End of the window.
        score: Score in [-3, 3].
        label: Label of the window.
        confidence: The label's probability.
        present: Modalities with content in the window; at least one.
        expected: Modalities that the track has announced or sent. One of them that is not present is missing.
        contributions: Score points of each present modality.
        without: By present modality, score and label without it.
        words: Strongest words, strongest first.
        audio_spans: Strongest spans of sound.
        video_frames: Strongest face frames.
        warnings: Codes of the window.
    """

    role: str
    start_ms: int
    end_ms: int
    score: float
    label: str
    confidence: float
    present: tuple[Modality, ...]
    expected: tuple[Modality, ...]
    contributions: Mapping[Modality, float]
    without: Mapping[Modality, tuple[float, str]]
    words: Sequence[WordEvidence]
    audio_spans: Sequence[SpanEvidence]
    video_frames: Sequence[SpanEvidence]
    warnings: Sequence[str]


def sentence(findings: Findings) -> str:
    """The explanation as one sentence, free of control characters and markup."""
    when = _when(findings.start_ms, findings.end_ms)
    who = _named(findings.role)
    who = who[0].upper() + who[1:]
    opening = f"{who} comes across as {findings.label} ({signed(findings.score)}, {findings.confidence:.0%} sure) {when}"
    parts = [f"{opening}, {_drivers(findings)}", *_otherwise(findings), *_cautions(findings)]
    return "; ".join(parts) + "."


def sentence_for_nothing(role: str, start_ms: int, end_ms: int) -> str:
    """The sentence for a window without a word, a voice or a face."""
    return f"Nothing was said by {_named(role)} {_when(start_ms, end_ms)}."


def clock(ms: int) -> str:
    """Media time as ``m:ss``, with tenths where they are not zero."""
    tenths = ms // 100
    minutes, rest = divmod(tenths, 600)
    whole = f"{minutes}:{rest // 10:02d}"
    return f"{whole}.{rest % 10}" if rest % 10 else whole


def signed(score: float) -> str:
    """A score with its sign and two decimals; a score that rounds to zero is ``+0.00``."""
    return f"{round(score, 2) + 0.0:+.2f}"


def quote(text: str) -> str:
    """A spoken word in quotation marks, cut to `QUOTED_CHARACTERS`; empty if nothing of it may be quoted.

    Only letters, digits and a few signs are kept. Words come from outside and must not put markup, control characters or
    bidirectional overrides into the output.
    """
    kept = "".join(c for c in unicodedata.normalize("NFC", text) if unicodedata.category(c)[0] in "LMN" or c in _KEPT_SIGNS)
    kept = kept.strip("-")
    if not any(c.isalnum() for c in kept):
        return ""
    if len(kept) > QUOTED_CHARACTERS:
        kept = kept[: QUOTED_CHARACTERS - 1] + "…"
    return f"“{kept}”"


def _when(start_ms: int, end_ms: int) -> str:
    return f"between {clock(start_ms)} and {clock(end_ms)}"


def _named(role: str) -> str:
    """``the customer``, but without an article what is a name: ``Anna``, ``speaker-2``."""
    text = role.replace("_", " ")
    return text if text[0].isupper() or any(c.isdigit() for c in text) else f"the {text}"


def _drivers(findings: Findings) -> str:
    moved = sorted(
        (m for m in findings.present if abs(findings.contributions[m]) >= SMALL),
        key=lambda m: (-abs(findings.contributions[m]), MODALITIES.index(m)),
    )
    if not moved:
        return "and nothing in particular moved the score"
    clauses = [_driver(findings, modality, "it" if index else "the score") for index, modality in enumerate(moved)]
    opposed = [findings.contributions[m] * findings.contributions[moved[0]] < 0 for m in moved]
    first_against = opposed.index(True) if True in opposed else None
    text = "mainly because " + clauses[0]
    for index, clause in enumerate(clauses[1:], start=1):
        text += f", {'while' if index == first_against else 'and'} {clause}"
    return text


def _driver(findings: Findings, modality: Modality, target: str) -> str:
    amount = findings.contributions[modality]
    verb = "raised" if amount > 0 else "lowered"
    return f"the {NOUNS[modality]}{_cited(findings, modality)} {verb} {target} by {abs(amount):.2f}"


def _cited(findings: Findings, modality: Modality) -> str:
    """The strongest evidence that moves the score in the same direction as its modality."""
    up = findings.contributions[modality] > 0
    if modality is Modality.TEXT:
        quoted = (quote(w.text) for w in findings.words if (w.relevance > 0) is up)
        words = list(dict.fromkeys(q for q in quoted if q))[:QUOTED_WORDS]
        return f" (above all {_joined(words)})" if words else ""
    spans = findings.audio_spans if modality is Modality.AUDIO else findings.video_frames
    strongest = next((s for s in spans if (s.relevance > 0) is up), None)
    if strongest is None:
        return ""
    if modality is Modality.VIDEO:
        return f" (above all at {clock(strongest.start_ms)})"
    return f" (above all from {clock(strongest.start_ms)} to {clock(strongest.end_ms)})"


def _otherwise(findings: Findings) -> list[str]:
    """Clause on the score without the modality that matters most; none if only one modality is present."""
    if len(findings.present) < 2:
        return []
    modality = max(findings.present, key=lambda m: (abs(findings.without[m][0] - findings.score), -MODALITIES.index(m)))
    score, label = findings.without[modality]
    if abs(score - findings.score) < SMALL:
        return ["no single modality decides it"]
    still = "still " if label == findings.label else ""
    return [f"without the {NOUNS[modality]} it would {still}be {label} ({signed(score)})"]


def _cautions(findings: Findings) -> list[str]:
    absent = [_ABSENT[m] for m in MODALITIES if m in findings.expected and m not in findings.present]
    verb = "was" if absent in (["sound"], ["a face"]) else "were"
    notes = [f"{_joined(absent)} {verb} missing"] if absent else []
    notes += [PLAIN[code] for code in WarningCode if code in findings.warnings and code in PLAIN]
    return [f"note that {_joined(notes)}"] if notes else []


def _joined(items: Iterable[str]) -> str:
    *most, last = items
    return f"{', '.join(most)} and {last}" if most else last
