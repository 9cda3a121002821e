"""Modalities are dropped in training, the context of other speakers is replaced, and new options leave finished seeds valid."""

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
    """The synthetic corpus, with two speakers who alternate in each video."""
    corpus = standardised(read_mosi(write_mosi(tmp_path_factory.mktemp("data")), "bclstm"))
    return replace(corpus, speakers=tuple(f"{group}{order % 2}" for group, order in zip(corpus.groups, corpus.order, strict=True)))


def test_a_window_never_loses_all_its_modalities(corpus: Corpus) -> None:
    inputs, _ = Windows(corpus.only((Modality.TEXT, Modality.AUDIO))).batch(np.arange(60))
    missing = draw_missing(inputs.window, 0.9, torch.Generator().manual_seed(0))
    kept = without(inputs, missing).window
    present = torch.stack([kept[m].mask[:, 0] for m in MODALITIES], dim=1)
    assert bool((present.sum(dim=1) >= 1).all())
    assert 0 < float(present[:, 0].mean()) < 1
    assert float(present[:, 2].sum()) == 0, "this corpus has no video that could be kept"


def test_modalities_are_dropped_at_the_configured_rate(corpus: Corpus) -> None:
    inputs, _ = Windows(corpus).batch(np.tile(np.arange(len(corpus)), 40))
    missing = draw_missing(inputs.window, 0.3, torch.Generator().manual_seed(0))
    expected = 0.3 - 0.3**3 / 3
    assert all(abs(float(dropped.mean()) - expected) < 0.02 for dropped in missing.values())


@pytest.mark.parametrize("name", [Variant.LATE_FUSION, Variant.RGCN, Variant.MMCI, Variant.MULT, Variant.BC_LSTM])
def test_a_missing_modality_has_no_effect_even_in_the_context(corpus: Corpus, name: Variant) -> None:
    torch.manual_seed(0)
    windows = Windows(corpus, past=3)
    model = build(VariantConfig(name=name, hidden=8), windows.widths, 3, len(corpus)).eval()
    rows = np.arange(20)
    missing = {Modality.TEXT: torch.ones(20)}
    changed = replace(corpus, features=corpus.features | {Modality.TEXT: replace(corpus.features[Modality.TEXT])})
    changed.features[Modality.TEXT] = replace(corpus.features[Modality.TEXT], values=corpus.features[Modality.TEXT].values * -3.0)
    with torch.no_grad():
        scores = [model.predict(without(own.batch(rows)[0], missing)).score for own in (windows, Windows(changed, past=3))]
        with_text = model.predict(windows.batch(rows)[0]).score
    assert torch.equal(scores[0], scores[1])
    assert not torch.allclose(scores[0], with_text)


def test_the_context_of_other_speakers_is_kept_replaced_or_removed(corpus: Corpus) -> None:
    context, _ = neighbours_in_time(corpus, 4, 0)
    assert with_past_of_others(corpus, context, "real", 0) is context
    none, shuffled = with_past_of_others(corpus, context, "none", 0), with_past_of_others(corpus, context, "shuffled", 0)
    assert np.array_equal(shuffled, with_past_of_others(corpus, context, "shuffled", 0))
    assert not np.array_equal(shuffled, with_past_of_others(corpus, context, "shuffled", 1))
    replaced = 0
    for row, column in np.argwhere(context != NO_WINDOW):
        before = context[row, column]
        if corpus.speakers[before] == corpus.speakers[row]:
            assert none[row, column] == shuffled[row, column] == before
            continue
        replaced += 1
        replacement = shuffled[row, column]
        assert none[row, column] == NO_WINDOW
        assert corpus.groups[replacement] != corpus.groups[row]
        assert corpus.speakers[replacement] != corpus.speakers[row]
        assert corpus.parts[replacement] is corpus.parts[row], "a test line never has a training line in its context"
    assert replaced > 50
    assert np.array_equal(shuffled == NO_WINDOW, context == NO_WINDOW)


def test_another_corpus_is_standardised_like_the_corpus_of_the_training(corpus: Corpus) -> None:
    shifted = {m: replace(own, values=own.values * 2.0 + 1.0) for m, own in corpus.features.items()}
    other = replace(corpus, features=shifted)
    assert np.allclose(standardised(other).features[Modality.AUDIO].values, corpus.features[Modality.AUDIO].values, atol=1e-4)
    like = standardised(other, like=corpus).features[Modality.AUDIO].values[other.rows(Part.TRAIN)]
    assert np.allclose(like.mean(axis=0), 1.0, atol=1e-3)


def test_unused_options_leave_finished_seeds_valid() -> None:
    config = ExperimentConfig(name="a", model=VariantConfig(name=Variant.MMCI))
    dumped = config.model_dump(mode="json")
    assert "modality_dropout" not in dumped["training"]
    assert "past_of_others" not in dumped["data"]
    used = config.model_copy(update={"training": TrainingConfig(modality_dropout=0.2), "data": DataConfig(past_of_others="none")})
    assert used.model_dump(mode="json")["training"]["modality_dropout"] == 0.2
    assert '"past_of_others":"none"' in used.model_dump_json()
    with pytest.raises(ValueError, match="modality_dropout"):
        TrainingConfig(modality_dropout=1.0)


class RecordingModel(LateFusion):
    """Records the share of modalities in its inputs, in training and in evaluation."""

    shares: dict[bool, list[float]]

    def forward(self, inputs: ModelInput) -> Prediction:
        masks = torch.cat([inputs.window[m].mask for m in MODALITIES], dim=1)
        self.shares[self.training].append(float(masks.mean()))
        assert bool((masks.sum(dim=1) > 0).all())
        return super().forward(inputs)


@pytest.mark.parametrize("chance", [0.0, 0.5])
def test_training_drops_modalities_and_evaluation_does_not(corpus: Corpus, chance: float) -> None:
    windows = Windows(with_validation(corpus, 2, 0))
    models: list[RecordingModel] = []

    def make() -> RecordingModel:
        model = RecordingModel(windows.widths, 8, 0.0)
        model.shares = {True: [], False: []}
        models.append(model)
        return model

    config = TrainingConfig(epochs=8, batch=16, modality_dropout=chance)
    with Progress(disable=True) as progress:
        fit(make, windows, config, 0, progress=progress, title="recording")
    expected = 1.0 - (chance - chance**3 / 3)
    assert abs(float(np.mean(models[0].shares[True])) - expected) < 0.05
    assert set(models[0].shares[False]) == {1.0}
