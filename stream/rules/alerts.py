"""Makes an alert: the window's evidence and the draft of a statement of reasons. Pure; it says nothing that the records do not say."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from stream.domain.alert import AlertEvidence, AlertMode, AlertRecord, AlertState, Statement
from stream.domain.modality import MODALITIES, Modality
from stream.domain.result import ExplanationRecord, ScoreRecord
from stream.domain.warning_codes import WarningCode
from stream.rules.machine import RuleState
from stream.rules.rule import Rule
from stream.rules.variables import Seen, Value

LONGEST_FACTS = 5000
"""Most characters of ``decision_facts``."""

_NO_QUOTES = str.maketrans("", "", "“”")
"""Quotation marks are ours: by them, words are found and taken out again."""

_MODALITY_NAMES = {Modality.TEXT: "words", Modality.AUDIO: "voice", Modality.VIDEO: "face"}


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule found in a window.

    Attributes:
        rule: The rule.
        values: The variables that it names, in this window.
        value: What it measures; None where there is nothing to measure.
        state: The state in which it is, or until now was, raised.
    """

    rule: Rule
    values: dict[str, Value]
    value: float | None
    state: RuleState


def alert_of(did: AlertState, seen: Seen, found: Found, contest: str) -> AlertRecord:
    """The alert of a rule that was raised or cleared with a window.

    Args:
        did: What the window did.
        seen: The window.
        found: What the rule found in it.
        contest: How a decision that rests on the alert can be contested.
    """
    rule, score = found.rule, seen.score
    raised_id = f"{score.tenant}/{score.session}/{score.track}/{score.epoch}-{found.state.raised_ms}~{rule.name}"
    return AlertRecord(
        alert_id=f"{score.window_id}~{rule.name}",
        raised_id=raised_id,
        state=did,
        tenant=score.tenant,
        session=score.session,
        track=score.track,
        role=score.role,
        window_id=score.window_id,
        epoch=score.epoch,
        start_ms=score.start_ms,
        end_ms=score.end_ms,
        rule=rule.name,
        rule_version=rule.version,
        severity=rule.severity,
        mode=rule.mode,
        title=rule.title,
        text=rule.text,
        value=found.value,
        threshold=rule.threshold,
        clear_at=rule.clear_at,
        since_ms=_since_ms(seen, found),
        at_ms=score.media_end_at_ms,
        respond=rule.respond,
        evidence=_evidence(score, seen.explanation, found.values),
        statement=_statement(seen, found, raised_id, contest) if did is AlertState.RAISED else None,
    )


def _evidence(score: ScoreRecord, explanation: ExplanationRecord, values: dict[str, Value]) -> AlertEvidence:
    return AlertEvidence(
        sentence=explanation.sentence,
        score=score.score,
        label=score.label,
        confidence=score.confidence,
        arousal=score.arousal,
        contributions={m: explanation.contributions.get(m, 0.0) for m in score.modalities_present},
        earlier_windows=explanation.earlier_windows,
        claims=explanation.claims,
        audio_spans=explanation.audio_spans,
        video_frames=explanation.video_frames,
        modalities_present=score.modalities_present,
        modalities_missing=missing(score),
        modalities_withheld=score.withheld,
        warnings=score.warnings,
        # Claims are above already, with their times.
        values={name: value for name, value in values.items() if name != "claims"},
    )


def missing(score: ScoreRecord) -> tuple[Modality, ...]:
    """The modalities that were expected and did not come."""
    return tuple(m for m in MODALITIES if m in score.modalities_expected and m not in score.modalities_present)


def _since_ms(seen: Seen, found: Found) -> int:
    return seen.score.start_ms if found.state.since_ms is None else found.state.since_ms


def _statement(seen: Seen, found: Found, alert_id: str, contest: str) -> Statement:
    rule, score = found.rule, seen.score
    day = None if score.media_end_at_ms is None else datetime.fromtimestamp(score.media_end_at_ms / 1000, UTC).strftime("%Y-%m-%d")
    english = Modality.TEXT in score.modalities_present and WarningCode.OUTSIDE_TRAINING_DOMAIN not in score.warnings
    return Statement(
        puid="sentistream-" + hashlib.sha256(alert_id.encode("ascii")).hexdigest()[:40],
        content_type=tuple(f"CONTENT_TYPE_{str(m).upper()}" for m in score.modalities_present) or ("CONTENT_TYPE_OTHER",),
        content_date=day,
        content_language="EN" if english else None,
        category=rule.category,
        policy=rule.policy,
        decision_facts=_facts(seen, found),
        contest=contest,
    )


def _facts(seen: Seen, found: Found) -> str:
    """The draft of the facts, a line for each part. Quotations are in “ ”, so that they can be taken out for readers without words."""
    rule, score, explanation = found.rule, seen.score, seen.explanation
    lines = [
        f"Evidence: {_when(score)} {explanation.sentence}{_phrases(explanation)}",
        f"Modalities: {_modalities(score, explanation)}",
        f"Risk: {rule.severity}. {rule.text}",
        f"Decision: {_decision(seen, found)}",
    ]
    if rule.policy:
        lines.append(f"Policy: {rule.policy}")
    if rule.respond:
        lines.append(f"Suggested response: {rule.respond}")
    text = "\n".join(lines)
    return text if len(text) <= LONGEST_FACTS else text[: LONGEST_FACTS - 1] + "…"


def _when(score: ScoreRecord) -> str:
    said = f"Track {score.track} ({score.role}), {clock(score.start_ms)} to {clock(score.end_ms)} of the session"
    if score.score is None or score.label is None or score.confidence is None:
        return f"{said}: no score."
    return f"{said}: score {score.score:+.1f}, {score.label} with a probability of {score.confidence:.0%}."


def _phrases(explanation: ExplanationRecord) -> str:
    texts = [(claim.text.translate(_NO_QUOTES), claim.effect) for claim in explanation.claims if claim.text]
    quoted = [f"“{text}” by {effect:+.1f}" for text, effect in texts]
    return f" As measured, the score was moved by the words {', '.join(quoted)} points." if quoted else ""


def _modalities(score: ScoreRecord, explanation: ExplanationRecord) -> str:
    parts = [f"{_MODALITY_NAMES[m]} {explanation.contributions.get(m, 0.0):+.1f} points" for m in score.modalities_present]
    said = f"judged by {', '.join(parts)}." if parts else "nothing was present."
    gone = missing(score)
    if gone:
        said += f" Expected, but not there: {', '.join(_MODALITY_NAMES[m] for m in gone)}."
    if score.withheld:
        said += f" Withheld: {', '.join(f'{_MODALITY_NAMES[m]} ({reason})' for m, reason in score.withheld.items())}."
    if score.warnings:
        said += f" Warnings: {', '.join(score.warnings)}."
    return said


def _decision(seen: Seen, found: Found) -> str:
    rule, model = found.rule, seen.score.model
    said = f"the rule {rule.name} (version {rule.version}) raised this alert automatically"
    if found.value is not None:
        said += f" with the value {found.value:g}"
    if rule.threshold is not None:
        said += f" against the threshold {rule.threshold:g}"
    said += f"; its condition holds since {clock(_since_ms(seen, found))}."
    said += f" The scores come from the model {model.name}, version {model.version} ({model.digest})."
    if rule.mode is AlertMode.SHADOW:
        said += " The rule is on trial (shadow)."
    return said + " No decision has been taken: a person decides."


def clock(ms: int) -> str:
    """Media time as ``m:ss``."""
    return f"{ms // 60_000}:{ms // 1000 % 60:02d}"
