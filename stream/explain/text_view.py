"""Explanations and alerts for people who may not read what was said: times, effects and labels alone."""

from __future__ import annotations

import re

from msgspec.structs import replace

from stream.domain.alert import AlertRecord
from stream.domain.result import ExplanationRecord

SPOKEN = frozenset({"phrases", "negative_phrases", "positive_phrases", "words"})
"""Variables of alert rules that hold what was said."""

_QUOTES = "“[^”]*”(?:(?:,| and) “[^”]*”)*"
_BESIDE = re.compile(rf": {_QUOTES}| \({_QUOTES}\)")
_QUOTED = re.compile("“[^”]*(?:”|$)")
_SENTENCES = re.compile(r"(?<=\.) ")


def without_text(record: ExplanationRecord) -> ExplanationRecord:
    """The same explanation without any word that was said.

    Words and claims keep their times and effects, with an empty text. The counterfactual is left out. Quotations are taken out of the
    sentence, and with them the parts of it that mean nothing without.
    """
    return replace(
        record,
        words=tuple(replace(word, text="") for word in record.words),
        claims=tuple(replace(claim, text="") for claim in record.claims),
        counterfactual=None,
        sentence=_unquoted(record.sentence),
    )


def alert_without_text(alert: AlertRecord) -> AlertRecord:
    """The same alert without any word that was said: in its evidence, its values and the draft of its statement of reasons."""
    evidence = replace(
        alert.evidence,
        sentence=_unquoted(alert.evidence.sentence),
        claims=tuple(replace(claim, text="") for claim in alert.evidence.claims),
        values={name: value for name, value in alert.evidence.values.items() if name not in SPOKEN},
    )
    if alert.statement is None:
        return replace(alert, evidence=evidence)
    facts = "\n".join(map(_unquoted, alert.statement.decision_facts.split("\n")))
    return replace(alert, evidence=evidence, statement=replace(alert.statement, decision_facts=facts))


def _unquoted(text: str) -> str:
    """Sentences without their quotations, and without those that mean nothing then."""
    # Emptied before the text is split: a quotation may hold the end of a sentence. A text that was cut may end in one.
    empty = _QUOTED.sub("“”", _BESIDE.sub("", text))
    return " ".join(part for part in _SENTENCES.split(empty) if "“" not in part)
