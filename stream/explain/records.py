"""Build the published records of one window. Pure: the same window and inference always give the same bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stream.domain.inference import COALITIONS, LABELS, Inference, WindowInputs
from stream.domain.modality import MODALITIES, Modality
from stream.domain.result import ExplanationRecord, ModelVersion, PartialRecord, ScoreRecord
from stream.domain.window import Window
from stream.explain.evidence import gather
from stream.explain.rounding import apportion, rounded
from stream.explain.sentence import Findings, sentence
from stream.explain.shapley import coalition, restricted, shapley_values
from stream.explain.warnings import warning_codes

ALL = COALITIONS - 1


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the score and the explanation both need; numbers are rounded, and contributions add up after rounding."""

    present: tuple[Modality, ...]
    scores: tuple[float, ...]
    score: float
    base: float
    label: str
    confidence: float
    probabilities: dict[str, float]
    contributions: dict[Modality, float]
    warnings: tuple[str, ...]


def final_records(
    window: Window, inputs: WindowInputs, inference: Inference, model: ModelVersion, allowed_lateness_ms: int
) -> tuple[ScoreRecord, ExplanationRecord]:
    """The final score of a closed window, and why it got it. Raises ``ValueError`` for an open one."""
    if not window.is_final:
        raise ValueError("the window is still open")
    reading = _read(window, inputs, inference)
    return ScoreRecord(**_fields(window, reading, model, allowed_lateness_ms)), _explanation(window, inputs, inference, reading)


def partial_record(
    window: Window, inputs: WindowInputs, inference: Inference, model: ModelVersion, allowed_lateness_ms: int
) -> PartialRecord:
    """The score so far of an open window. Raises ``ValueError`` for a closed one."""
    if window.is_final:
        raise ValueError("the window is final")
    return PartialRecord(**_fields(window, _read(window, inputs, inference), model, allowed_lateness_ms))


def _explanation(window: Window, inputs: WindowInputs, inference: Inference, reading: _Reading) -> ExplanationRecord:
    """The causal and the shortcut share are 0 and 0 when the window holds nothing that could have moved the score."""
    evidence = gather(inputs, inference)
    causal = None if evidence.causal_share is None else rounded(evidence.causal_share)
    without = {m: ALL & ~m.bit for m in reading.present}
    findings = Findings(
        role=window.role,
        start_ms=window.start_ms,
        end_ms=window.end_ms,
        score=reading.score,
        label=reading.label,
        confidence=reading.confidence,
        present=reading.present,
        contributions=reading.contributions,
        without={m: (rounded(reading.scores[index]), _label(reading.present, inference, index)) for m, index in without.items()},
        words=evidence.words,
        audio_spans=evidence.audio_spans,
        video_frames=evidence.video_frames,
        warnings=reading.warnings,
    )
    return ExplanationRecord(
        **identity_fields(window),
        base_score=reading.base,
        contributions=reading.contributions,
        score_without={m: rounded(reading.scores[index]) for m, index in without.items()},
        causal_share=0.0 if causal is None else causal,
        shortcut_share=0.0 if causal is None else rounded(1.0 - causal),
        score_unadjusted=rounded(inference.score_unadjusted),
        words=evidence.words,
        audio_spans=evidence.audio_spans,
        video_frames=evidence.video_frames,
        sentence=sentence(findings),
    )


def shares(contributions: dict[Modality, float], present: tuple[Modality, ...]) -> dict[Modality, float]:
    """Each present modality's part of the score's movement, |phi_m| / sum |phi|, adding up to 1; equal parts where nothing moved."""
    if not present:
        return {}
    moved = [abs(contributions[m]) for m in present]
    total = sum(moved)
    parts = [size / total for size in moved] if total > 0 else [1.0 / len(present)] * len(present)
    return dict(zip(present, apportion(parts, 1.0), strict=True))


def _fields(window: Window, reading: _Reading, model: ModelVersion, allowed_lateness_ms: int) -> dict[str, Any]:
    return identity_fields(window) | {
        "is_final": window.is_final,
        "revision": window.revision,
        "score": reading.score,
        "label": reading.label,
        "confidence": reading.confidence,
        "probabilities": reading.probabilities,
        "modalities_present": reading.present,
        "shares": shares(reading.contributions, reading.present),
        "faces": window.faces_max,
        "warnings": reading.warnings,
        "media_end_at_ms": window.media_end_at_ms,
        "allowed_lateness_ms": allowed_lateness_ms,
        "model": model,
        "sync": window.clock_skews,
    }


def identity_fields(window: Window) -> dict[str, Any]:
    """Which window a record is about: the fields that every record of a window begins with."""
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


def _read(window: Window, inputs: WindowInputs, inference: Inference) -> _Reading:
    present = inputs.present
    scores = restricted(inference.scores, present)
    exact = shapley_values(scores)
    score, base = rounded(scores[ALL]), rounded(scores[0])
    contributions = dict.fromkeys(MODALITIES, 0.0) | dict(zip(present, apportion([exact[m] for m in present], score - base), strict=True))
    probabilities = dict(zip(LABELS, apportion(_probabilities(present, inference, ALL), 1.0), strict=True))
    label = _label(present, inference, ALL)
    return _Reading(
        present=present,
        scores=scores,
        score=score,
        base=base,
        label=label,
        confidence=probabilities[label],
        probabilities=probabilities,
        contributions=contributions,
        warnings=warning_codes(window, inputs, inference, contributions),
    )


def _probabilities(present: tuple[Modality, ...], inference: Inference, index: int) -> list[float]:
    found: list[float] = inference.probabilities[index & coalition(present)].tolist()
    return found


def _label(present: tuple[Modality, ...], inference: Inference, index: int) -> str:
    """Most probable label of a coalition, the first of equals."""
    probabilities = _probabilities(present, inference, index)
    return LABELS[probabilities.index(max(probabilities))]
