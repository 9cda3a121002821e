"""Explanations for people who may not read what was said: times, effects and labels alone."""

from __future__ import annotations

import re

from msgspec.structs import replace

from stream.domain.result import ExplanationRecord

_QUOTES = "“[^”]*”(?:(?:,| and) “[^”]*”)*"
_BESIDE = re.compile(rf": {_QUOTES}| \({_QUOTES}\)")
_SENTENCES = re.compile(r"(?<=\.) ")


def without_text(record: ExplanationRecord) -> ExplanationRecord:
    """The same explanation without any word that was said.

    Words and claims keep their times and effects, with an empty text. The counterfactual is left out. Quotations are taken out of the
    sentence, and with them the parts of it that mean nothing without.
    """
    unquoted = _SENTENCES.split(_BESIDE.sub("", record.sentence))
    return replace(
        record,
        words=tuple(replace(word, text="") for word in record.words),
        claims=tuple(replace(claim, text="") for claim in record.claims),
        counterfactual=None,
        sentence=" ".join(part for part in unquoted if "“" not in part),
    )
