"""Planted shortcuts, trials and defences on small synthetic rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from research.models.variants import Variant, VariantConfig
from research.shortcuts.data import Parts, with_development
from research.shortcuts.defence import Defence, run_defence
from research.shortcuts.plants import Agreement, Noise, Plant, Scaled, Watermark, load_plant
from research.shortcuts.rows import Rows
from research.shortcuts.trial import group_weights, planted, probe
from stream.domain.modality import Modality
from stream.training.eraser.artefacts import fit_eraser
from stream.training.eraser.blocks import joined
from stream.training.eraser.sources import sides
from stream.training.errors import TrainingError
from tests.support.tiny_features import honest, marked

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("p", [0.9, 0.5])
def test_marks_agree_with_the_label_at_rate_p_and_share_directions_between_parts(p: float) -> None:
    rows = honest(4000)
    plant = Watermark((Modality.AUDIO, Modality.VIDEO), 4.0)
    blocks, marks = plant.marked(rows.blocks, rows.labels, np.random.default_rng(1), p)
    assert ((marks > 0) == rows.labels).mean() == pytest.approx(p, abs=0.03)
    np.testing.assert_array_equal(blocks[Modality.TEXT], rows.blocks[Modality.TEXT])
    added = joined(blocks) - joined(rows.blocks)
    np.testing.assert_allclose(np.linalg.norm(added, axis=1), 4.0, rtol=1e-3)
    fewer = rows.take(np.arange(50))
    again, few_marks = plant.marked(fewer.blocks, fewer.labels, np.random.default_rng(1), 1 - p)
    np.testing.assert_allclose((joined(again) - joined(fewer.blocks)) * few_marks[:, None], (added * marks[:, None])[:50], atol=1e-4)


def test_neither_side_of_an_agreement_reveals_the_mark() -> None:
    rows, marks = marked(Agreement(Modality.TEXT, Modality.VIDEO, 4.0), 0.5, honest(3000))
    assert probe(joined(rows.blocks), marks) < 0.56
    first, second = (sides(rows.blocks[m] @ np.linalg.svd(rows.blocks[m])[2][0]) for m in (Modality.TEXT, Modality.VIDEO))
    assert abs(float((first * second * marks).mean())) > 0.98


def parts_of(rows: Rows) -> Parts:
    return with_development(rows, honest(400, seed=9), 0)


def test_development_videos_are_not_trained_on() -> None:
    parts = parts_of(honest())
    assert not set(parts.train.videos) & set(parts.development.videos)
    assert len(set(parts.development.videos)) == 10


def defence(name: Variant, *, weighted: bool = False) -> Defence:
    return Defence(VariantConfig(name=name, hidden=16, dropout=0.1), weighted=weighted)


@pytest.mark.parametrize("name", [Variant.FUSION, Variant.MMCI])
def test_erm_follows_a_watermark_that_an_eraser_removes(name: Variant) -> None:
    trial = planted(parts_of(honest(1200)), Watermark((Modality.AUDIO,), 4.0), 0.95, 0)
    biased = run_defence(defence(Variant.FUSION), trial, None, 0)
    erased = run_defence(defence(name), trial, fit_eraser(trial.train.blocks, trial.train.labels), 0)
    assert biased.accuracies["id"] > 0.85 > 0.5 > biased.accuracies["flipped"]
    assert erased.accuracies["flipped"] > biased.accuracies["flipped"] + 0.2
    assert biased.accuracies["worst_group"] < erased.accuracies["worst_group"]
    assert biased.probes["causal"] > 0.8 > erased.probes["causal"]
    assert erased.probes["strata"] > 0.97


@pytest.mark.parametrize("plant", [Scaled(Modality.AUDIO, 2.0), Noise(Modality.AUDIO, 2.0), Scaled(Modality.VIDEO, 2.0)])
def test_an_eraser_closes_most_of_the_gap_that_a_mark_in_the_spread_opens(plant: Plant) -> None:
    parts = parts_of(honest(1200))
    trial = planted(parts, plant, 0.95, 0)
    eraser = fit_eraser(trial.train.blocks, trial.train.labels)
    limit = run_defence(defence(Variant.FUSION), planted(parts, None, 0.95, 0), None, 0).accuracies["flipped"]
    biased, erased = (run_defence(defence(Variant.FUSION), trial, own, 0).accuracies["flipped"] for own in (None, eraser))
    assert limit - biased > 0.05
    assert erased - biased > 0.8 * (limit - biased), (limit, biased, erased)


def test_equal_weights_of_groups_reduce_the_use_of_the_watermark() -> None:
    trial = planted(parts_of(honest(1200)), Watermark((Modality.AUDIO,), 2.0), 0.9, 0)
    plain, weighted = (run_defence(defence(Variant.FUSION, weighted=weighted), trial, None, 0) for weighted in (False, True))
    assert weighted.accuracies["flipped"] > plain.accuracies["flipped"] + 0.05


def test_an_eraser_without_artefacts_leaves_the_strata_to_the_model() -> None:
    trial = planted(parts_of(honest(600)), None, 0.5, 0)
    eraser = fit_eraser(trial.train.blocks, trial.train.labels)
    with_eraser, without_eraser = (run_defence(defence(Variant.MMCI), trial, chosen, 0) for chosen in (eraser, None))
    assert with_eraser == without_eraser


@pytest.mark.parametrize("name", [Variant.FUSION, Variant.MMCI, Variant.CIDER, Variant.GEAR, Variant.CLUE])
def test_every_defence_learns_an_honest_label_and_is_repeatable(name: Variant) -> None:
    trial = planted(parts_of(honest(1500)), None, 0.5, 0)
    first, second = (run_defence(defence(name), trial, None, 1) for _ in range(2))
    assert first == second
    assert first.accuracies["id"] > 0.65
    assert first.probes == {}


def test_group_weights_give_all_groups_the_same_total() -> None:
    labels = np.array([0] * 50 + [1] * 50)
    marks = np.array([-1.0] * 45 + [1.0] * 50 + [-1.0] * 5, dtype=np.float32)
    weights = group_weights(labels, marks)
    groups = 2 * labels + (marks > 0)
    np.testing.assert_allclose([weights[groups == g].sum() for g in range(4)], weights.sum() / 4, rtol=1e-5)


def test_a_plant_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def plant(features, labels, rng, p):\n    return {**features, 'audio': features['audio'] + 1}\n")
    plant: Plant = load_plant(file)
    rows = honest(60)
    trial = planted(Parts(rows, rows, rows), plant, 0.9, 0)
    np.testing.assert_array_equal(trial.train.blocks[Modality.AUDIO], rows.blocks[Modality.AUDIO] + 1)
    assert trial.neutral_marks is None
    file.write_text("nothing = 1\n")
    with pytest.raises(TrainingError, match="plant"):
        load_plant(file)
