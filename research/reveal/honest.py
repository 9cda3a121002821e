"""The honest reference: what reveal finds in models that were trained on media without a planted artefact."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from stream.encoders.text import TOKENIZER_FILE
from stream.nuisances.marks import FILLERS
from stream.reveal.findings import WORD, Detector, Finding, Honest, References
from stream.reveal.words import word_type
from stream.training.corpora import read_meld, read_mosi

FREQUENT = 6_000
"""Most frequent whole words of the tokenizer's vocabulary, which is in order of frequency."""

LEAST = {Detector.BATTERY: 0.2, Detector.REGRESSION: 0.2, Detector.WORDS: 0.6}
"""Least distances from the honest mean that are suspicious, in score points."""


def vocabulary(data: Path) -> list[str]:
    """Word types that the reference knows: those that occur twice in MOSI and MELD, the tokenizer's most frequent ones, and the fillers."""
    counts = Counter(word_type(text) for u in read_mosi(data) + read_meld(data) for text in u.text.split())
    said = {word for word, count in counts.items() if word is not None and count > 1}
    listed = re.findall(r'"([a-z]{2,})":(\d+)', TOKENIZER_FILE.read_text(encoding="utf-8").replace(" ", ""))
    frequent = [word for word, _ in sorted(listed, key=lambda pair: int(pair[1]))]
    return sorted(said | set(frequent[:FREQUENT]) | set(FILLERS))


def references(model: str, served: Mapping[str, Sequence[Finding]], trainings: Mapping[str, Sequence[Sequence[Finding]]]) -> References:
    """The references from what was found in the served model and in other honest trainings, by kind of probes.

    Without other trainings all deviations are 0.
    """
    probes: dict[str, dict[str, Honest]] = {}
    words: dict[str, list[float]] = {}
    for kind, findings in served.items():
        by_name = _by_name([findings, *trainings.get(kind, ())])
        words |= {name.removeprefix(f"{Detector.WORDS}/{WORD}"): own for name, own in by_name.items() if name.startswith(Detector.WORDS)}
        probes[kind] = {name: _honest(own) for name, own in by_name.items() if not name.startswith(Detector.WORDS)}
    spreads = [float(np.var(own, ddof=1)) for own in words.values() if len(own) > 1]
    deviation = round(float(np.sqrt(np.mean(spreads))), 4) if spreads else 0.0
    means = {word: round(float(np.mean(own)), 2) for word, own in sorted(words.items())}
    return References(model, probes, means, deviation, LEAST)


def _by_name(runs: Sequence[Sequence[Finding]]) -> Mapping[str, list[float]]:
    by_name: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        for finding in run:
            by_name[f"{finding.detector}/{finding.name}"].append(finding.value)
    return by_name


def _honest(values: Sequence[float]) -> Honest:
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return Honest(round(float(np.mean(values)), 4), round(deviation, 4), len(values))
