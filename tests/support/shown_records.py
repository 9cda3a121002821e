"""Results of conversations with evidence of every kind, as the page shows them."""

from __future__ import annotations

from msgspec.structs import replace

from stream.domain.evidence import SpanEvidence, WordClaim, WordEvidence
from stream.domain.identity import SessionKey
from stream.domain.modality import Modality
from stream.domain.result import AttentionShare, Change, Changes, ExplanationRecord, FaceMap, ScoreRecord
from tests.fakes.results import make_explanation, make_score

STEP_MS = 2000
MINUS = "\u2212"
"""The sign of numbers on the page."""
WORDS = ("still", "waiting", "for", "the", "refund")


def window(
    session: SessionKey, number: int, score: float | None, *, track: str = "customer", before: float | None = None, doubtful: bool = False
) -> tuple[ScoreRecord, ExplanationRecord]:
    """The `number`-th window of a track, from 1 on: its words, voice and face, each with evidence.

    Args:
        session: Its session.
        number: Where it stands.
        score: Its score; None for a window in which nothing was said.
        track: Its track, which is the role, too.
        before: Score of the window before, if there was one.
        doubtful: Whether a person should check it.
    """
    end_ms = 2 * STEP_MS + number * STEP_MS
    record = make_score(end_ms, score, track=track, role=track, session=session, warnings=("to_review",) if doubtful else ())
    if score is None:
        empty = replace(make_explanation(record, f"Nothing was said by the {track}."), base_score=None, contributions={})
        return replace(record, warnings=("nothing_present",)), empty
    label = "negative" if score < -0.5 else "positive" if score > 0.5 else "neutral"
    probabilities = {name: 0.8 if name == label else 0.1 for name in ("negative", "neutral", "positive")}
    record = replace(record, label=label, confidence=0.8, probabilities=probabilities, arousal=0.4, media_end_at_ms=None)
    return record, _explained(record, score, label, before)


def _explained(record: ScoreRecord, score: float, label: str, before: float | None) -> ExplanationRecord:
    start_ms = record.start_ms
    words = tuple(
        WordEvidence(text, start_ms + 500 * index, start_ms + 500 * index + 400, score * 0.1 * (index - 1))
        for index, text in enumerate(WORDS)
    )
    claim = WordClaim("still waiting", start_ms, start_ms + 900, score * 0.5, "neutral")
    moved = None if before is None else score - before
    change = None if moved is None else Change(record.end_ms - STEP_MS, moved, {Modality.TEXT: moved}, 0.0)
    return replace(
        make_explanation(record, f"The {record.role} seems {label} ({score:+.1f}). Mainly the words: “still waiting”."),
        contributions={Modality.TEXT: score * 0.7, Modality.AUDIO: score * 0.2, Modality.VIDEO: score * 0.1},
        score_without={Modality.TEXT: score * 0.3, Modality.AUDIO: score * 0.8, Modality.VIDEO: score * 0.9},
        label_without={Modality.TEXT: "neutral", Modality.AUDIO: label, Modality.VIDEO: label},
        words=words,
        rest={Modality.TEXT: 0.05, Modality.AUDIO: 0.02},
        audio_spans=(SpanEvidence(start_ms + 800, start_ms + 1500, score * 0.15),),
        video_frames=(SpanEvidence(start_ms + 2000, start_ms + 2200, score * 0.1),),
        claims=(claim,),
        counterfactual=("still waiting",),
        change=Changes(since_previous=change),
        face_maps=(FaceMap(start_ms + 2000, tuple(round(score * 10 * (cell % 7 - 2)) for cell in range(36))),),
        attention_share=AttentionShare(0.7, 0.3),
    )


def windows(session: SessionKey, scores: list[float | None], track: str = "customer") -> list[tuple[ScoreRecord, ExplanationRecord]]:
    """A track's windows with these scores, one after the other."""
    before = [None, *scores]
    return [window(session, number, score, track=track, before=before[number - 1]) for number, score in enumerate(scores, start=1)]
