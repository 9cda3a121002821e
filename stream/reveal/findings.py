"""What detectors find, what an honest model would show, and the suspects that follow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from enum import StrEnum
from math import hypot
from pathlib import Path

import msgspec

from stream.domain.modality import Modality


class Detector(StrEnum):
    """How something was found."""

    BATTERY = "battery"
    WORDS = "words"
    REGRESSION = "regression"


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A window in which something moved the score far.

    Attributes:
        window: Which one: the id of a stored window, or the name of a probe. It holds no words.
        before: Score without the nuisance, in points; of a word, of the words alone.
        after: Score with it.
        moved: What the detector measured in this window: the shift of the contribution, or of the score of the words.
    """

    window: str
    before: float
    after: float
    moved: float


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One number that a nuisance may move.

    Attributes:
        detector: How it was found.
        name: The mark, the word or the measured nuisance.
        modality: What carries it.
        value: In score points: shift by the mark; mean effect of the word; change for one standard deviation of the measure.
        error: Standard error of `value`.
        windows: Number of windows, or of occurrences of a word.
        score_shift: Shift of the score by a mark; None for other detectors.
        examples: The windows in which it moved the score furthest, if they were asked for.
    """

    detector: Detector
    name: str
    modality: Modality
    value: float
    error: float
    windows: int
    score_shift: float | None = None
    examples: tuple[Example, ...] = ()


class Honest(msgspec.Struct, frozen=True):
    """What models without a planted artefact show: mean and standard deviation over `seeds` trainings."""

    mean: float
    deviation: float
    seeds: int


class Reference(msgspec.Struct, frozen=True):
    """The honest reference of a model: by detector and name.

    Attributes:
        probes: Which probe windows it was measured on.
        numbers: ``detector/name`` → what is honest.
        words: Word type → honest score of the word alone. Words that are not among them are not judged.
        word_deviation: Root mean square over words of the standard deviation of that score over trainings.
        thresholds: By detector: the least distance from the honest mean that is suspicious, in score points.
    """

    probes: str
    numbers: dict[str, Honest]
    words: dict[str, float]
    word_deviation: float
    thresholds: dict[Detector, float]

    def honest(self, finding: Finding) -> Honest:
        """What is honest for a finding; 0 with no deviation where it was not measured."""
        if finding.detector is Detector.WORDS:
            return Honest(self.words[finding.name.removeprefix(WORD)], self.word_deviation, 0)
        return self.numbers.get(f"{finding.detector}/{finding.name}", Honest(0.0, 0.0, 0))

    def limit(self, finding: Finding) -> float:
        """The distance from the honest mean that is suspicious, in score points."""
        noise = ERRORS[finding.detector] * hypot(self.honest(finding).deviation, finding.error)
        return max(self.thresholds[finding.detector], noise)

    def strength(self, finding: Finding) -> float:
        """Distance from the honest mean, relative to what is suspicious: from 1 on it is a suspect."""
        return abs(finding.value - self.honest(finding).mean) / self.limit(finding)


WORD = "word "
"""Before the word in the name of a finding or a mark."""

HONEST = "honest.json"
"""File of the honest references in the folder of the model ``mmci``."""

ERRORS = {Detector.BATTERY: 3.0, Detector.REGRESSION: 3.0, Detector.WORDS: 5.0}
"""A distance within so many standard deviations, of training and of probing together, is never suspicious. There are hundreds of words."""


class Suspect(msgspec.Struct, frozen=True, kw_only=True):
    """A nuisance with all that was found of it.

    Attributes:
        name: Its name.
        modality: What carries it.
        strength: That of its strongest finding, see `Reference.strength`.
        findings: Strongest first.
        honest: The honest mean for each finding.
        limits: The distance from it that is suspicious, for each finding, see `Reference.limit`.
        verdicts: Reviewers' verdicts that name it, by kind.
    """

    name: str
    modality: Modality
    strength: float
    findings: tuple[Finding, ...]
    honest: tuple[float, ...]
    limits: tuple[float, ...]
    verdicts: dict[str, int] = {}

    @property
    def suspicious(self) -> bool:
        """Whether it moves scores further than in an honest model."""
        return self.strength >= 1.0


SAME = {"noise": "hiss", "pitch": "higher voice", "sharpness": "blur", "black rows": "bar", "brightness": "bad light"}
"""Measured nuisances that a mark makes: both are evidence for one suspect."""


def suspects(findings: Iterable[Finding], reference: Reference, verdicts: Mapping[str, dict[str, int]] | None = None) -> list[Suspect]:
    """Suspects, the strongest first. Those that are not suspicious are listed, too: their strength is below 1."""
    by_name: dict[tuple[str, Modality], list[Finding]] = defaultdict(list)
    for finding in findings:
        by_name[SAME.get(finding.name, finding.name), finding.modality].append(finding)
    ranked = []
    for (name, modality), own in by_name.items():
        own.sort(key=reference.strength, reverse=True)
        ranked.append(
            Suspect(
                name=name,
                modality=modality,
                strength=reference.strength(own[0]),
                findings=tuple(own),
                honest=tuple(reference.honest(finding).mean for finding in own),
                limits=tuple(reference.limit(finding) for finding in own),
                verdicts=(verdicts or {}).get(name, {}),
            )
        )
    return sorted(ranked, key=lambda suspect: (-suspect.strength, suspect.name))


class References(msgspec.Struct, frozen=True):
    """The file `HONEST`: the honest references of a model.

    Attributes:
        model: Digest of the served weights that they go with.
        probes: By kind of the probe windows: ``detector/name`` → what is honest.
        words: See `Reference`.
        word_deviation: See `Reference`.
        thresholds: See `Reference`.
    """

    model: str
    probes: dict[str, dict[str, Honest]]
    words: dict[str, float]
    word_deviation: float
    thresholds: dict[Detector, float]

    def of(self, probes: str) -> Reference:
        """That of a kind of probe windows. Raises ``KeyError``."""
        return Reference(probes, self.probes[probes], self.words, self.word_deviation, self.thresholds)


def read_references(file: Path) -> References:
    """Read the file `HONEST`. Raises `OSError` and `msgspec.MsgspecError`."""
    return msgspec.json.decode(file.read_bytes(), type=References)
