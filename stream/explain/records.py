"""Builds the published records of a window. Pure: the same window and inference always give the same bytes, so a replay may repeat them.

A window without a word, a voice or a face has no sentiment. The model is not asked about it, and its records hold no number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import structs

from stream.domain.context import RedactedWord
from stream.domain.disclosure import Disclosure
from stream.domain.evidence import WordClaim
from stream.domain.features import Word
from stream.domain.inference import COALITIONS, CONTEXT_BIT, EVERYTHING, LABELS, Inference, WindowInputs
from stream.domain.modality import MODALITIES, Modality
from stream.domain.result import ExplanationRecord, ModelVersion, PartialRecord, ScoreRecord
from stream.domain.window import Window
from stream.explain.evidence import gather
from stream.explain.face_maps import face_maps
from stream.explain.redaction.words import disclosed, joined_text, personal
from stream.explain.rounding import apportion, rounded
from stream.explain.sentence import sentence
from stream.explain.shapley import coalition, restricted, shapley_values
from stream.explain.warnings import warning_codes, warnings_of_nothing, with_evidence
from stream.explain.word_effects import PhraseEffect


@dataclass(frozen=True, slots=True)
class Measured:
    """What further answers of the model say of a window.

    Attributes:
        claims: Phrases whose effect was measured, strongest first.
        counterfactual: The phrases that the label hangs on, as indices of words; None if none were found or looked for.
        sensitive: Names of nuisances that move the score by more than their thresholds, of those that were tried.
    """

    claims: tuple[PhraseEffect, ...] = ()
    counterfactual: tuple[range, ...] | None = None
    sensitive: tuple[str, ...] = ()


NOTHING_MEASURED = Measured()


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The numbers that the score and the explanation share. They are rounded, and the contributions still add up to the score."""

    inference: Inference
    present: tuple[Modality, ...]
    has_context: bool
    scores: tuple[float, ...]
    every: list[list[float]]
    """Probabilities of every coalition, of the players that the window has."""
    score: float
    base: float
    label: str
    confidence: float
    probabilities: dict[str, float]
    contributions: dict[Modality, float]
    earlier_windows: float
    warnings: tuple[str, ...]

    def label_without(self, bit: int) -> str:
        """The label without a player."""
        return _most_probable(self.every[EVERYTHING & ~bit])


def final_records(
    window: Window,
    inputs: WindowInputs,
    inference: Inference | None,
    model: ModelVersion,
    allowed_lateness_ms: int,
    *,
    measured: Measured = NOTHING_MEASURED,
    redacted: Sequence[RedactedWord] | None = None,
    disclosure: Disclosure = Disclosure.REDACTED,
) -> tuple[ScoreRecord, ExplanationRecord]:
    """Score and explanation of a closed window.

    Args:
        window: The window.
        inputs: Its input tensors.
        inference: The model's answer; None if nothing is present in the window.
        model: The model's version.
        allowed_lateness_ms: How long windows stay open for late chunks.
        measured: What further answers of the model say of the window.
        redacted: The window's words that are personal; by default they are looked for.
        disclosure: What is shown of the words.

    Raises:
        ValueError: The window is open, or something is present without an inference.
    """
    if not window.is_final:
        raise ValueError("the window is still open")
    numbers = _numbers(window, inputs, inference)
    score = ScoreRecord(**_fields(window, numbers, model, allowed_lateness_ms))
    # Of more words than fit, the inputs hold the last.
    words = window.words()
    hidden = personal(words) if redacted is None else redacted
    shown = disclosed(words, hidden, disclosure)[-len(inputs.word_nodes) :] if inputs.word_nodes else ()
    explanation = _explanation(window, inputs, numbers, measured, shown)
    score = structs.replace(score, warnings=with_evidence(score, explanation, measured.sensitive))
    return score, structs.replace(explanation, sentence=sentence(score, explanation))


def partial_record(
    window: Window, inputs: WindowInputs, inference: Inference | None, model: ModelVersion, allowed_lateness_ms: int
) -> PartialRecord:
    """Score so far of an open window; the arguments are those of `final_records`. Raises ``ValueError`` for a closed window."""
    if window.is_final:
        raise ValueError("the window is final")
    return PartialRecord(**_fields(window, _numbers(window, inputs, inference), model, allowed_lateness_ms))


def _explanation(
    window: Window, inputs: WindowInputs, numbers: _Numbers | None, measured: Measured, shown: Sequence[Word]
) -> ExplanationRecord:
    """The explanation, still without its sentence."""
    if numbers is None:
        nothing: dict[str, Any] = {"base_score": None, "contributions": {}, "score_without": {}}
        return ExplanationRecord(**identity_fields(window), **nothing, words=(), audio_spans=(), video_frames=(), sentence="")
    inference, present, has_context = numbers.inference, numbers.present, numbers.has_context
    evidence = gather(inputs, inference, shown)
    return ExplanationRecord(
        **identity_fields(window),
        base_score=numbers.base,
        contributions=numbers.contributions,
        earlier_windows=numbers.earlier_windows,
        score_without={m: rounded(numbers.scores[EVERYTHING & ~m.bit]) for m in present},
        label_without={m: numbers.label_without(m.bit) for m in present},
        score_without_earlier=rounded(numbers.scores[EVERYTHING & ~CONTEXT_BIT]) if has_context else None,
        label_without_earlier=numbers.label_without(CONTEXT_BIT) if has_context else None,
        words=evidence.words,
        audio_spans=evidence.audio_spans,
        video_frames=evidence.video_frames,
        rest=evidence.rest({m: numbers.contributions[m] for m in present}),
        claims=tuple(
            WordClaim(joined_text(shown, p), shown[p.start].start_ms, shown[p[-1]].end_ms, effect, label)
            for p, effect, label in measured.claims
        ),
        counterfactual=None if measured.counterfactual is None else tuple(joined_text(shown, p) for p in measured.counterfactual),
        face_maps=face_maps(inputs, inference, evidence.video_frames),
        attention_share=evidence.attention_share,
        sentence="",
    )


def shares(contributions: dict[Modality, float], present: tuple[Modality, ...]) -> dict[Modality, float]:
    """Share of each present modality in the score's movement, |phi_m| / sum |phi|; equal shares if nothing moved the score."""
    moved = [abs(contributions[m]) for m in present]
    total = sum(moved)
    parts = [size / total for size in moved] if total > 0 else [1.0 / len(present)] * len(present)
    return dict(zip(present, apportion(parts, 1.0), strict=True))


def _fields(window: Window, numbers: _Numbers | None, model: ModelVersion, allowed_lateness_ms: int) -> dict[str, Any]:
    return identity_fields(window) | {
        "is_final": window.is_final,
        "revision": window.revision,
        "score": None if numbers is None else numbers.score,
        "label": None if numbers is None else numbers.label,
        "confidence": None if numbers is None else numbers.confidence,
        "probabilities": {} if numbers is None else numbers.probabilities,
        "arousal": None if numbers is None or not window.has_voice() else rounded(numbers.inference.arousal),
        "modalities_present": () if numbers is None else numbers.present,
        "modalities_expected": window.modalities_expected,
        "withheld": {modality: str(reason) for modality, reason in window.withheld.items()},
        "shares": {} if numbers is None else shares(numbers.contributions, numbers.present),
        "faces": window.faces_max,
        "warnings": warnings_of_nothing(window) if numbers is None else numbers.warnings,
        "media_end_at_ms": window.media_end_at_ms,
        "allowed_lateness_ms": allowed_lateness_ms,
        "model": model,
        "sync": window.clock_skews,
    }


def identity_fields(window: Window) -> dict[str, Any]:
    """The fields that every record of a window begins with: they say which window it is."""
    return {
        "tenant": window.track.session.tenant,
        "session": window.track.session.session,
        "track": window.track.track,
        "role": window.role,
        "window_id": window.id,
        "epoch": window.epoch,
        "start_ms": window.start_ms,
        "end_ms": window.end_ms,
    }


def _numbers(window: Window, inputs: WindowInputs, inference: Inference | None) -> _Numbers | None:
    """The numbers of a window; None if nothing is present in it. Raises ``ValueError`` if something is, but there is no inference."""
    present = window.present()
    if not present:
        return None
    if inference is None:
        raise ValueError("the window has content, but no inference")
    has_context = bool(inputs.past_mask.any())
    scores = restricted(inference.scores, present, has_context=has_context)
    # An absent modality changes nothing: each coalition is read with the present modalities only, as in `restricted`.
    mask, given = coalition(present) | CONTEXT_BIT, inference.probabilities.tolist()
    every = [given[index & mask] for index in range(COALITIONS)]
    exact = shapley_values(scores)
    # Rounded one by one, the contributions could miss the published score by a unit of the last digit.
    score, base = rounded(scores[EVERYTHING]), rounded(scores[0])
    *parts, earlier_windows = apportion([*(exact.modalities[m] for m in present), exact.earlier_windows], score - base)
    probabilities = dict(zip(LABELS, apportion(every[EVERYTHING], 1.0), strict=True))
    label = _most_probable(every[EVERYTHING])
    contributions = dict(zip(present, parts, strict=True))
    return _Numbers(
        inference=inference,
        present=present,
        has_context=has_context,
        scores=scores,
        every=every,
        score=score,
        base=base,
        label=label,
        confidence=probabilities[label],
        probabilities=probabilities,
        contributions=dict.fromkeys(MODALITIES, 0.0) | contributions,
        earlier_windows=earlier_windows,
        warnings=warning_codes(window, inputs, inference, contributions, score - base),
    )


def _most_probable(probabilities: list[float]) -> str:
    """The most probable label; of equally probable labels the first."""
    return LABELS[probabilities.index(max(probabilities))]
