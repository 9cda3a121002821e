"""Result records with chosen times and scores."""

from __future__ import annotations

from stream.domain.clock_skew import ClockSkew, ClockSkews
from stream.domain.identity import SessionKey
from stream.domain.modality import Modality
from stream.domain.result import ExplanationRecord, ModelVersion, PartialRecord, ScoreRecord

SESSION = SessionKey("default", "call-1")
ALL = (Modality.TEXT, Modality.AUDIO, Modality.VIDEO)


def make_sync(offset_ms: float) -> ClockSkews:
    """A skew of the video's clock."""
    skew = ClockSkew(offset_ms=offset_ms, drift_ppm=-12.125, at_ms=4000, samples=4, misses=1, variance=(4.001, -0.3, 20.69))
    return {Modality.VIDEO: skew}


def make_score(
    end_ms: int,
    score: float | None = 0.0,
    *,
    epoch: int = 0,
    track: str = "customer",
    role: str = "customer",
    present: tuple[Modality, ...] = ALL,
    session: SessionKey = SESSION,
    warnings: tuple[str, ...] = (),
    sync: ClockSkews | None = None,
    arousal: float | None = None,
) -> ScoreRecord:
    """A final score of the 4 s window that ends at `end_ms`. Without a score nothing is present."""
    present = () if score is None else present
    return ScoreRecord(
        tenant=session.tenant,
        session=session.session,
        track=track,
        role=role,
        window_id=f"{session}/{track}/{epoch}-{end_ms}",
        epoch=epoch,
        start_ms=end_ms - 4000,
        end_ms=end_ms,
        is_final=True,
        revision=0,
        score=score,
        label=None if score is None else "neutral",
        confidence=None if score is None else 0.6,
        probabilities={} if score is None else {"negative": 0.2, "neutral": 0.6, "positive": 0.2},
        arousal=arousal,
        modalities_present=present,
        modalities_expected=ALL,
        shares={m: 1.0 / len(present) for m in present},
        faces=1,
        warnings=warnings,
        media_end_at_ms=None,
        allowed_lateness_ms=500,
        model=ModelVersion("mmci", "1", "0123456789ab"),
        sync=sync or {},
    )


def make_explanation(score: ScoreRecord, sentence: str = "Because.") -> ExplanationRecord:
    """An explanation of a score."""
    return ExplanationRecord(
        tenant=score.tenant,
        session=score.session,
        track=score.track,
        role=score.role,
        window_id=score.window_id,
        epoch=score.epoch,
        start_ms=score.start_ms,
        end_ms=score.end_ms,
        base_score=0.0,
        contributions={m: score.score if m is Modality.TEXT and score.score is not None else 0.0 for m in ALL},
        score_without=dict.fromkeys(score.modalities_present, 0.0),
        words=(),
        audio_spans=(),
        video_frames=(),
        sentence=sentence,
    )


def make_partial(end_ms: int, score: float = 0.0, *, revision: int = 0, epoch: int = 0, track: str = "customer") -> PartialRecord:
    """A partial result of an open window."""
    final = make_score(end_ms, score, epoch=epoch, track=track)
    fields = {name: getattr(final, name) for name in final.__struct_fields__}
    return PartialRecord(**(fields | {"is_final": False, "revision": revision}))
