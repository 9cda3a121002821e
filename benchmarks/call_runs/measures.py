"""Turns of a call that a reader has labelled, and the measures of the product's answers to a call. Pure but for the reading of files."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stream.domain.inference import LABELS
from stream.domain.modality import Modality
from stream.domain.result import ExplanationRecord, ScoreRecord
from stream.domain.warning_codes import WarningCode

ROUTINE = frozenset(
    {"greeting", "name", "spelling", "number", "question", "detail", "information", "scheduling", "acknowledgement", "answer", "closing"}
)
"""Kinds of matter-of-fact turns."""

DOUBTS = (
    WarningCode.TO_REVIEW,
    WarningCode.MODALITIES_DISAGREE,
    WarningCode.SINGLE_MODALITY,
    WarningCode.EXPLAINERS_DISAGREE,
    WarningCode.OUTSIDE_TRAINING_DOMAIN,
)
"""Warnings whose share is measured."""

NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of one speaker, whose name is that of a track; `label` is one of `LABELS`."""

    speaker: str
    start_ms: int
    end_ms: int
    kind: str
    label: str


@dataclass(frozen=True, slots=True)
class ScoredWindow:
    """A final window with a score, the contribution of its words to the score in points, and the number of words of its summary."""

    score: ScoreRecord
    text_contribution: float
    summary_words: int


@dataclass(frozen=True, slots=True)
class TurnAnswer:
    """The product's answer to a turn: its windows' mean probabilities, their most probable label, the mean size of the words' share."""

    turn: Turn
    label: str
    text_contribution: float


def read_turns(table: Path) -> list[Turn]:
    """Read turns from a CSV file with the columns ``start_s``, ``end_s``, ``speaker``, ``kind`` and ``label``.

    Raises:
        ValueError: If a label or a time makes no sense.
    """
    with table.open(encoding="utf-8", newline="") as file:
        turns = [
            Turn(row["speaker"], round(float(row["start_s"]) * 1000), round(float(row["end_s"]) * 1000), row["kind"], row["label"])
            for row in csv.DictReader(file)
        ]
    for number, turn in enumerate(turns, start=2):
        if turn.label not in LABELS or turn.end_ms <= turn.start_ms:
            raise ValueError(f"{table}, line {number}: a turn ends after it starts, and its label is one of {', '.join(LABELS)}")
    return turns


def scored(scores: Iterable[ScoreRecord], explanations: Iterable[ExplanationRecord]) -> list[ScoredWindow]:
    """Join the records of the windows that have a score."""
    found = {explained.window_id: explained for explained in explanations}
    return [
        ScoredWindow(record, explained.contributions.get(Modality.TEXT, 0.0), len(explained.sentence.split()))
        for record in scores
        if record.score is not None and (explained := found[record.window_id])
    ]


def answer_to(turn: Turn, windows: Sequence[ScoredWindow]) -> TurnAnswer | None:
    """The mean over the windows of the turn's track, weighted by how much of the turn each covers; None where none does."""
    shared = [
        (min(window.score.end_ms, turn.end_ms) - max(window.score.start_ms, turn.start_ms), window)
        for window in windows
        if window.score.track == turn.speaker
    ]
    covering = [(ms, window) for ms, window in shared if ms > 0]
    if not covering:
        return None
    weights = [ms for ms, _ in covering]
    probabilities = np.average([[w.score.probabilities[label] for label in LABELS] for _, w in covering], axis=0, weights=weights)
    size = float(np.average([abs(window.text_contribution) for _, window in covering], weights=weights))
    return TurnAnswer(turn, LABELS[int(probabilities.argmax())], size)


def measures(windows: Sequence[ScoredWindow], turns: Sequence[Turn]) -> dict[str, float | int | None]:
    """Measures of a call.

    Returns:
        ``windows``, the number of windows with a score; the shares of these with each warning of `DOUBTS` and with each label;
        ``text_contribution``, the mean size of the words' contribution in points; ``summary_words`` and ``summary_words_p95``, the mean
        and the 95th percentile of the number of words in their summaries. Of the turns: ``routine_turns``, the
        number of `ROUTINE` turns with an answer; ``routine_neutral``, the share of these that are called neutral;
        ``routine_text_contribution``; ``other_turns`` and ``other_right``, the number of other turns and the share with the reader's
        label. A share or mean of nothing is None.
    """
    records = [window.score for window in windows]
    answers = [answer for turn in turns if (answer := answer_to(turn, windows))]
    routine = [answer for answer in answers if answer.turn.kind in ROUTINE]
    other = [answer for answer in answers if answer.turn.kind not in ROUTINE]
    return {
        "windows": len(records),
        **{code.value: _mean(code in r.warnings for r in records) for code in DOUBTS},
        **{label: _mean(record.label == label for record in records) for label in LABELS},
        "text_contribution": _mean(abs(window.text_contribution) for window in windows),
        "summary_words": _mean(window.summary_words for window in windows),
        "summary_words_p95": float(np.percentile([window.summary_words for window in windows], 95)) if windows else None,
        "routine_turns": len(routine),
        "routine_neutral": _mean(answer.label == NEUTRAL for answer in routine),
        "routine_text_contribution": _mean(answer.text_contribution for answer in routine),
        "other_turns": len(other),
        "other_right": _mean(answer.label == answer.turn.label for answer in other),
    }


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return float(np.mean(found)) if found else None
