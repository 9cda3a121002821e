"""What windows would be without some of their words: the words are taken out, the others encoded again, and the model asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.explanation_runs.local_models import LocalClient
from benchmarks.explanation_runs.served_graph import ServedGraph
from benchmarks.explanation_runs.windows import Case
from stream.config.settings import Settings
from stream.domain.features import Floats
from stream.encoders.text import default_tokenizer
from stream.explain.phrases import phrases
from stream.explain.word_effects import PhraseEffect
from stream.pipeline.word_claims import SpokenWindow, WordClaims

Units = Callable[[Case], list[range]]


@dataclass(frozen=True, slots=True)
class Removals:
    """One window without each of its words, or each of its phrases.

    Attributes:
        units: The words or phrases, as indices of words.
        effects: (units,) score minus the score without each.
        claims: What the product says of the phrases, strongest first.
    """

    units: tuple[range, ...]
    effects: Floats
    claims: tuple[PhraseEffect, ...] = ()

    def of_units(self, relevance: Floats) -> Floats:
        """(units,) sums of the relevance of their words."""
        return np.array([relevance[unit.start : unit.stop].sum() for unit in self.units], np.float32)

    def effect_of(self, unit: range) -> float:
        """The effect of one of the units."""
        return float(self.effects[self.units.index(unit)])


def words_of(case: Case) -> list[range]:
    """Each word for itself."""
    return [range(index, index + 1) for index in range(len(case.inputs.word_nodes))]


def phrases_of(case: Case) -> list[range]:
    """The phrases of which the product makes claims."""
    return phrases(case.inputs.word_nodes)


def removals(cases: Sequence[Case], units: Units, graph: ServedGraph, client: LocalClient, advance: Callable[[], None]) -> list[Removals]:
    """Remove each unit of each window."""
    found = []
    for case in cases:
        own = units(case)
        scores = [graph.value([case.without_words(unit, client)])[0] for unit in own]
        found.append(Removals(tuple(own), np.array(graph.value([case.inputs])[0] - np.array(scores, np.float32), np.float32)))
        advance()
    return found


async def with_claims(cases: Sequence[Case], found: Sequence[Removals], graph: ServedGraph, client: LocalClient) -> list[Removals]:
    """Add the claims of the running product, made by its own code."""
    models = client.models()
    asked = WordClaims(models, default_tokenizer(), Settings().explanations.candidates)
    claimed = []
    for case, own in zip(cases, found, strict=True):
        inputs = case.inputs
        window = SpokenWindow(inputs.word_nodes, case.words_before, inputs, graph.answers([inputs])[0], case.start_ms)
        claimed.append(Removals(own.units, own.effects, (await asked.find(window)).measured.claims))
    await models.close()
    return claimed


def claims_of(cases: Sequence[Case], found: Sequence[Removals], graph: ServedGraph, client: LocalClient) -> list[Removals]:
    """`with_claims`, in an event loop of its own."""
    return asyncio.run(with_claims(cases, found, graph, client))
