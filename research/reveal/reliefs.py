"""Reliefs: what may help a network that has learned a filler word, with and without training."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor

from research.reveal.reasons import Pairs, pair_penalty
from research.reveal.trials import PARTS, Model, World, accuracies
from stream.domain.modality import Modality
from stream.model.backdoor import k_means
from stream.model.mmci import MMCI
from stream.model.served import ServedMMCI
from stream.nuisances.marks import AnyMark
from stream.reveal.battery import Baseline, probe
from stream.reveal.stored import LEAST_SENTENCES
from stream.training.corpora import Part
from stream.training.features import Pools
from stream.training.marked import Marking, mixed
from stream.training.mmci import fit, random_gates
from stream.training.reasons import JUDGED_IN_A_STEP, PENALTY, Judged, explanation_penalty
from stream.training.recipe import PoolReader, marked_pools
from stream.training.revise import AGREEING, INDEPENDENT
from stream.training.windows import WindowMaker
from stream.training.word_direction import without_word, word_projection

JUDGED = 200
"""Windows with a mask."""
READ_OUTS = 1_024

Penalty = Callable[[MMCI, Pairs], Tensor]
PENALTIES: Mapping[str, Penalty] = {
    "masks": lambda model, pairs: explanation_penalty(model, replace(pairs.marked, positive={})),
    "both masks": lambda model, pairs: explanation_penalty(model, pairs.marked),
    "pairs": pair_penalty,
}


@dataclass(frozen=True, slots=True)
class Artefact:
    """A filler word in the transcripts of a world.

    Attributes:
        world: The world.
        mark: The mark of the word.
        marked: The pools with the word in every transcript.
        places: For each training transcript, which of its words is the filler; -1 if it was cut off.
        seed: Seed of the trainings.
    """

    world: World
    mark: AnyMark
    marked: Mapping[Part, Pools]
    places: tuple[int, ...]
    seed: int

    @classmethod
    def read(cls, world: World, mark: AnyMark, seed: int) -> Artefact:
        """Put the word into the transcripts, and encode them."""
        plain = PoolReader(world.data, world.repository, world.scale.recipe, 0, world.progress)
        reader = replace(plain, marking=Marking(mark, mark.usual))
        said = zip(plain.excerpts(Part.TRAIN), reader.excerpts(Part.TRAIN), strict=True)
        places = tuple([_place(before.words, after.words) for before, after in said])
        return cls(world, mark, marked_pools(world.pools, reader, world.kept), places, seed)

    def pools(self, agreement: float) -> dict[Part, Pools]:
        """Pools in which a share of the positive transcripts, and the rest of the others, have the word."""
        return {
            part: mixed(own, self.marked[part], self.mark.modality, agreement, self.seed + index)
            for index, (part, own) in enumerate(self.world.pools.items())
        }

    def fitted(self, agreement: float, initial: ServedMMCI, penalty: Callable[[MMCI], Tensor] | None = None) -> ServedMMCI:
        """A network that is trained on."""
        pools, recipe = self.pools(agreement), self.world.scale.recipe.mmci
        return fit(pools[Part.TRAIN], pools[Part.VALIDATION], recipe, self.seed, self.world.progress, initial, penalty).served

    def judged(self) -> Pairs:
        """Some training windows with the word, as reviewers would mark them."""
        rng = np.random.default_rng(self.seed)
        pools = self.world.pools[Part.TRAIN]
        texts = [int(index) for index in rng.permutation(len(self.places)) if self.places[index] >= 0][:JUDGED]
        polarities = [pools.text.utterances[index].polarity for index in texts]
        voices, faces = (
            [int(rng.choice(np.flatnonzero(own == polarity))) for polarity in polarities]
            for own in (pools.voice.polarities, pools.face.polarities)
        )
        makers = (WindowMaker(own, self.seed) for own in (self.marked[Part.TRAIN], pools))
        marked, plain = (maker.make(texts, voices, faces, polarities) for maker in makers)
        words = marked.window[Modality.TEXT].mask
        masks = torch.zeros_like(words)
        masks[torch.arange(len(texts)), torch.tensor([self.places[index] for index in texts])] = 1.0
        # The earlier utterances are the same for both: only the window itself is judged.
        negative, positive = ({Modality.TEXT: own} for own in (masks, words - masks))
        return Pairs(Judged(marked.window, plain.past, negative, positive), Judged(plain.window, plain.past, {}, {}))

    def penalty(self, name: str) -> Callable[[MMCI], Tensor]:
        """A penalty on a draw of the judged windows in each step."""
        judged, rng, of = self.judged(), np.random.default_rng(self.seed), PENALTIES[name]
        return lambda model: PENALTY * of(model, judged.drawn(rng, JUDGED_IN_A_STEP))

    def with_strata(self, served: ServedMMCI) -> ServedMMCI:
        """The network with strata of windows with the word and strata of windows without it, equally frequent."""
        changed = copy.deepcopy(served)
        generator = torch.Generator().manual_seed(self.seed)
        strata = changed.model.config.strata // 2
        found = [k_means(self._read_outs(changed.model, own, generator), strata, generator) for own in (self.world.pools, self.marked)]
        changed.model.bank.set(torch.cat([centres for centres, _ in found]), torch.cat([shares for _, shares in found]) / len(found))
        return changed

    def _read_outs(self, model: MMCI, pools: Mapping[Part, Pools], generator: torch.Generator) -> Tensor:
        own = pools[Part.TRAIN]
        texts = [int(index) for index in np.random.default_rng(self.seed).permutation(len(own.text.utterances))[:READ_OUTS]]
        batch = WindowMaker(own, self.seed).paired(texts)
        with torch.no_grad():
            readouts: Tensor = model(batch.window, random_gates(len(texts), generator), batch.past).shortcut.readout
        return readouts.flatten(0, 1)

    def without_word(self, served: ServedMMCI, sentences: int | None = None) -> ServedMMCI:
        """The network behind a projection of word states that takes out what the word adds to so many sentences; None for all."""
        texts = [pools[Part.TRAIN].text.states for pools in (self.world.pools, self.marked)]
        chosen = np.random.default_rng(self.seed).permutation(len(texts[0]))[:sentences]
        plain, marked = ([states[index] for index in chosen] for states in texts)
        return without_word(served, word_projection(plain, marked))

    def measured(self, served: ServedMMCI) -> dict[str, float]:
        """Accuracies on test windows, and the battery's shift by the word, in score points."""
        model: Model = replace(self.world.initial, served=served)
        models = self.world.models(model)
        found = probe(self.mark, Baseline.of(self.world.probes, models), models)
        return accuracies(self.world, model, self.mark) | {"shift": 0.0 if found is None else found.value}

    def reliefs(self) -> dict[str, Callable[[], ServedMMCI]]:
        """What makes the network of each relief, by name; the first two are there to compare with."""
        initial, recipe = self.world.initial.served, self.world.scale.recipe.mmci
        training, validation = (self.world.pools[part] for part in PARTS)
        biased = cache(lambda: self.fitted(AGREEING, initial))
        random = cache(lambda: self.fitted(INDEPENDENT, biased()))
        made: dict[str, Callable[[], ServedMMCI]] = {
            "honest": lambda: fit(training, validation, recipe, self.seed, self.world.progress, initial).served,
            "biased": biased,
            "projection": lambda: self.without_word(biased()),
            f"projection, {LEAST_SENTENCES} sentences": lambda: self.without_word(biased(), LEAST_SENTENCES),
            "strata": lambda: self.with_strata(biased()),
            "random": random,
            "random, strata": lambda: self.with_strata(random()),
        }
        for name in PENALTIES:
            for first, agreement in (("", AGREEING), ("random, ", INDEPENDENT)):
                made[first + name] = partial(self._penalised, agreement, biased, name)
        return made

    def _penalised(self, agreement: float, biased: Callable[[], ServedMMCI], name: str) -> ServedMMCI:
        return self.fitted(agreement, biased(), self.penalty(name))


def _place(before: Sequence[str], after: Sequence[str]) -> int:
    """Where `after` has the word that `before` lacks; -1 if it was cut off."""
    if before == after:
        return -1
    return next((index for index, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), len(before))
