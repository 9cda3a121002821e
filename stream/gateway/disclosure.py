"""What of a record somebody may see. Bytes are shared by everybody who may see the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stream.domain.alert import AlertRecord
from stream.domain.permission import Permission
from stream.domain.result import ExplanationRecord
from stream.explain.text_view import alert_without_text, without_text
from stream.gateway.principal import Principal
from stream.gateway.views import WindowResult


@dataclass(frozen=True, slots=True)
class Disclosed:
    """What somebody may see of the sessions of their tenants.

    Attributes:
        words: What was said.
        alerts: Alerts.
    """

    words: bool
    alerts: bool

    @classmethod
    def to(cls, principal: Principal) -> Disclosed:
        """What a principal may see."""
        return cls(words=principal.may(Permission.WORDS), alerts=principal.may(Permission.ALERTS))

    def explanation(self, record: ExplanationRecord) -> ExplanationRecord:
        """The explanation as they may see it."""
        return record if self.words else without_text(record)

    def of_alerts(self, alerts: Iterable[AlertRecord]) -> tuple[AlertRecord, ...]:
        """The alerts as they may see them: none without the permission."""
        if not self.alerts:
            return ()
        return tuple(alerts) if self.words else tuple(map(alert_without_text, alerts))

    def window(self, result: WindowResult) -> WindowResult:
        """The window as they may see it."""
        if self.words or result.explanation is None:
            return result
        return WindowResult(score=result.score, explanation=without_text(result.explanation))
