"""Modalities that are missing in training, other speakers' past that is exchanged, and seeds that stay finished."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.progress import Progress

from research.experiments.absence import draw_missing, without
from research.experiments.config import DataConfig, ExperimentConfig, TrainingConfig
from research.experiments.corpus import NO_WINDOW, Corpus, neighbours_in_time, standardised, with_past_of_others, with_validation
from research.experiments.fit import fit
from research.experiments.mosi import read_mosi
from research.experiments.windows import Windows
from research.models.baselines.late_fusion import LateFusion
from research.models.interface import ModelInput, Prediction
from research.models.variants import Variant, VariantConfig, build
from stream.domain.modality import MODALITIES, Modality
from stream.training.corpora import Part
from tests.support.tiny_mosi import write_mosi


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The made-up corpus, with two people who take turns in each video."""
    found = standardised(read_mosi(write_mosi(tmp_path_factory.mktemp("data")), "bclstm"))
    return replace(found, speakers=tuple(f"{group}{order % 2}" for group, order in zip(found.groups, found.order, strict=True)))


def test_a_window_never_loses_all_modalities_that_it_has(corpus: Corpus) -> None:
    inputs, _ = Windows(corpus.only((Modality.TEXT, Modality.AUDIO))).batch(np.arange(60))
    missing = draw_missing(inputs.window, 0.9, torch.Generator().manual_seed(0))
    kept = without(inputs, missing).window
    left = torch.stack([kept[m].mask[:, 0] for m in MODALITIES], dim=1)
    assert bool((left.sum(dim=1) >= 1).all())
    assert 0 < float(left[:, 0].mean()) < 1
    assert float(left[:, 2].sum()) == 0, "video is not in this corpus and cannot be kept"


def test_modalities_go_at_the_wanted_rate(corpus: Corpus) -> None:
    inputs, _ = Windows(corpus).batch(np.tile(np.arange(len(corpus)), 40))
    missing = draw_missing(inputs.window, 0.3, torch.Generator().manual_seed(0))
    expected = 0.3 - 0.3**3 / 3
    assert all(abs(float(gone.mean()) - expected) < 0.02 for gone in missing.values())


@pytest.mark.parametrize("name", [Variant.LATE_FUSION, Variant.RGCN, Variant.MMCI, Variant.MULT, Variant.BC_LSTM])
def test_what_is_missing_is_not_heard_even_from_the_past(corpus: Corpus, name: Variant) -> None:
    torch.manual_seed(0)
    windows = Windows(corpus, past=3)
    model = build(VariantConfig(name=name, hidden=8), windows.widths, 3, len(corpus)).eval()
    rows = np.arange(20)
    gone = {Modality.TEXT: torch.ones(20)}
    changed = replace(corpus, features=corpus.features | {Modality.TEXT: replace(corpus.features[Modality.TEXT])})
    changed.features[Modality.TEXT] = replace(corpus.features[Modality.TEXT], values=corpus.features[Modality.TEXT].values * -3.0)
    with torch.no_grad():
        scores = [model.predict(without(own.batch(rows)[0], gone)).score for own in (windows, Windows(changed, past=3))]
        heard = model.predict(windows.batch(rows)[0]).score
    assert torch.equal(scores[0], scores[1])
    assert not torch.allclose(scores[0], heard)


def test_other_speakers_past_is_left_exchanged_or_taken_out(corpus: Corpus) -> None:
    around, _ = neighbours_in_time(corpus, 4, 0)
    assert with_past_of_others(corpus, around, "real", 0) is around
    none, shuffled = with_past_of_others(corpus, around, "none", 0), with_past_of_others(corpus, around, "shuffled", 0)
    assert np.array_equal(shuffled, with_past_of_others(corpus, around, "shuffled", 0))
    assert not np.array_equal(shuffled, with_past_of_others(corpus, around, "shuffled", 1))
    seen = 0
    for row, column in np.argwhere(around != NO_WINDOW):
        before = around[row, column]
        if corpus.speakers[before] == corpus.speakers[row]:
            assert none[row, column] == shuffled[row, column] == before
            continue
        seen += 1
        there = shuffled[row, column]
        assert none[row, column] == NO_WINDOW
        assert corpus.groups[there] != corpus.groups[row]
        assert corpus.speakers[there] != corpus.speakers[row]
        assert corpus.parts[there] is corpus.parts[row], "a test line never hears a training line"
    assert seen > 50
    assert np.array_equal(shuffled == NO_WINDOW, around == NO_WINDOW)


def test_another_corpus_is_standardised_as_the_one_that_a_model_knows(corpus: Corpus) -> None:
    shifted = {m: replace(own, values=own.values * 2.0 + 1.0) for m, own in corpus.features.items()}
    other = replace(corpus, features=shifted)
    assert np.allclose(standardised(other).features[Modality.AUDIO].values, corpus.features[Modality.AUDIO].values, atol=1e-4)
    like = standardised(other, like=corpus).features[Modality.AUDIO].values[other.rows(Part.TRAIN)]
    assert np.allclose(like.mean(axis=0), 1.0, atol=1e-3)


def test_options_that_are_not_used_leave_older_seeds_finished() -> None:
    config = ExperimentConfig(name="a", model=VariantConfig(name=Variant.MMCI))
    dumped = config.model_dump(mode="json")
    assert "modality_dropout" not in dumped["training"]
    assert "past_of_others" not in dumped["data"]
    used = config.model_copy(update={"training": TrainingConfig(modality_dropout=0.2), "data": DataConfig(past_of_others="none")})
    assert used.model_dump(mode="json")["training"]["modality_dropout"] == 0.2
    assert '"past_of_others":"none"' in used.model_dump_json()
    with pytest.raises(ValueError, match="modality_dropout"):
        TrainingConfig(modality_dropout=1.0)


class Watched(LateFusion):
    """Remembers which share of modalities it was given, in training and in evaluation."""

    shares: dict[bool, list[float]]

    def forward(self, inputs: ModelInput) -> Prediction:
        given = torch.cat([inputs.window[m].mask for m in MODALITIES], dim=1)
        self.shares[self.training].append(float(given.mean()))
        assert bool((given.sum(dim=1) > 0).all())
        return super().forward(inputs)


@pytest.mark.parametrize("chance", [0.0, 0.5])
def test_training_drops_modalities_and_evaluation_does_not(corpus: Corpus, chance: float) -> None:
    windows = Windows(with_validation(corpus, 2, 0))
    made: list[Watched] = []

    def make() -> Watched:
        model = Watched(windows.widths, 8, 0.0)
        model.shares = {True: [], False: []}
        made.append(model)
        return model

    config = TrainingConfig(epochs=8, batch=16, modality_dropout=chance)
    with Progress(disable=True) as progress:
        fit(make, windows, config, 0, progress=progress, title="watched")
    expected = 1.0 - (chance - chance**3 / 3)
    assert abs(float(np.mean(made[0].shares[True])) - expected) < 0.05
    assert set(made[0].shares[False]) == {1.0}
