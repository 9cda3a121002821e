"""The run of all detectors on probe windows, and its report."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from stream.domain.modality import MODALITIES, Modality
from stream.explain.function_words import FUNCTION_WORDS
from stream.explain.word_types import word_type
from stream.nuisances.marks import FILLERS, MARKS
from stream.reveal.battery import Baseline, probe
from stream.reveal.findings import Finding, Reference, Suspect, suspects
from stream.reveal.regression import regressions
from stream.reveal.windows import RawWindow, ServedModels
from stream.reveal.words import WordType, removal_effects, said_alone, word_examples, word_table

MOST_TYPES = 40
"""Rows of the word table that a report shows."""

EXAMPLES = 4
"""Windows that a report shows for a finding."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was revealed of a model.

    Attributes:
        model: Name and version of the model.
        probes: Which windows were probed.
        windows: Number of them, by modality.
        said: Number of windows whose words the word table is about.
        suspects: All that was probed, the strongest suspect first.
        words: The first rows of the word table.
    """

    model: str
    probes: str
    windows: dict[Modality, int]
    said: int
    suspects: tuple[Suspect, ...]
    words: tuple[WordType, ...]

    @property
    def alarms(self) -> tuple[Suspect, ...]:
        """The suspects that are suspicious."""
        return tuple(suspect for suspect in self.suspects if suspect.suspicious)

    def ranking(self, most: int) -> tuple[Suspect, ...]:
        """What is shown: the strongest, at least `most`, and whatever is suspicious or has a reviewer's verdict."""
        return tuple(own for rank, own in enumerate(self.suspects) if rank < most or own.suspicious or own.verdicts)


def reveal(
    probes: Sequence[RawWindow],
    said: Sequence[RawWindow],
    models: ServedModels,
    reference: Reference,
    *,
    verdicts: Mapping[str, dict[str, int]] | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> Report:
    """Run all detectors.

    Args:
        probes: Windows of raw media, which marks are put on.
        said: Windows whose words are looked at: those of the store, or the probes.
        models: The models to look into.
        reference: What is honest.
        verdicts: Reviewers' verdicts by artefact and kind.
        on_step: Called with the name of each step.
    """
    findings, table = detect(probes, said, models, reference.words, on_step)
    return Report(
        model=models.name,
        probes=reference.probes,
        windows={m: sum(raw.has(m) for raw in probes) for m in MODALITIES},
        said=len(said),
        suspects=tuple(suspects(findings, reference, verdicts)),
        words=tuple(table[:MOST_TYPES]),
    )


STEPS = (*MARKS, "nuisances measured", "word types", "words alone")
"""Names of the steps, in order."""


def detect(
    probes: Sequence[RawWindow],
    said: Sequence[RawWindow],
    models: ServedModels,
    known: Collection[str],
    on_step: Callable[[str], None] = lambda _: None,
) -> tuple[list[Finding], list[WordType]]:
    """All findings, and the word table. Of words, only those that are `known` are looked at."""
    baseline = Baseline.of(probes, models)
    findings: list[Finding] = []
    for mark in MARKS.values():
        on_step(mark.name)
        found = probe(mark, baseline, models, EXAMPLES)
        findings += [found] if found is not None else []
    on_step("nuisances measured")
    findings += regressions(baseline)
    on_step("word types")
    effects = removal_effects(said, models)
    table = [row for row in word_table(effects) if row.word in known]
    on_step("words alone")
    types = {word for raw in said for text in raw.words if (word := word_type(text)) is not None}
    findings += said_alone(sorted((types | set(FILLERS) | FUNCTION_WORDS) & set(known)), models, word_examples(effects, EXAMPLES))
    return findings, table
