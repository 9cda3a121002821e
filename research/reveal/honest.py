"""The honest reference: what reveal finds in models that were trained on media without a planted artefact."""

from __future__ import annotations

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from stream.config.settings import Settings
from stream.encoders.text import TOKENIZER_FILE
from stream.explain.word_types import word_type
from stream.model_repository.files import VERSION
from stream.model_repository.served_models import MMCI
from stream.model_repository.version_files import digests_of
from stream.nuisances.marks import FILLERS
from stream.reveal.corpora import corpus_windows
from stream.reveal.findings import WORD, Detector, Finding, Honest, References
from stream.reveal.models import RepositoryModels
from stream.reveal.report import detect
from stream.reveal.sample import sample_windows
from stream.reveal.words import text_alone
from stream.training.corpora import Part, read_meld, read_mosi

FREQUENT = 6_000
"""Most frequent whole words of the tokenizer's vocabulary, which is in order of frequency."""

PROBES, SEED = 120, 0
"""Probe windows of the corpora, as `sentistream reveal --data` draws them."""

LEAST = {Detector.BATTERY: 0.15, Detector.REGRESSION: 0.2, Detector.WORDS: 0.6}
"""Least distances from the honest mean that are suspicious, in score points. Honest trainings moved a mark's shift by up to 0.05."""


def vocabulary(data: Path) -> list[str]:
    """Word types that the reference knows: those that occur twice in MOSI and MELD, the tokenizer's most frequent ones, and the fillers."""
    counts = Counter(word_type(text) for u in read_mosi(data) + read_meld(data) for text in u.text.split())
    said = {word for word, count in counts.items() if word is not None and count > 1}
    listed = re.findall(r'"([a-z]{2,})":(\d+)', TOKENIZER_FILE.read_text(encoding="utf-8").replace(" ", ""))
    frequent = [word for word, _ in sorted(listed, key=lambda pair: int(pair[1]))]
    return sorted(said | set(frequent[:FREQUENT]) | set(FILLERS))


def measured_references(data: Path, repository: Path, trainings: Sequence[Sequence[Finding]]) -> References:
    """Look into the served model with both kinds of probes; the deviations are those over honest trainings, probed with corpora."""
    models, known = RepositoryModels(repository), vocabulary(data)
    probes = {
        "sample": asyncio.run(sample_windows(Settings())),
        "corpora": corpus_windows(data, Part.VALIDATION, PROBES, SEED),
    }
    said = {"sample": [], "corpora": [text_alone((word,)) for word in known]}
    served = {kind: detect(windows, said[kind], models, known)[0] for kind, windows in probes.items()}
    return references(digests_of(repository / MMCI, [VERSION])[VERSION], served, {"corpora": trainings})


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
