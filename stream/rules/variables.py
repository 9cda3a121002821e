"""The variables that conditions of rules may name: one table, with what each is when the window does not have it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from stream.domain.modality import MODALITIES, Modality
from stream.domain.result import ExplanationRecord, ScoreRecord
from stream.rules.track_history import LEAST_EARLIER, RECENT_MS, TrackHistory

Value = Any
"""A value in CEL: a number, a text, a truth value, null, or a list or map of these."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A final window as rules see it.

    Attributes:
        score: Its score.
        explanation: Its explanation.
        history: The windows of its track so far, this one included.
    """

    score: ScoreRecord
    explanation: ExplanationRecord
    history: TrackHistory


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable.

    Attributes:
        name: Its name in conditions.
        kind: Its type.
        meaning: What it says.
        absent: When it is null, or what it is without the thing; empty if it always has a value.
        of: Its value in a window.
    """

    name: str
    kind: str
    meaning: str
    absent: str
    of: Callable[[Seen], Value]


def _rounded(value: float | None) -> float | None:
    # Sums of scores differ in the last bits from what a reader adds up, and a threshold must not hang on that.
    return None if value is None else round(value, 4) + 0.0


def _trend(history: TrackHistory) -> float | None:
    recent, earlier = history.recent_mean, history.earlier_mean
    return None if recent is None or earlier is None else recent - earlier


def _conflict(seen: Seen) -> float | None:
    if seen.score.score is None:
        return None
    parts = [seen.explanation.contributions.get(m, 0.0) for m in seen.score.modalities_present]
    return max(0.0, min(max(parts, default=0.0), -min(parts, default=0.0)))


def _of_present(values: dict[Modality, Any], score: ScoreRecord) -> dict[str, Any]:
    return {str(m): values[m] for m in score.modalities_present if m in values}


def _words(explanation: ExplanationRecord) -> list[str]:
    texts = [word.text for word in explanation.words] + [claim.text for claim in explanation.claims]
    return list(dict.fromkeys(word.strip(".,!?;:\"'").lower() for text in texts for word in text.split()))


def _phrases(explanation: ExplanationRecord, sign: int = 0) -> list[str]:
    return [claim.text.lower() for claim in explanation.claims if claim.text and (not sign or claim.effect * sign > 0)]


def _change(seen: Seen) -> float | None:
    change = seen.explanation.change.since_previous
    return None if change is None else change.score


def _change_since_start(seen: Seen) -> float | None:
    change = seen.explanation.change.since_start
    return None if change is None else change.score


def _conversation_silence_s(seen: Seen) -> float | None:
    history = seen.history
    if history.others_until_ms is None:
        return None
    # What others say during this window is not known yet, so the time of this window does not count.
    return max(0, seen.score.start_ms - max(history.spoke_until_ms, history.others_until_ms)) / 1000


def _names(modalities: Iterable[Modality]) -> list[str]:
    return [str(m) for m in modalities]


_NO_SCORE = "null without a score"
_RECENT = f"{RECENT_MS // 1000} s"

VARIABLES: tuple[Variable, ...] = (
    Variable("score", "double", "score of the window, -3 to 3", _NO_SCORE, lambda s: s.score.score),
    Variable("label", "string", "`negative`, `neutral` or `positive`", _NO_SCORE, lambda s: s.score.label),
    Variable("confidence", "double", "calibrated probability of the label, 0 to 1", _NO_SCORE, lambda s: s.score.confidence),
    Variable(
        "probabilities", "map", "calibrated probability of each label", "empty without a score", lambda s: dict(s.score.probabilities)
    ),
    Variable("arousal", "double", "how excited the voice sounds, 0 to 1", "null without a voice", lambda s: s.score.arousal),
    Variable(
        "recent",
        "double",
        f"mean score of the windows that ended in the last {_RECENT}, this one included: the short horizon",
        "null if none of them has a score",
        lambda s: _rounded(s.history.recent_mean),
    ),
    Variable(
        "earlier",
        "double",
        "mean score of the track's windows before those: the long horizon, the session so far",
        f"null for fewer than {LEAST_EARLIER} such windows with a score",
        lambda s: _rounded(s.history.earlier_mean),
    ),
    Variable("trend", "double", "`recent` minus `earlier`", "null if one of them is", lambda s: _rounded(_trend(s.history))),
    Variable(
        "mean", "double", "mean score of all windows of the track so far", "null if none has a score", lambda s: _rounded(s.history.mean)
    ),
    Variable("change", "double", "score minus that of the track's window before", "null if there is none", _change),
    Variable("change_since_start", "double", "score minus that of the track's first window", "null if there is none", _change_since_start),
    Variable(
        "contributions",
        "map",
        "score points of each present modality: `contributions.text`, `.audio`, `.video`",
        "a modality that is not present has no entry: ask `has(contributions.audio)`",
        lambda s: _of_present(s.explanation.contributions, s.score),
    ),
    Variable(
        "shares",
        "map",
        "share of each present modality in the movement of the score",
        "likewise",
        lambda s: _of_present(s.score.shares, s.score),
    ),
    Variable(
        "score_without",
        "map",
        "score of the window without a modality",
        "likewise",
        lambda s: _of_present(s.explanation.score_without, s.score),
    ),
    Variable(
        "earlier_windows",
        "double",
        "score points that earlier windows of the session contribute",
        _NO_SCORE,
        lambda s: None if s.score.score is None else s.explanation.earlier_windows,
    ),
    Variable(
        "conflict",
        "double",
        "how far modalities pull in opposite directions: the smaller of the strongest positive and the strongest negative contribution",
        _NO_SCORE,
        _conflict,
    ),
    Variable(
        "phrases",
        "list",
        "phrases whose effect was measured, redacted, in lower case, strongest first",
        "empty without words, and with `explanations.text: none`",
        lambda s: _phrases(s.explanation),
    ),
    Variable("negative_phrases", "list", "those that lower the score", "likewise", lambda s: _phrases(s.explanation, -1)),
    Variable("positive_phrases", "list", "those that raise it", "likewise", lambda s: _phrases(s.explanation, 1)),
    Variable(
        "claims",
        "list",
        "the same phrases as maps of `text`, `effect` (score points) and `label_without`",
        "likewise; without words shown, `text` is empty",
        lambda s: [{"text": c.text.lower(), "effect": c.effect, "label_without": c.label_without} for c in s.explanation.claims],
    ),
    Variable(
        "words",
        "list",
        "topic words: the single words of the phrases and of the strongest words, redacted, in lower case",
        "empty without words, and with `explanations.text: none`",
        lambda s: _words(s.explanation),
    ),
    Variable(
        "present", "list", "modalities with a word, a voice or a face in the window", "", lambda s: _names(s.score.modalities_present)
    ),
    Variable(
        "missing",
        "list",
        "modalities that were expected and did not come",
        "",
        lambda s: _names(m for m in MODALITIES if m in s.score.modalities_expected and m not in s.score.modalities_present),
    ),
    Variable(
        "withheld",
        "list",
        "modalities that are not used in the window, because of policy, consent, language or overload",
        "",
        lambda s: _names(s.score.withheld),
    ),
    Variable("warnings", "list", "[warning codes](records.md#warning-codes) of the window", "", lambda s: list(s.score.warnings)),
    Variable("faces", "int", "most faces seen at the same time", "", lambda s: s.score.faces),
    Variable(
        "silence_s",
        "double",
        "seconds from the end of the track's newest window with words or a voice to the end of this one; 0 if this one has some",
        "before the first: since the track's first window",
        lambda s: (s.score.end_ms - s.history.spoke_until_ms) / 1000,
    ),
    Variable(
        "conversation_silence_s",
        "double",
        "seconds, up to the start of this window, in which no track had words or a voice; 0 if this window has some",
        "null while no other track is known; of more than four tracks, some may not be seen",
        _conversation_silence_s,
    ),
    Variable(
        "talk_over",
        "double",
        "least share of time (0 to 1) in which this track and another one both spoke, in the newest window before this one that both have",
        "null without such a window, with windows by utterance, and where the voice of one of them is not used",
        lambda s: None if s.score.conversation is None else s.score.conversation.talk_over,
    ),
    Variable("windows", "int", "windows of the track so far, this one included", "", lambda s: s.history.windows),
    Variable("scored_windows", "int", "those with a score", "", lambda s: s.history.scored),
    Variable(
        "elapsed_s",
        "double",
        "media seconds from the start of the track's first window to the end of this one",
        "",
        lambda s: (s.score.end_ms - s.history.started_ms) / 1000,
    ),
    Variable(
        "streak",
        "int",
        "windows with a score in a row, up to now, that have the same label",
        "0 before the first",
        lambda s: s.history.streak,
    ),
    Variable(
        "label_before",
        "string",
        "label of the window with a score before",
        "null if there is none, or the window has no score",
        lambda s: s.history.label_before if s.score.score is not None else None,
    ),
    Variable("role", "string", "role of the track, for example `customer`", "", lambda s: s.score.role),
    Variable("track", "string", "name of the track", "", lambda s: s.score.track),
)
"""All variables, in the order of the documentation."""

BY_NAME = {variable.name: variable for variable in VARIABLES}


def values_of(seen: Seen, names: Sequence[str]) -> dict[str, Value]:
    """The values of some variables in a window."""
    return {name: BY_NAME[name].of(seen) for name in names}
