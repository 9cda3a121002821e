"""Decides what may be used of a chunk, of a window and of earlier windows. Pure: the same statements always give the same decisions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from msgspec.structs import replace

from stream.domain.chunk import ChunkHeader
from stream.domain.consent import ConsentStatement
from stream.domain.context import ContextFeatures
from stream.domain.modality import MODALITIES, Modality
from stream.domain.session_events import SessionConsent, SessionStart, TrackPlan
from stream.domain.warning_codes import WarningCode
from stream.domain.window import Window
from stream.domain.withheld import Reason
from stream.policy.consent import Consents
from stream.policy.language import language_of
from stream.policy.tenant import TenantPolicy


class Handling(Enum):
    """What becomes of a chunk."""

    USE = auto()
    """It is decoded and used."""
    PASS_OVER = auto()
    """Its modality may not be used: it is as if it had not been sent, and acknowledged at once."""
    EMPTY = auto()
    """Nothing that its track sends may be used: it is not decoded, but its media time belongs to windows, which say so."""
    LEAVE_OUT = auto()
    """The worker has fallen behind: it is not decoded. Its media time belongs to windows, which say so."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a chunk, and why if it is not used."""

    handling: Handling
    reason: Reason | None = None


USE = Decision(Handling.USE)
LEFT_OUT = Decision(Handling.LEAVE_OUT, Reason.OVERLOAD)


class EpochPolicy:
    """What may be used of the tracks of one epoch of a session.

    A modality is used in a window only if it may be used in the whole window: where a consent begins or ends inside, it is left out.

    Args:
        tenant: The tenant's policy.
        before: What was said about consent in earlier epochs, the oldest first.
    """

    def __init__(self, tenant: TenantPolicy, before: Iterable[Iterable[ConsentStatement]] = ()) -> None:
        self._tenant = tenant
        self._consents = Consents(before)
        self._plans: dict[str, TrackPlan] = {}
        self._has_start = False

    def statements_of(self, event: SessionStart | SessionConsent) -> list[ConsentStatement]:
        """What an event says about consent that is not known yet."""
        return self._consents.of_event(event)

    def add(self, statements: Iterable[ConsentStatement]) -> None:
        """Add what was said about consent."""
        self._consents.add(statements)

    def inherit_withdrawals(self, before: Iterable[Iterable[ConsentStatement]]) -> None:
        """As `stream.policy.consent.Consents.inherit_withdrawals`."""
        self._consents.inherit_withdrawals(before)

    def on_start(self, event: SessionStart) -> None:
        """The tracks of the session are known now."""
        self._has_start = True
        self._plans = {plan.track: plan for plan in event.tracks}

    def may_change(self, header: ChunkHeader, role: str) -> bool:
        """Whether the start record, which is not known yet, may say something that changes what becomes of a chunk."""
        used = self._tenant.used_of(role)
        if self._has_start or not used:
            return False
        return header.modality not in used or header.modality not in self._tenant.without_consent

    def decide(self, header: ChunkHeader, role: str) -> Decision:
        """What becomes of a chunk of a track with a role. If it is for want of consent, later consents do not reach back before it."""
        track = header.track.track
        reasons = self._reasons(track, role, header.start_ms, header.end_ms)
        reason = reasons.get(header.modality)
        if reason is None:
            return USE
        if reason is Reason.CONSENT:
            self._consents.note_refused(track, header.end_ms)
        is_anything_used = any(modality not in reasons for modality in self._sent(track))
        return Decision(Handling.PASS_OVER if is_anything_used else Handling.EMPTY, reason)

    def withheld_since(self, track: str, role: str) -> dict[Modality, int]:
        """Modalities of a track that are not used from a media time on, as far as is known now, while others are used."""
        used = self._tenant.used_of(role)
        since = {modality: 0 for modality in MODALITIES if modality not in used}
        refused_ms = self._consents.refused_since(track, required=self._tenant.consent_required)
        if refused_ms is not None:
            since = {modality: refused_ms for modality in MODALITIES if modality not in self._tenant.without_consent} | since
        return since if any(modality not in since for modality in self._sent(track)) else {}

    def applied(self, window: Window) -> Window:
        """The window without what may not be used of it."""
        reasons = self._reasons(window.track.track, window.role, window.start_ms, window.end_ms)
        warnings = window.warnings
        if Modality.TEXT not in reasons and self._is_foreign(window):
            reasons[Modality.TEXT] = Reason.LANGUAGE
            warnings = (*warnings, WarningCode.OUTSIDE_TRAINING_DOMAIN)
        if not reasons:
            return window
        if Modality.AUDIO in reasons or Modality.VIDEO in reasons:
            warnings = tuple(code for code in warnings if code != WarningCode.SYNC_SUSPECT)
        return replace(
            window,
            text=() if Modality.TEXT in reasons else window.text,
            audio=() if Modality.AUDIO in reasons else window.audio,
            video=() if Modality.VIDEO in reasons else window.video,
            warnings=warnings,
            modalities_expected=tuple(m for m in window.modalities_expected if m not in reasons),
            withheld={m: reason for m in MODALITIES if (reason := reasons.get(m) or window.withheld.get(m)) is not None},
        )

    def of_context(self, features: ContextFeatures, window: Window) -> ContextFeatures:
        """What a window may know of an earlier window, of whichever track: nothing that has lost its consent by now."""
        if not self._is_refused(features.track, window.start_ms, window.end_ms):
            return features
        kept = self._tenant.without_consent
        means = {modality: mean for modality, mean in features.means.items() if modality in kept}
        segments = features.segments if Modality.AUDIO in kept else 0
        return replace(features, means=means, segments=segments, sentence=features.sentence if Modality.TEXT in kept else None)

    def _sent(self, track: str) -> tuple[Modality, ...]:
        """The modalities that a track sends, as far as its plan tells."""
        plan = self._plans.get(track)
        return MODALITIES if plan is None else plan.modalities

    def _reasons(self, track: str, role: str, start_ms: int, end_ms: int) -> dict[Modality, Reason]:
        """The modalities that may not be used of a span, and why."""
        used = self._tenant.used_of(role)
        reasons = {modality: Reason.POLICY for modality in MODALITIES if modality not in used}
        if self._is_refused(track, start_ms, end_ms):
            reasons |= dict.fromkeys(used - self._tenant.without_consent, Reason.CONSENT)
        return reasons

    def _is_refused(self, track: str, start_ms: int, end_ms: int) -> bool:
        covered = self._consents.covers(track, start_ms, end_ms)
        return covered is False or (covered is None and self._tenant.consent_required)

    def _is_foreign(self, window: Window) -> bool:
        plan, languages = self._plans.get(window.track.track), self._tenant.languages
        if languages is None:
            return False
        if plan is not None and plan.language is not None:
            return not self._tenant.knows(plan.language)
        return bool(window.text) and language_of([word.text for word in window.words()], languages) is not None
