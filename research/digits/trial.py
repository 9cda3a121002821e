"""One seed of the benchmark of spoken-digit images: its data, its trainings and what is measured of each."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from research.digits.compose import Samples, compose, compose_plain, patched
from research.digits.corpus import SPEAKERS, Corpus, Part
from research.digits.network import DigitNetwork
from research.digits.rows import BASE, Row, Task
from research.digits.scores import Numbers, answer_scores, answers, map_scores, patch_share, perturbed
from research.digits.training import Recipe, fit

AGREEMENT = 0.95
"""Share of the training images of the biased task whose patch names the digit."""

TrialNumbers = dict[str, Any]
"""By what was measured, numbers or, for maps, numbers by map."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is trained and measured.

    Attributes:
        train: Samples of the training; composed once for each seed.
        test: Samples of each test.
        epochs: Passes of a training may be at most this many.
    """

    train: int = 6_000
    test: int = 2_000
    epochs: int = 100


class Trial:
    """The data and trainings of one seed.

    The speaker with the seed's number is left out of training, and is the only one in the test of unheard speakers.

    Args:
        corpus: Images and recordings.
        seed: Chooses the speaker, the samples, the first weights and the order of training.
        size: How much is trained and measured.
        folder: Where networks without a loop are kept, since several rows begin with the same one.
    """

    def __init__(self, corpus: Corpus, seed: int, size: Size, folder: Path) -> None:
        self._corpus, self._seed, self._size, self._folder = corpus, seed, size, folder
        self._heard = np.array([i for i in range(len(SPEAKERS)) if i != seed % len(SPEAKERS)], dtype=np.int64)
        self._unheard = np.array([seed % len(SPEAKERS)], dtype=np.int64)

    def measured(self, row: Row) -> TrialNumbers:
        """Train a row and measure it on the test samples."""
        network = self._trained(row)
        if row.task is Task.BIASED:
            return self._biased_scores(network)
        plain = row.task is Task.PLAIN
        shared, unheard = (self._plain_test, self._plain_unheard) if plain else (self._test, self._unheard_test)
        noisy = perturbed(shared)
        found, found_unheard, found_noisy = (answers(network, samples) for samples in (shared, unheard, noisy))
        return {
            "shared": answer_scores(found[0], shared.digits),
            "unheard": answer_scores(found_unheard[0], unheard.digits),
            "perturbed": answer_scores(found_noisy[0], noisy.digits),
            "maps": map_scores(network, shared, found),
            "maps_unheard": map_scores(network, unheard, found_unheard),
            "maps_perturbed": map_scores(network, noisy, found_noisy),
        }

    def key(self, row: Row) -> str:
        """Digest of everything that determines the numbers of a row, except the code."""
        settings = [self._seed, asdict(row), asdict(BASE), asdict(self._size)]
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]

    def _biased_scores(self, network: DigitNetwork) -> TrialNumbers:
        rng = np.random.default_rng((self._seed, 7))
        tests = {"clean": self._test, "like training": patched(self._test, AGREEMENT, rng), "flipped": patched(self._test, 0.0, rng)}
        found = {name: answers(network, samples, ("attention",)) for name, samples in tests.items()}
        scores: dict[str, Numbers] = {name: answer_scores(found[name][0], samples.digits) for name, samples in tests.items()}
        return {**scores, "patch": {"attention": patch_share(tests["flipped"], found["flipped"][1]["attention"])}}

    def _trained(self, row: Row) -> DigitNetwork:
        network = self._base(replace(row, loop=None))
        if row.loop:
            network = copy.deepcopy(network)
            fit(network, self._samples(row.task), self._short(row.loop), self._seed)
        return network

    def _base(self, row: Row) -> DigitNetwork:
        torch.manual_seed(self._seed)
        network = DigitNetwork(row.modalities, attention=row.attention)
        file = self._folder / f"{self.key(row)}.pt"
        if file.is_file():
            network.load_state_dict(torch.load(file, weights_only=True))
            return network.eval()
        fit(network, self._samples(row.task), self._short(BASE), self._seed)
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save(network.state_dict(), file)
        return network

    def _samples(self, task: Task) -> Samples:
        if task is Task.BIASED:
            return self._biased_train
        return self._plain_train if task is Task.PLAIN else self._train

    def _short(self, recipe: Recipe) -> Recipe:
        return replace(recipe, epochs=min(recipe.epochs, self._size.epochs))

    @cached_property
    def _train(self) -> Samples:
        images, recordings = self._corpus.images[Part.TRAIN], self._corpus.recordings[Part.TRAIN]
        return compose(images, recordings, self._heard, self._size.train, self._rng(0))

    @cached_property
    def _biased_train(self) -> Samples:
        return patched(self._train, AGREEMENT, self._rng(1))

    @cached_property
    def _plain_train(self) -> Samples:
        images, recordings = self._corpus.images[Part.TRAIN], self._corpus.recordings[Part.TRAIN]
        return compose_plain(images, recordings, self._heard, self._size.train, self._rng(2))

    @cached_property
    def _test(self) -> Samples:
        images, recordings = self._corpus.images[Part.TEST], self._corpus.recordings[Part.TEST]
        return compose(images, recordings, self._heard, self._size.test, self._rng(3))

    @cached_property
    def _unheard_test(self) -> Samples:
        # None of the left-out speaker's recordings is in training, so that all of them may be heard in the test.
        images, recordings = self._corpus.images[Part.TEST], self._corpus.recordings[Part.TRAIN]
        return compose(images, recordings, self._unheard, self._size.test, self._rng(4))

    @cached_property
    def _plain_test(self) -> Samples:
        images, recordings = self._corpus.images[Part.TEST], self._corpus.recordings[Part.TEST]
        return compose_plain(images, recordings, self._heard, self._size.test, self._rng(5))

    @cached_property
    def _plain_unheard(self) -> Samples:
        images, recordings = self._corpus.images[Part.TEST], self._corpus.recordings[Part.TRAIN]
        return compose_plain(images, recordings, self._unheard, self._size.test, self._rng(6))

    def _rng(self, what: int) -> np.random.Generator:
        return np.random.default_rng((self._seed, 20, what))
