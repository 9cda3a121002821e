"""Compares a final window with the windows of its track before it. Pure: the publisher keeps what is compared."""

from __future__ import annotations

from msgspec.structs import replace

from stream.domain.modality import MODALITIES
from stream.domain.result import Change, Changes, ExplanationRecord, ScoreRecord
from stream.domain.track_scores import ScoredWindow, TrackScores
from stream.explain.rounding import apportion, rounded
from stream.explain.sentence import sentence


def compared(score: ScoreRecord, explanation: ExplanationRecord, before: TrackScores | None) -> ExplanationRecord:
    """The explanation of a window with its change, which the sentence may mention.

    Args:
        score: The window's score.
        explanation: Its explanation.
        before: What the windows of the track before it leave behind (`scores_after`); None if none of them has a score.
    """
    window = _scored_window(score, explanation)
    if window is None or before is None or before.epoch != score.epoch:
        return explanation
    changed = replace(explanation, change=Changes(_change(before.newest, window), _change(before.first, window)))
    return replace(changed, sentence=sentence(score, changed))


def scores_after(score: ScoreRecord, explanation: ExplanationRecord) -> TrackScores | None:
    """What later windows of the track are compared with, according to the records of this window alone; None if it has no score.

    The first window of the epoch follows from the change since then. So whoever has the newest records of a track can continue.
    """
    window = _scored_window(score, explanation)
    if window is None:
        return None
    change = explanation.change.since_start
    return TrackScores(score.epoch, window if change is None else _undone(window, change), window)


def _scored_window(score: ScoreRecord, explanation: ExplanationRecord) -> ScoredWindow | None:
    if score.score is None:
        return None
    return ScoredWindow(score.end_ms, score.score, explanation.contributions, explanation.earlier_windows)


def _change(earlier: ScoredWindow, window: ScoredWindow) -> Change:
    # Contributions add up to the score minus the base score, which is the same in all windows but for an error of the last digit.
    total = rounded(window.score - earlier.score)
    parts = [window.contributions.get(m, 0.0) - earlier.contributions.get(m, 0.0) for m in MODALITIES]
    *contributions, past = apportion([*parts, window.earlier_windows - earlier.earlier_windows], total)
    return Change(earlier.end_ms, total, dict(zip(MODALITIES, contributions, strict=True)), past)


def _undone(window: ScoredWindow, change: Change) -> ScoredWindow:
    contributions = {m: rounded(window.contributions.get(m, 0.0) - moved) for m, moved in change.contributions.items()}
    past = rounded(window.earlier_windows - change.earlier_windows)
    return ScoredWindow(change.from_ms, rounded(window.score - change.score), contributions, past)
