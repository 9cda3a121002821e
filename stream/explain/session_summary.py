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

    Windows in which nothing is present have no score. They are counted, but nothing else in the summary takes them into account.
    """
    windows = sorted((f for f in finals if f.epoch == epoch), key=lambda f: (f.start_ms, f.end_ms, f.track))
    aroused = [w.arousal for w in windows if w.arousal is not None]
    moments = [Moment(w.window_id, w.track, w.start_ms, w.end_ms, w.score) for w in windows if w.score is not None and w.modalities_present]
    return SessionRecord(
        tenant=session.tenant,
        session=session.session,
        epoch=epoch,
        windows=len(windows),
        mean=_mean(moments) if moments else None,
        mean_arousal=rounded(sum(aroused) / len(aroused)) if aroused else None,
        trend=_trend(moments),
        best=max(moments, key=lambda moment: moment.score, default=None),
        worst=min(moments, key=lambda moment: moment.score, default=None),
        role_shares=_role_shares(windows),
        windows_by_modality={m: sum(m in w.modalities_present for w in windows) for m in MODALITIES},
        windows_shed=sum(WarningCode.SHED in w.warnings for w in windows),
        windows_empty=len(windows) - len(moments),
    )


def _mean(moments: Sequence[Moment]) -> float:
    return rounded(sum(moment.score for moment in moments) / len(moments))


def _trend(moments: Sequence[Moment]) -> float | None:
    """Mean of the last third minus mean of the first third, in order of media time."""
    if len(moments) < TREND_WINDOWS:
        return None
    third = len(moments) // 3
    return rounded(_mean(moments[-third:]) - _mean(moments[:third]))


def _role_shares(windows: Sequence[ScoreRecord]) -> dict[str, float]:
    talking = [w.role for w in windows if Modality.TEXT in w.modalities_present or Modality.AUDIO in w.modalities_present]
    roles = sorted(set(talking))
    parts = apportion([talking.count(role) / len(talking) for role in roles], 1.0)
    return dict(zip(roles, parts, strict=True))
