"""Alerts as workers publish them."""

from __future__ import annotations

from stream.domain.alert import AlertEvidence, AlertMode, AlertRecord, AlertState, Severity, Statement
from stream.domain.evidence import SpanEvidence, WordClaim
from stream.domain.modality import Modality

CLEARED_AFTER_MS = 20_000


def make_alert(
    end_ms: int = 60_000,
    *,
    tenant: str = "default",
    session: str = "call-1",
    track: str = "customer",
    rule: str = "caller-upset",
    severity: Severity = Severity.HIGH,
    mode: AlertMode = AlertMode.LIVE,
    state: AlertState = AlertState.RAISED,
    at_ms: int | None = None,
) -> AlertRecord:
    """An alert that was raised with the window that ends at `end_ms`; a cleared one ends `CLEARED_AFTER_MS` later."""
    raised_id = f"{tenant}/{session}/{track}/0-{end_ms}~{rule}"
    if state is AlertState.CLEARED:
        end_ms += CLEARED_AFTER_MS
    window_id = f"{tenant}/{session}/{track}/0-{end_ms}"
    statement = Statement(
        puid=f"{session}-{track}-{end_ms}",
        content_type=("CONTENT_TYPE_AUDIO", "CONTENT_TYPE_TEXT"),
        content_date="2026-11-29",
        content_language="EN",
        category="STATEMENT_CATEGORY_CYBER_VIOLENCE",
        policy="Code of conduct, section 3",
        decision_facts="The score of the customer was -2.1 for 20 s. The rule holds below -1.5.",
        contest="Reply to the notice, or write to the team that is responsible.",
    )
    return AlertRecord(
        alert_id=f"{window_id}~{rule}",
        raised_id=raised_id,
        state=state,
        tenant=tenant,
        session=session,
        track=track,
        role="customer",
        window_id=window_id,
        epoch=0,
        start_ms=max(0, end_ms - 8_000),
        end_ms=end_ms,
        rule=rule,
        rule_version="0123456789ab",
        severity=severity,
        mode=mode,
        title="The customer is upset",
        text="The score of the customer stays below -1.5 for 10 s.",
        value=-2.1,
        threshold=-1.5,
        clear_at=-0.5,
        since_ms=max(0, end_ms - 20_000),
        at_ms=at_ms,
        respond="Offer a call back from a supervisor.",
        evidence=AlertEvidence(
            sentence="Negative (high confidence): the voice and the phrase “not acceptable” pull the score down.",
            score=-2.1,
            label="negative",
            confidence=0.91,
            arousal=0.7,
            contributions={Modality.TEXT: -1.2, Modality.AUDIO: -0.8},
            earlier_windows=-0.1,
            claims=(WordClaim("not acceptable", max(0, end_ms - 3_000), max(1, end_ms - 2_000), -0.9, "neutral"),),
            audio_spans=(SpanEvidence(max(0, end_ms - 5_000), max(1, end_ms - 4_000), -0.5),),
            video_frames=(),
            modalities_present=(Modality.TEXT, Modality.AUDIO),
            modalities_missing=(Modality.VIDEO,),
            warnings=(),
            values={"score": -2.1},
        ),
        statement=None if state is AlertState.CLEARED else statement,
    )
