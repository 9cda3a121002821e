"""An alert: what a rule says of a window of a track, with its evidence and the draft of a statement of reasons."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from stream.domain.evidence import SpanEvidence, WordClaim
from stream.domain.modality import Modality


class AlertState(StrEnum):
    """What an alert says."""

    RAISED = "raised"
    """The condition of the rule has held for long enough."""
    CLEARED = "cleared"
    """The alert that the rule raised before no longer holds."""


class Severity(StrEnum):
    """How urgent an alert is; the members are in rising order."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class AlertMode(StrEnum):
    """Whether anybody is to act on an alert."""

    LIVE = "live"
    SHADOW = "shadow"
    """The rule is on trial: its alerts are recorded and counted, but nobody is called."""


class AlertEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What the window shows, copied from its score and its explanation: redacted, and without words where explanations have none.

    Attributes:
        sentence: The summary of the window.
        score: Its score; None if it has none. So are the next three.
        label: Its label.
        confidence: Calibrated probability of the label.
        arousal: How excited the voice sounds.
        contributions: Shapley value of each present modality, in score points.
        earlier_windows: Shapley value of the windows before.
        claims: Phrases whose effect was measured, strongest first.
        audio_spans: Strongest spans of sound.
        video_frames: Strongest face frames.
        modalities_present: Modalities with a word, a voice or a face in the window.
        modalities_missing: Modalities that were expected and did not come.
        modalities_withheld: Modalities that may not be used in the window, with the reason.
        warnings: Codes: reasons to read the window with care.
        values: The variables that the rule names, with their values in this window.
    """

    sentence: str
    score: float | None
    label: str | None
    confidence: float | None
    arousal: float | None
    contributions: dict[Modality, float]
    earlier_windows: float
    claims: tuple[WordClaim, ...]
    audio_spans: tuple[SpanEvidence, ...]
    video_frames: tuple[SpanEvidence, ...]
    modalities_present: tuple[Modality, ...]
    modalities_missing: tuple[Modality, ...]
    modalities_withheld: dict[Modality, str] = {}
    warnings: tuple[str, ...]
    values: dict[str, float | int | bool | str | list[str] | dict[str, float] | None] = {}


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a statement of reasons that the machine fills, with the field names of the DSA transparency database.

    A person who decides adds the decision itself, its ground and its scope, and may change everything that stands here.

    Attributes:
        puid: Unique id of the statement, of letters, digits, ``-`` and ``_``.
        content_type: Kinds of content that the rule judged, for example ``CONTENT_TYPE_AUDIO``.
        content_date: Day of the content (``YYYY-MM-DD``, UTC); None if its wall clock is not known.
        content_language: Language of the words (``EN``); None if nothing was said, or not in English.
        automated_detection: Always ``Yes``: a rule found it.
        automated_decision: Always ``AUTOMATED_DECISION_NOT_AUTOMATED``: an alert asks a person to decide.
        source_type: Always ``SOURCE_VOLUNTARY``: nobody reported the content.
        category: The category that the rule proposes, for example ``STATEMENT_CATEGORY_CYBER_VIOLENCE``; None if it proposes none.
        policy: The policy that the rule belongs to; None if it names none.
        decision_facts: Draft, at most 5,000 characters: evidence, modalities, risk, decision and suggested response.
        contest: How the person concerned can contest a decision that rests on this alert.
    """

    puid: str
    content_type: tuple[str, ...]
    content_date: str | None
    content_language: str | None
    automated_detection: str = "Yes"
    automated_decision: str = "AUTOMATED_DECISION_NOT_AUTOMATED"
    source_type: str = "SOURCE_VOLUNTARY"
    category: str | None = None
    policy: str | None = None
    decision_facts: str
    contest: str


class AlertRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="alert"):
    """A rule's alert about a track, raised or cleared with one of its final windows.

    Attributes:
        alert_id: ``tenant/session/track/EPOCH-END~RULE``: no other alert has it, and a replay gives it again.
        raised_id: `alert_id` of the alert that was raised; of a raised alert, its own. An alert and its end share it.
        state: Raised or cleared.
        rule: Name of the rule.
        rule_version: First 12 hexadecimal digits of the SHA-256 of the rule.
        severity: How urgent it is.
        mode: ``shadow`` while the rule is on trial.
        title: What happened, in a few words.
        text: The rule in words.
        value: What the rule measures, in this window; None if the rule names no value, or the window has none.
        threshold: The value at which the rule holds; None if the rule names none.
        clear_at: The value at which the alert ends; None if the rule names none.
        since_ms: Media time at which the condition began to hold: start of the first such window.
        at_ms: Wall clock (Unix ms) at which the window's last media was captured, if known.
        respond: What to do, as the rule suggests.
        evidence: What the window shows.
        statement: Draft of a statement of reasons; None in an alert that clears.
    """

    alert_id: str
    raised_id: str
    state: AlertState
    tenant: str
    session: str
    track: str
    role: str
    window_id: str
    epoch: int
    start_ms: int
    end_ms: int
    rule: str
    rule_version: str
    severity: Severity
    mode: AlertMode
    title: str
    text: str
    value: float | None
    threshold: float | None
    clear_at: float | None
    since_ms: int
    at_ms: int | None
    respond: str
    evidence: AlertEvidence
    statement: Statement | None
