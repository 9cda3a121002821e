from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stream.domain.features import Floats
from stream.domain.modality import Modality
from stream.model.variants import Variant, VariantConfig
from stream.training.shortcuts.artefacts import fit_eraser
from stream.training.shortcuts.data import Parts, Rows, joined, with_development
from stream.training.shortcuts.defence import Defence, run_defence
from stream.training.shortcuts.effect import effect_of_mark
from stream.training.shortcuts.plants import Agreement, Plant, Watermark, agreeing_signs, load_plant, with_genuine_signal
from stream.training.shortcuts.sources import heaps, sides, whitened
from stream.training.shortcuts.trial import group_weights, planted, probe

pytestmark = pytest.mark.slow

WIDTHS = {Modality.TEXT: 40, Modality.AUDIO: 24, Modality.VIDEO: 24}
EVERYWHERE = tuple(WIDTHS)


def honest(rows: int = 900, seed: int = 0) -> Rows:
    """Rows whose text tells the label in a graded way, with correlated features."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, rows)
    blocks = {}
    for index, (m, width) in enumerate(WIDTHS.items()):
        mixing = np.random.default_rng(100 + index).standard_normal((width, width)) * np.geomspace(1.5, 0.3, width)[:, None]
        blocks[m] = (rng.standard_normal((rows, width)) @ mixing / np.linalg.norm(mixing, axis=0)).astype(np.float32)
    blocks[Modality.TEXT][:, :6] += 0.3 * (2 * labels[:, None] - 1)
    return Rows(blocks, (2.0 * labels - 1.0).astype(np.float32), np.array([f"v{i % 30}" for i in range(rows)]))


def marked(plant: Watermark | Agreement, p: float, rows: Rows, seed: int = 3) -> tuple[Rows, Floats]:
    blocks, marks = plant.marked(rows.blocks, rows.labels, np.random.default_rng(seed), p)
    return replace(rows, blocks=blocks), marks


@pytest.mark.parametrize(
    "places",
    [(Modality.AUDIO, Modality.VIDEO), (Modality.TEXT,), (Modality.AUDIO,), (Modality.VIDEO,)],
    ids="+".join,
)
def test_a_watermark_is_found_and_erased_wherever_it_is(places: tuple[Modality, ...]) -> None:
    train_rows, _ = marked(Watermark(places, 4.0), 0.9, honest())
    fresh, fresh_marks = marked(Watermark(places, 4.0), 0.5, honest(seed=1))
    eraser = fit_eraser(train_rows)
    assert set(eraser.bases) == set(places)
    readings = eraser.strata(fresh.blocks)
    assert max((readings == (fresh_marks > 0)).mean(), (readings != (fresh_marks > 0)).mean()) > 0.99
    assert probe(joined(fresh.blocks), fresh_marks) > 0.97
    assert probe(joined(eraser(fresh.blocks)), fresh_marks) < 0.72


def test_what_tells_the_label_survives_erasure_of_a_watermark_in_the_same_block() -> None:
    plant = Watermark((Modality.TEXT,), 4.0)
    train_rows, _ = marked(plant, 0.9, honest())
    fresh, _ = marked(plant, 0.5, honest(seed=1))
    eraser = fit_eraser(train_rows)
    signs = (2.0 * fresh.labels - 1.0).astype(np.float32)
    before, after = probe(honest(seed=1).blocks[Modality.TEXT], signs), probe(eraser(fresh.blocks)[Modality.TEXT], signs)
    assert after > before - 0.05


def test_an_agreement_of_two_blocks_is_two_artefacts() -> None:
    train_rows, _ = marked(Agreement(Modality.AUDIO, Modality.VIDEO, 4.0), 0.9, honest())
    eraser = fit_eraser(train_rows)
    assert len(eraser.artefacts) == 2
    assert [set(artefact.effects) for artefact in sorted(eraser.artefacts, key=lambda a: min(a.effects))] == [{"audio"}, {"video"}]
    assert eraser.frequencies.shape == (4,)
    assert eraser.frequencies.sum() == pytest.approx(1.0)


def test_two_marks_that_both_come_with_the_label_are_both_erased() -> None:
    first, second = Watermark((Modality.AUDIO,), 4.0), Watermark((Modality.VIDEO,), 4.0)
    rows, _ = marked(second, 0.9, marked(first, 0.9, honest(), seed=3)[0], seed=4)
    eraser = fit_eraser(rows)
    assert len(eraser.artefacts) == 2
    fresh, first_marks = marked(first, 0.5, honest(seed=1), seed=3)
    both, second_marks = marked(second, 0.5, fresh, seed=4)
    erased = joined(eraser(both.blocks))
    assert max(probe(erased, first_marks), probe(erased, second_marks)) < 0.75


def test_without_an_artefact_nothing_changes() -> None:
    rows = honest()
    eraser = fit_eraser(rows)
    assert eraser.artefacts == ()
    assert all(eraser(rows.blocks)[m] is rows.blocks[m] for m in rows.blocks)
    assert eraser.strata(rows.blocks).max() == 0


def test_a_faint_mark_that_agrees_too_well_is_an_artefact_and_one_that_does_not_stays() -> None:
    places = (Modality.AUDIO,)
    assert fit_eraser(marked(Watermark(places, 2.0), 0.97, honest())[0]).bases.keys() == {Modality.AUDIO}
    assert fit_eraser(with_genuine_signal(honest(), (0, 7, 0))).artefacts == ()


def test_fitting_twice_gives_the_same_eraser_and_one_modality_is_enough() -> None:
    rows, _ = marked(Watermark((Modality.AUDIO,), 4.0), 0.9, honest())
    alone = replace(rows, blocks={Modality.AUDIO: rows.blocks[Modality.AUDIO]})
    first, second = fit_eraser(alone), fit_eraser(alone)
    assert set(first.bases) == {Modality.AUDIO}
    np.testing.assert_array_equal(first.bases[Modality.AUDIO], second.bases[Modality.AUDIO])


def test_the_effect_of_a_mark_is_told_from_that_of_the_label_it_nearly_equals() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 1200)
    mark = agreeing_signs(labels, rng, 0.97)
    variances = np.geomspace(9.0, 0.1, 40)
    noise = rng.standard_normal((1200, 40)) * np.sqrt(variances)
    effect = rng.standard_normal(40)
    effect *= 4.0 / np.linalg.norm(effect)
    of_label = np.zeros(40)
    of_label[0] = 3.0
    block = (noise + np.outer(mark, effect) + np.outer(2 * labels - 1, of_label)).astype(np.float32)
    plain = (block[mark > 0].mean(axis=0) - block[mark < 0].mean(axis=0)) / 2
    error, plain_error = (np.linalg.norm(estimate - effect) for estimate in (effect_of_mark(block, mark, labels, []), plain))
    assert error < 0.5 * plain_error
    nothing = effect_of_mark(noise.astype(np.float32), mark, labels, [])
    assert np.linalg.norm(nothing) < 0.3


def test_the_sharpest_direction_is_the_one_with_two_heaps() -> None:
    rng = np.random.default_rng(0)
    signs = rng.choice((-1.0, 1.0), 800)
    features = rng.standard_t(4, (800, 15)).astype(np.float32)
    features[:, 4] = 3.0 * signs + rng.standard_normal(800)
    (sharpness, found), (second, _) = heaps(whitened(features, 15), 2, 0)
    assert abs(float((found * signs).mean())) > 0.99
    assert sharpness > 0.93 > second
    np.testing.assert_array_equal(sides(np.array([5.0, 0.1, 4.8, 0.0, -0.2])), [1, -1, 1, -1, -1])


@pytest.mark.parametrize("p", [0.9, 0.5])
def test_marks_agree_with_the_label_as_often_as_p_says_and_share_directions_between_parts(p: float) -> None:
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


def test_neither_side_of_an_agreement_tells_the_mark() -> None:
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
def test_erm_follows_a_watermark_that_an_eraser_takes_away(name: Variant) -> None:
    trial = planted(parts_of(honest(1200)), Watermark((Modality.AUDIO,), 4.0), 0.95, 0)
    biased = run_defence(defence(Variant.FUSION), trial, None, 0)
    erased = run_defence(defence(name), trial, fit_eraser(trial.train), 0)
    assert biased.accuracies["id"] > 0.85 > 0.5 > biased.accuracies["flipped"]
    assert erased.accuracies["flipped"] > biased.accuracies["flipped"] + 0.2
    assert biased.accuracies["worst_group"] < erased.accuracies["worst_group"]
    assert biased.probes["causal"] > 0.8 > erased.probes["causal"]
    assert erased.probes["strata"] > 0.97


def test_groups_that_count_alike_lean_less_on_the_watermark() -> None:
    trial = planted(parts_of(honest(1200)), Watermark((Modality.AUDIO,), 2.0), 0.9, 0)
    plain, weighted = (run_defence(defence(Variant.FUSION, weighted=own), trial, None, 0) for own in (False, True))
    assert weighted.accuracies["flipped"] > plain.accuracies["flipped"] + 0.05


def test_an_eraser_without_artefacts_leaves_the_strata_to_the_model() -> None:
    trial = planted(parts_of(honest(600)), None, 0.5, 0)
    eraser = fit_eraser(trial.train)
    one, other = (run_defence(defence(Variant.MMCI), trial, own, 0) for own in (eraser, None))
    assert one == other


@pytest.mark.parametrize("name", [Variant.FUSION, Variant.MMCI, Variant.CIDER, Variant.GEAR, Variant.CLUE])
def test_every_defence_learns_an_honest_label_the_same_way_twice(name: Variant) -> None:
    trial = planted(parts_of(honest(1500)), None, 0.5, 0)
    first, second = (run_defence(defence(name), trial, None, 1) for _ in range(2))
    assert first == second
    assert first.accuracies["id"] > 0.65
    assert first.probes == {}


def test_group_weights_make_the_groups_count_alike() -> None:
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
    with pytest.raises(ValueError, match="plant"):
        load_plant(file)
