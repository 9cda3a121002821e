"""Sums up an epoch of a session from its final windows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stream.domain.identity import SessionKey
from stream.domain.modality import MODALITIES, Modality
from stream.domain.result import Moment, ScoreRecord, SessionRecord
from stream.domain.warning_codes import WarningCode
from stream.explain.rounding import apportion, rounded

TREND_WINDOWS = 3
"""Least windows for a trend: it compares the first third with the last."""


def summarise(session: SessionKey, epoch: int, finals: Iterable[ScoreRecord]) -> SessionRecord:
    """Sum up the final windows of one epoch; windows of other epochs are left out.

    Windows without any modality are counted, but their score says nothing about sentiment. So mean, trend, best and worst exclude them.
    """
    windows = sorted((f for f in finals if f.epoch == epoch), key=lambda f: (f.start_ms, f.end_ms, f.track))
    with_content = [w for w in windows if w.modalities_present]
    return SessionRecord(
        tenant=session.tenant,
        session=session.session,
        epoch=epoch,
        windows=len(windows),
        mean=_mean(with_content) if with_content else None,
        trend=_trend(with_content),
        best=_moment(max(with_content, key=lambda w: w.score)) if with_content else None,
        worst=_moment(min(with_content, key=lambda w: w.score)) if with_content else None,
        role_shares=_role_shares(windows),
        windows_by_modality={m: sum(m in w.modalities_present for w in windows) for m in MODALITIES},
        windows_shed=sum(WarningCode.SHED in w.warnings for w in windows),
    )


def _mean(windows: Sequence[ScoreRecord]) -> float:
    return rounded(sum(w.score for w in windows) / len(windows))


def _trend(windows: Sequence[ScoreRecord]) -> float | None:
    """Mean of the last third minus mean of the first third, in order of media time."""
    if len(windows) < TREND_WINDOWS:
        return None
    third = len(windows) // 3
    return rounded(_mean(windows[-third:]) - _mean(windows[:third]))


def _moment(window: ScoreRecord) -> Moment:
    return Moment(window.window_id, window.track, window.start_ms, window.end_ms, window.score)


def _role_shares(windows: Sequence[ScoreRecord]) -> dict[str, float]:
    talking = [w.role for w in windows if Modality.TEXT in w.modalities_present or Modality.AUDIO in w.modalities_present]
    roles = sorted(set(talking))
    parts = apportion([talking.count(role) / len(talking) for role in roles], 1.0)
    return dict(zip(roles, parts, strict=True))
