"""Writes the summary of a window: a few short sentences, made of the fields of its two records and of nothing else.

1. What the window comes across as: a label that goes with its score, or that it is unclear.
2. What moved the score there. Words are quoted only from claims that were measured and that point the same way.
3. What it would be without that, where the label would be another.
4. What points the other way, reasons for care, what earlier windows did, and how the score changed.

Every sentence states one thing and has a rule of its own. They follow in this order; one that would exceed `LONGEST` words is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from stream.domain.evidence import SpanEvidence
from stream.domain.modality import MODALITIES, Modality
from stream.domain.result import ExplanationRecord, ScoreRecord
from stream.domain.warning_codes import WarningCode, nuisance_of
from stream.domain.withheld import Reason
from stream.domain.wording import in_words
from stream.explain.phrasing import (
    NEUTRAL,
    SIGNS,
    UNCLEAR,
    at_start,
    figure,
    goes_with,
    joined,
    named,
    possessive,
    quote,
    says_something,
    second,
    verdict,
)
from stream.explain.warnings import PLAIN

LONGEST = 30
"""Most words of a summary."""

NOTABLE = 0.3
"""Score points. A smaller contribution, or effect of a phrase, is not mentioned."""

LARGE_CHANGE = 1.0
"""Score points. A smaller change since the window before is not mentioned."""

QUOTED = 2
"""Most phrases that are quoted."""

EARLIER = "earlier windows"

_NAMES: Mapping[Modality, str] = {Modality.TEXT: "the words", Modality.AUDIO: "the voice", Modality.VIDEO: "the face"}
_PLURALS = (_NAMES[Modality.TEXT], EARLIER)
_ONLY: Mapping[Modality, str] = {
    Modality.TEXT: "Only words came.",
    Modality.AUDIO: "Only a voice was heard.",
    Modality.VIDEO: "Only a face was seen.",
}
_MISSING: Mapping[Modality, str] = {
    Modality.TEXT: "No words came.",
    Modality.AUDIO: "No sound was heard.",
    Modality.VIDEO: "No face was seen.",
}

_WITHHELD: Mapping[Reason, str] = {
    Reason.POLICY: "left out by policy",
    Reason.CONSENT: "left out without consent",
    Reason.LANGUAGE: "left out, as they may not be English",
    Reason.OVERLOAD: "left out, as the service was overloaded",
}


@dataclass(frozen=True, slots=True)
class _Part:
    """What moved the score: a modality or the earlier windows.

    Attributes:
        name: How it is called.
        points: Its contribution.
        score_without: The score without it.
        label_without: The label without it.
        spans: Its strongest spans; none of words and earlier windows.
    """

    name: str
    points: float
    score_without: float
    label_without: str
    spans: Sequence[SpanEvidence] = ()

    def verb(self, stem: str) -> str:
        """``lower`` or ``lowers``."""
        return stem if self.name in _PLURALS else f"{stem}s"


def sentence(score: ScoreRecord, explanation: ExplanationRecord) -> str:
    """The summary of a final window, free of control characters and markup."""
    if score.score is None:
        return _no_score(score)
    text, words = "", 0
    for part in filter(None, _sentences(score, score.score, explanation)):
        length = len(part.split())
        if words + length <= LONGEST:
            text, words = f"{text} {part}".lstrip(), words + length
    return text


def _no_score(score: ScoreRecord) -> str:
    who, withheld = named(score.role), _withheld(score)
    if not withheld:
        return f"Nothing was said by {who}."
    left = [modality for modality in MODALITIES if modality not in score.withheld]
    others = [_nothing_of(left[0]) if len(left) == 1 else "nothing else came"] if left else []
    return f"There is no score for {who}: {', and '.join([*withheld, *others])}."


def _nothing_of(modality: Modality) -> str:
    """That nothing of a modality came, as a clause: ``no words came``."""
    text = _MISSING[modality].rstrip(".")
    return text[0].lower() + text[1:]


def _withheld(score: ScoreRecord) -> list[str]:
    """What may not be used of a window, by reason, as clauses."""
    clauses = []
    for reason, why in _WITHHELD.items():
        names = [_NAMES[modality] for modality in MODALITIES if score.withheld.get(modality) == reason]
        if names:
            verb = "are" if len(names) > 1 or names[0] in _PLURALS else "is"
            clauses.append(f"{joined(names)} {verb} {why}")
    return clauses


def _sentences(score: ScoreRecord, points: float, explanation: ExplanationRecord) -> Iterator[str]:
    """The sentences about a window with a score, the most important first; some may be empty."""
    label, parts = verdict(score), _parts(score, explanation)
    who = named(score.role)
    told: list[_Part] = []
    if label == UNCLEAR:
        yield at_start(f"{possessive(who)} sentiment is unclear.")
        yield _balance(parts, told)
    elif label == NEUTRAL:
        yield at_start(f"{who} seems neutral ({figure(points)}).")
        yield _decisive(parts, points, told) or _change(score, explanation) or _balance(parts, told)
    else:
        yield at_start(f"{who} seems {label} ({figure(points)}).")
        yield from _reasons(label, score, explanation, parts, told)
    yield from _cautions(score)
    if label != UNCLEAR:
        yield from _earlier(label, points, parts, told)
    if label in SIGNS:
        yield _change(score, explanation)


def _parts(score: ScoreRecord, explanation: ExplanationRecord) -> list[_Part]:
    """Everything that moved the score, the strongest first."""
    spans = {Modality.AUDIO: explanation.audio_spans, Modality.VIDEO: explanation.video_frames}
    parts = [
        _Part(_NAMES[m], explanation.contributions[m], explanation.score_without[m], explanation.label_without[m], spans.get(m, ()))
        for m in score.modalities_present
        if m in explanation.label_without
    ]
    if explanation.score_without_earlier is not None and explanation.label_without_earlier is not None:
        without = explanation.score_without_earlier, explanation.label_without_earlier
        parts.append(_Part(EARLIER, explanation.earlier_windows, *without))
    return sorted(parts, key=lambda part: -abs(part.points))


def _reasons(label: str, score: ScoreRecord, explanation: ExplanationRecord, parts: Sequence[_Part], told: list[_Part]) -> Iterator[str]:
    """Why a window is negative or positive, what it would be otherwise, and what points the other way."""
    sign, points = SIGNS[label], score.score or 0.0
    towards = [part for part in parts if part.points * sign >= NOTABLE]
    if not towards:
        yield "Several small things add up."
        return
    main = towards[0]
    told += [part for part in towards if abs(part.points) >= abs(main.points) / 2]
    alone = len(score.modalities_present) == 1 and main.name != EARLIER
    claims = [claim for claim in explanation.claims if claim.effect * sign >= NOTABLE] if main.name == _NAMES[Modality.TEXT] else []
    quoted = [(words, claim) for claim in claims if says_something(claim.text) and (words := quote(claim.text))][:QUOTED]
    quoted = [(words, claim) for words, claim in quoted if abs(claim.effect) >= abs(quoted[0][1].effect) / 2]
    phrases = joined(list(dict.fromkeys(words for words, _ in quoted))) if quoted else ""
    if len(told) > 1:
        names = [f"{part.name} ({phrases})" if part is main and phrases else part.name for part in told]
        yield f"Mainly {joined(names)}."
    elif phrases:
        yield f"Mainly {phrases}." if alone else f"Mainly {main.name}: {phrases}."
    elif not alone:
        yield f"Mainly {main.name}{_when(main, sign)}."
    if quoted and (flips := quoted[0][1]).label_without != label and goes_with(flips.label_without, points - flips.effect):
        yield f"Without {quoted[0][0]} it would be {flips.label_without} ({figure(points - flips.effect)})."
    elif not alone and (deciding := next((part for part in told if _changes(part, label, points)), None)) is not None:
        yield _without(deciding)
    against = next((part for part in parts if part.points * sign <= -max(NOTABLE, abs(main.points) / 2)), None)
    if against is not None:
        told.append(against)
        yield f"{at_start(against.name)} {against.verb('point')} the other way ({figure(against.points)})."


def _when(part: _Part, sign: int) -> str:
    """Where at least half of what a voice or a face contributes lies: in one span."""
    span = next((span for span in part.spans if span.relevance * sign > 0), None)
    return "" if span is None or abs(span.relevance) < abs(part.points) / 2 else f", above all at {second(span.start_ms)}"


def _decisive(parts: Sequence[_Part], points: float, told: list[_Part]) -> str:
    """What keeps a window neutral: the part without which it would be the most negative or positive; empty if there is none."""
    deciding = [part for part in parts if len(parts) > 1 and _changes(part, NEUTRAL, points)]
    if not deciding:
        return ""
    main = max(deciding, key=lambda part: abs(part.score_without))
    told.append(main)
    return _without(main)


def _balance(parts: Sequence[_Part], told: list[_Part]) -> str:
    """What lowers and what raises the score of a window that is not clearly negative or positive."""
    lowers = next((part for part in parts if part.points <= -NOTABLE), None)
    raises = next((part for part in parts if part.points >= NOTABLE), None)
    main, other = (lowers, raises) if lowers is not None else (raises, None)
    if main is None:
        return "Nothing stands out."
    against = [other] if other is not None else _together_against(main, parts)
    told += [main, *against]
    down = main.points < 0
    text = f"{at_start(main.name)} {main.verb('lower' if down else 'raise')} the score ({figure(main.points)})"
    if against:
        verb, points = "raise" if down else "lower", sum(part.points for part in against)
        names = joined([part.name for part in against])
        clause = f"{names} together {verb}" if len(against) > 1 else f"{names} {against[0].verb(verb)}"
        text += f", but {clause} it ({figure(points)})"
    return f"{text}."


def _together_against(main: _Part, parts: Sequence[_Part]) -> list[_Part]:
    """The smaller parts that point against a notable one, if they add up to at least half of it."""
    against = [part for part in parts if part.points * main.points < 0 and abs(part.points) >= NOTABLE / 3]
    return against if abs(sum(part.points for part in against)) >= abs(main.points) / 2 else []


def _changes(part: _Part, label: str, points: float) -> bool:
    """Whether the window would have another label without this part, one that goes with its score, and a notably different score."""
    is_other = part.label_without != label and goes_with(part.label_without, part.score_without)
    return is_other and abs(part.score_without - points) >= NOTABLE


def _without(part: _Part) -> str:
    return f"Without {part.name} it would be {part.label_without} ({figure(part.score_without)})."


def _cautions(score: ScoreRecord) -> Iterator[str]:
    present = score.modalities_present
    alone = len(present) == 1 < len(score.modalities_expected)
    said = {WarningCode.VISUAL_OVER_RELIANCE} if alone else set()
    if score.withheld.get(Modality.TEXT) == Reason.LANGUAGE:
        said.add(WarningCode.OUTSIDE_TRAINING_DOMAIN)
    if Reason.OVERLOAD in score.withheld.values():
        said.add(WarningCode.OVERLOAD)
    if alone:
        yield _ONLY[present[0]]
    else:
        yield from (_MISSING[m] for m in score.modalities_expected if m not in present)
    # What the policy leaves out of a role is the same in each window.
    yield from (at_start(f"{clause}.") for clause in _withheld(score) if not clause.endswith(_WITHHELD[Reason.POLICY]))
    if WarningCode.MODALITIES_DISAGREE in score.warnings:
        yield at_start(f"{joined([_NAMES[m] for m in present])} disagree.")
    if WarningCode.SINGLE_MODALITY in score.warnings:
        yield _hardly_count(score)
    yield from (PLAIN[code] for code in WarningCode if code in score.warnings and code in PLAIN and code not in said)
    nuisances = [in_words(name) for code in score.warnings if (name := nuisance_of(code)) is not None]
    if nuisances:
        yield f"{nuisances[0]} would move the score."


def _hardly_count(score: ScoreRecord) -> str:
    """The modalities beside the one that the score rests on; empty if there are none."""
    most = max(score.modalities_present, key=lambda modality: score.shares[modality])
    names = [_NAMES[modality] for modality in score.modalities_present if modality is not most]
    if not names:
        return ""
    verb = "move" if len(names) > 1 or names[0] in _PLURALS else "moves"
    return at_start(f"{joined(names)} hardly {verb} the score.")


def _earlier(label: str, points: float, parts: Sequence[_Part], told: Sequence[_Part]) -> Iterator[str]:
    part = next((part for part in parts if part.name == EARLIER and part not in told), None)
    if part is None:
        return
    if _changes(part, label, points):
        yield _without(part)
    elif abs(part.points) >= NOTABLE:
        yield f"Earlier windows {'lower' if part.points < 0 else 'raise'} the score ({figure(part.points)})."


def _change(score: ScoreRecord, explanation: ExplanationRecord) -> str:
    """A large change since the window before, and what carries most of it; empty if there was none."""
    change = explanation.change.since_previous
    if change is None or abs(change.score) < LARGE_CHANGE:
        return ""
    moved = [(_NAMES[m], points) for m, points in change.contributions.items()] + [(EARLIER, change.earlier_windows)]
    name, points = max(moved, key=lambda part: part[1] * change.score)
    carries = len(score.modalities_expected) > 1 and points * change.score >= change.score**2 / 2
    through = f", mostly through {name}" if carries else ""
    return f"The score {'fell' if change.score < 0 else 'rose'} by {abs(change.score):.1f} since {second(change.from_ms)}{through}."
