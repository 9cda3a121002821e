"""Tries the conditions of a rule on typical windows, so that a mistake shows when the file is read and not in the middle of a call."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from stream.domain.conversation import Conversation
from stream.domain.evidence import WordClaim, WordEvidence
from stream.domain.modality import MODALITIES, Modality
from stream.domain.result import Change, Changes, ExplanationRecord, ModelVersion, ScoreRecord
from stream.domain.warning_codes import WarningCode
from stream.rules.condition import UNDECIDED, Condition, context_of
from stream.rules.rule import Rule
from stream.rules.track_history import TrackHistory
from stream.rules.variables import BY_NAME, Seen, Value, values_of

HOP_MS = 2000
LENGTH_MS = 4000

TEXT, AUDIO, VIDEO = MODALITIES


def mistakes_in(rule: Rule) -> Iterator[tuple[str, str]]:
    """The key and a sentence for each mistake that typical windows show."""
    conditions = {"value": rule.value, "when": rule.when, "clear": rule.clear}
    for key, condition in conditions.items():
        if condition is not None and (text := _mistake(rule, key, condition)):
            yield key, text
    for key, used in {"threshold": (rule.when, rule.clear), "clear_at": (rule.when, rule.clear)}.items():
        if getattr(rule, key) is not None and not any(c is not None and key in c.variables for c in used):
            yield key, "is not used by its conditions: name it in `when` or `clear`, or remove it"
    if rule.threshold is not None and rule.value is None:
        yield "threshold", "has no `value` beside it, so nobody could say how far the window is from it"
    if rule.threshold is not None and rule.threshold == rule.clear_at:
        yield "clear_at", "equals `threshold`: with one number for both, an alert flaps; choose a value that is clearly better"


def _mistake(rule: Rule, key: str, condition: Condition) -> str | None:
    for what, seen in typical_windows():
        values = values_of(seen, [name for name in condition.variables if name in BY_NAME])
        absent = [name for name, value in values.items() if value is None]
        own: dict[str, Value] = {"threshold": rule.threshold, "clear_at": rule.clear_at}
        if rule.value is not None and key != "value":
            named = [name for name in rule.value.variables if name in BY_NAME]
            own["value"] = rule.value.number(values_of(seen, named))
        own = {name: value for name, value in own.items() if name in condition.variables}
        absent += [name for name, value in own.items() if value is None]
        try:
            answer = condition.of(context_of(values | own))
        except KeyError as error:
            if key == "value":
                continue  # The window has nothing to measure.
            return f"asks for {error}, which {what} does not have: ask for it with has() first, as in `has(contributions.audio) && …`"
        except UNDECIDED as error:
            if not absent:
                return f"cannot be evaluated in {what}: {_short(str(error))}"
            continue
        wanted = "a number" if key == "value" else "true or false"
        right = isinstance(answer, int | float) and not isinstance(answer, bool) if key == "value" else isinstance(answer, bool)
        if not right and not (answer is None and absent):
            return f"must give {wanted}, and gives {type(answer).__name__} in {what}"
    return None


def _short(message: str) -> str:
    sentence = message.partition(". ")[0]
    return sentence if len(sentence) <= 160 else sentence[:159] + "…"


@cache
def typical_windows() -> tuple[tuple[str, Seen], ...]:
    """Windows with everything, and windows that lack something, each with its description."""
    everything = _later(-1.9, MODALITIES)
    return (
        ("a window with everything", everything),
        ("a positive window", _later(1.4, MODALITIES)),
        ("a window with words alone", _later(-0.4, (TEXT,))),
        ("a window with a voice alone", _later(0.3, (AUDIO,))),
        ("a window with a face alone", _later(0.2, (VIDEO,))),
        ("a window with a score of zero", _later(0.0, (TEXT, AUDIO))),
        ("the first window of a track", _seen(-1.0, (TEXT, AUDIO), TrackHistory(), LENGTH_MS)),
        ("a window in which nothing is present", _later(None, ())),
        ("a first window in which nothing is present", _seen(None, (), TrackHistory(), LENGTH_MS)),
    )


def _later(score: float | None, present: tuple[Modality, ...]) -> Seen:
    """A window after twenty others."""
    history = TrackHistory()
    for number in range(20):
        history = history.after(_score(0.1 * (number % 5), (TEXT, AUDIO), LENGTH_MS + number * HOP_MS))
    return _seen(score, present, history, LENGTH_MS + 20 * HOP_MS)


def _seen(score: float | None, present: tuple[Modality, ...], before: TrackHistory, end_ms: int) -> Seen:
    record = _score(score, present, end_ms)
    return Seen(record, _explanation(record, first=not before.windows), before.after(record))


def _score(score: float | None, present: tuple[Modality, ...], end_ms: int) -> ScoreRecord:
    label = None if score is None else "negative" if score < -0.6 else "positive" if score > 0.6 else "neutral"
    return ScoreRecord(
        tenant="default",
        session="rehearsal",
        track="customer",
        role="customer",
        window_id=f"default/rehearsal/customer/0-{end_ms}",
        epoch=0,
        start_ms=end_ms - LENGTH_MS,
        end_ms=end_ms,
        is_final=True,
        revision=0,
        score=score,
        label=label,
        confidence=None if score is None else 0.8,
        probabilities={} if score is None else {"negative": 0.8, "neutral": 0.15, "positive": 0.05},
        arousal=0.7 if AUDIO in present else None,
        modalities_present=present,
        modalities_expected=MODALITIES,
        shares={m: 1.0 / len(present) for m in present},
        faces=int(VIDEO in present),
        warnings=(WarningCode.NOTHING_PRESENT,) if score is None else (WarningCode.TO_REVIEW,),
        media_end_at_ms=1_795_341_660_000 + end_ms,
        allowed_lateness_ms=500,
        model=ModelVersion("mmci", "1", "0" * 12),
        conversation=Conversation(end_ms - LENGTH_MS, 0.1) if len(present) != 1 else None,
    )


def _explanation(score: ScoreRecord, *, first: bool) -> ExplanationRecord:
    spoken = TEXT in score.modalities_present and score.score is not None
    change = Change(score.end_ms - HOP_MS, -0.5, dict.fromkeys(MODALITIES, 0.0), 0.0)
    return ExplanationRecord(
        tenant=score.tenant,
        session=score.session,
        track=score.track,
        role=score.role,
        window_id=score.window_id,
        epoch=score.epoch,
        start_ms=score.start_ms,
        end_ms=score.end_ms,
        base_score=None if score.score is None else 0.0,
        contributions={} if score.score is None else {m: (score.score if m in score.modalities_present else 0.0) for m in MODALITIES},
        score_without=dict.fromkeys(score.modalities_present, 0.1),
        words=(WordEvidence("refund", score.start_ms, score.start_ms + 400, -0.9),) if spoken else (),
        audio_spans=(),
        video_frames=(),
        claims=(WordClaim("a refund", score.start_ms, score.start_ms + 400, -0.9, "neutral"),) if spoken else (),
        change=Changes() if first or score.score is None else Changes(change, change),
        sentence="The customer is negative." if score.score is not None else "Nothing was said by the customer.",
    )
