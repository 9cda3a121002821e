"""The gates of a revised version: what must hold before it may be promoted."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt

import msgspec

from stream.reveal.findings import Detector, Finding, Reference

CLEAN_LOSS = 0.01
"""Most accuracy on clean windows that a revision may cost. Where no label keeps it, no more can be lost than labels change."""

GAP_GROWTH = 0.01
"""Most growth of the gap between the best and the worst group of a family, beyond the sampling error."""

TRUTH_LOSS = 0.02
"""Most that the rates of true claims on words may fall: they are counted over some hundred claims."""

Rates = dict[str, float | None]


class Group(msgspec.Struct, frozen=True):
    """A group of speakers: accuracy, and number of windows."""

    accuracy: float
    windows: int


Groups = Mapping[str, Group]


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A version before or after a revision.

    Attributes:
        conditions: ``clean``, ``attacked``, ``agreeing`` and ``flipped``, each with ``accuracy``, ``macro_f1``, ``mosi_mae``,
            ``worst_group``.
        groups: Groups of speakers.
        findings: Of the intervention battery.
        word_truth: Rates ``top`` and ``sign`` of claims on words.
        labels_kept: Share of the windows of a store without the word whose label is that of the version before; None with corpora, whose
            labels are known. Without labels, there are neither `conditions` nor `groups`.
    """

    conditions: dict[str, dict[str, float]]
    groups: dict[str, Group]
    findings: tuple[Finding, ...]
    word_truth: Rates
    labels_kept: float | None = None


class Gate(msgspec.Struct, frozen=True):
    """One condition: whether it holds, what was measured, and the most that is allowed."""

    passed: bool
    value: float
    limit: float
    says: str


def gates(before: Measured, after: Measured, artefact: str, reference: Reference) -> dict[str, Gate]:
    """All gates, by name.

    Args:
        before: The version that is revised.
        after: The revision.
        artefact: Name of the mark.
        reference: What is honest.
    """
    found = {}
    if before.conditions:
        loss = before.conditions["clean"]["accuracy"] - after.conditions["clean"]["accuracy"]
        found["clean"] = _at_most(loss, CLEAN_LOSS, "loss of accuracy on clean windows")
    if after.labels_kept is not None:
        found["labels"] = _at_most(1.0 - after.labels_kept, CLEAN_LOSS, "share of stored windows without the word whose label changes")
    found |= {"shift": _shift(before, after, artefact, reference), "others": _others(before, after, artefact, reference)}
    for family in families(before.groups):
        growth = gap(after.groups, family) - gap(before.groups, family)
        limit = GAP_GROWTH + _sampling_error(before.groups, family)
        found[f"gap {family}"] = _at_most(growth, limit, f"growth of the gap between groups ({family})")
    for rate, own in before.word_truth.items():
        later = after.word_truth.get(rate)
        if own is not None:
            found[f"word truth {rate}"] = _at_most(own - (later or 0.0), TRUTH_LOSS, f"loss of true claims on words ({rate})")
    return found


def families(groups: Groups) -> list[str]:
    """The families of groups: the first words of their names."""
    return list(dict.fromkeys(name.split(" ", 1)[0] for name in groups))


def gap(groups: Groups, family: str) -> float:
    """Accuracy of the best group of a family minus that of its worst."""
    own = [group.accuracy for name, group in groups.items() if name.split(" ", 1)[0] == family]
    return max(own) - min(own)


def _shift(before: Measured, after: Measured, artefact: str, reference: Reference) -> Gate:
    """The battery's shift by the artefact must come nearer to the honest one, or be no suspect any more."""
    earlier, later = (_distance(measured.findings, artefact, reference) for measured in (before, after))
    limit = max(earlier, reference.thresholds[Detector.BATTERY])
    return Gate(later < limit, later, limit, "distance of the shift by the artefact from the honest one, in score points")


def _others(before: Measured, after: Measured, artefact: str, reference: Reference) -> Gate:
    """No other mark may become a suspect, or a stronger one than it was."""
    strengths = {finding.name: reference.strength(finding) for finding in after.findings if finding.name != artefact}
    grown = {
        name: strength for name, strength in strengths.items() if strength >= 1.0 and strength > _strength(before.findings, name, reference)
    }
    worst = max(grown.values(), default=0.0)
    return Gate(not grown, worst, 1.0, f"strength of other suspects that grew: {', '.join(sorted(grown)) or 'none'}")


def _distance(findings: tuple[Finding, ...], name: str, reference: Reference) -> float:
    return max((abs(own.value - reference.honest(own).mean) for own in findings if own.name == name), default=0.0)


def _strength(findings: tuple[Finding, ...], name: str, reference: Reference) -> float:
    return max((reference.strength(own) for own in findings if own.name == name), default=0.0)


def _sampling_error(groups: Groups, family: str) -> float:
    """Standard error of the difference of the best and the worst group."""
    own = sorted((group.accuracy, group.windows) for name, group in groups.items() if name.split(" ", 1)[0] == family)
    return sqrt(sum(accuracy * (1.0 - accuracy) / windows for accuracy, windows in (own[0], own[-1]) if windows))


def _at_most(value: float, limit: float, says: str) -> Gate:
    return Gate(value <= limit, value, limit, says)
