"""The eraser of artefacts: it finds what is planted, takes it out, and leaves honest features alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from research.shortcuts.plants import Agreement, KnownPlant, Noise, Scaled, Watermark, agreeing_signs, with_genuine_signal
from research.shortcuts.rows import Rows
from research.shortcuts.trial import probe
from stream.domain.features import Floats
from stream.domain.modality import Modality
from stream.training.eraser.artefacts import fit_eraser
from stream.training.eraser.blocks import Blocks, Labels, joined
from stream.training.eraser.effect import effect_of_mark
from stream.training.eraser.sources import clusters, sides, whitened
from stream.training.eraser.spread import MOST_HONEST_ORDER, find_spread, right_order
from tests.support.tiny_features import honest, marked

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "places",
    [(Modality.AUDIO, Modality.VIDEO), (Modality.TEXT,), (Modality.AUDIO,), (Modality.VIDEO,)],
    ids="+".join,
)
def test_a_watermark_is_found_and_erased_wherever_it_is(places: tuple[Modality, ...]) -> None:
    train_rows, _ = marked(Watermark(places, 4.0), 0.9, honest())
    fresh, fresh_marks = marked(Watermark(places, 4.0), 0.5, honest(seed=1))
    eraser = fit_eraser(train_rows.blocks, train_rows.labels)
    assert set(eraser.bases) == set(places)
    readings = eraser.strata(fresh.blocks)
    assert max((readings == (fresh_marks > 0)).mean(), (readings != (fresh_marks > 0)).mean()) > 0.99
    assert probe(joined(fresh.blocks), fresh_marks) > 0.97
    assert probe(joined(eraser(fresh.blocks)), fresh_marks) < 0.72


def test_what_tells_the_label_survives_erasure_of_a_watermark_in_the_same_block() -> None:
    plant = Watermark((Modality.TEXT,), 4.0)
    train_rows, _ = marked(plant, 0.9, honest())
    fresh, _ = marked(plant, 0.5, honest(seed=1))
    eraser = fit_eraser(train_rows.blocks, train_rows.labels)
    signs = (2.0 * fresh.labels - 1.0).astype(np.float32)
    before, after = probe(honest(seed=1).blocks[Modality.TEXT], signs), probe(eraser(fresh.blocks)[Modality.TEXT], signs)
    assert after > before - 0.05


def test_an_agreement_of_two_blocks_is_two_artefacts() -> None:
    train_rows, _ = marked(Agreement(Modality.AUDIO, Modality.VIDEO, 4.0), 0.9, honest())
    eraser = fit_eraser(train_rows.blocks, train_rows.labels)
    assert len(eraser.artefacts) == 2
    assert [set(artefact.effects) for artefact in sorted(eraser.artefacts, key=lambda a: min(a.effects))] == [{"audio"}, {"video"}]
    assert eraser.frequencies.shape == (4,)
    assert eraser.frequencies.sum() == pytest.approx(1.0)


def test_two_marks_that_both_come_with_the_label_are_both_erased() -> None:
    first, second = Watermark((Modality.AUDIO,), 4.0), Watermark((Modality.VIDEO,), 4.0)
    rows, _ = marked(second, 0.9, marked(first, 0.9, honest(), seed=3)[0], seed=4)
    eraser = fit_eraser(rows.blocks, rows.labels)
    assert len(eraser.artefacts) == 2
    fresh, first_marks = marked(first, 0.5, honest(seed=1), seed=3)
    both, second_marks = marked(second, 0.5, fresh, seed=4)
    erased = joined(eraser(both.blocks))
    assert max(probe(erased, first_marks), probe(erased, second_marks)) < 0.75


def test_without_an_artefact_nothing_changes() -> None:
    rows = honest()
    eraser = fit_eraser(rows.blocks, rows.labels)
    assert not eraser.found
    assert all(eraser(rows.blocks)[m] is rows.blocks[m] for m in rows.blocks)
    assert eraser.strata(rows.blocks).max() == 0


def test_a_faint_mark_that_agrees_too_well_is_an_artefact_and_one_that_does_not_stays() -> None:
    places = (Modality.AUDIO,)
    faint, genuine = marked(Watermark(places, 2.0), 0.97, honest())[0], with_genuine_signal(honest(), (0, 7, 0))
    assert fit_eraser(faint.blocks, faint.labels).bases.keys() == {Modality.AUDIO}
    assert not fit_eraser(genuine.blocks, genuine.labels).found


def told_by_spread(train: Floats, labels: Labels, fresh: Floats, marks: Floats) -> float:
    """How well the likelihood ratio of two Gaussians, fitted to the labels by their covariances, tells fresh marks: .5 is chance."""
    one, other = (np.linalg.inv(np.cov(train[labels == label].T) + 1e-3 * np.eye(train.shape[1])) for label in (1, 0))
    centred = fresh - train.mean(axis=0)
    return right_order(np.einsum("ij,jk,ik->i", centred, other - one, centred), (marks > 0).astype(np.int64))


@pytest.mark.parametrize("place", list(Modality))
@pytest.mark.parametrize("kind", ["scaled", "noise"])
def test_an_artefact_in_the_spread_of_any_block_is_found_and_erased(kind: str, place: Modality) -> None:
    plant: KnownPlant = Scaled(place, 1.5) if kind == "scaled" else Noise(place, 1.0)
    rows, _ = marked(plant, 0.9, honest())
    fresh, marks = marked(plant, 0.5, honest(seed=1))
    eraser = fit_eraser(rows.blocks, rows.labels)
    assert set(eraser.spreads) == {place}
    assert eraser.bases == {}
    readings = eraser.strata(fresh.blocks)
    assert (readings == (marks > 0)).mean() > 0.9
    erased = eraser(fresh.blocks)
    before = told_by_spread(rows.blocks[place], rows.labels, fresh.blocks[place], marks)
    after = told_by_spread(eraser(rows.blocks)[place], rows.labels, erased[place], marks)
    assert before > 0.95
    assert abs(after - 0.5) < 0.1 if kind == "scaled" else after < before - 0.05, "noise stays in the directions of rows"
    others = [m for m in rows.blocks if m is not place]
    assert all(erased[m] is fresh.blocks[m] for m in others)


def test_the_label_survives_erasure_of_the_spread_and_strength_may_vary_between_rows() -> None:
    rows = honest()
    rng = np.random.default_rng(0)

    def scaled(clean: Rows, p: float) -> tuple[Floats, Floats]:
        signs = agreeing_signs(clean.labels, rng, p)
        strength = rng.uniform(0.5, 2.0, signs.size)
        return (clean.blocks[Modality.TEXT] * np.exp(0.4 * strength * signs)[:, None]).astype(np.float32), signs

    found = find_spread(scaled(rows, 0.9)[0], rows.labels)
    assert found is not None
    fresh = honest(seed=1)
    block, marks = scaled(fresh, 0.5)
    erased = found(block)
    assert right_order(np.linalg.norm(block, axis=1), (marks > 0).astype(np.int64)) > 0.9
    assert abs(right_order(np.linalg.norm(erased, axis=1), (marks > 0).astype(np.int64)) - 0.5) < 0.1
    signs = (2.0 * fresh.labels - 1.0).astype(np.float32)
    assert probe(erased, signs) > probe(fresh.blocks[Modality.TEXT], signs) - 0.04


def test_a_mark_on_both_sides_along_one_direction_is_in_the_spread() -> None:
    def plant(rows: Rows, p: float, rng: np.random.Generator) -> tuple[Blocks, Floats]:
        block = rows.blocks[Modality.VIDEO]
        signs = agreeing_signs(rows.labels, rng, p)
        move = 4.0 * rng.choice((-1.0, 1.0), signs.size) * (signs > 0)
        added = np.outer(move, np.ones(block.shape[1]) / np.sqrt(block.shape[1]))
        return rows.blocks | {Modality.VIDEO: (block + added).astype(np.float32)}, signs

    rows, fresh = honest(), honest(seed=1)
    eraser = fit_eraser(plant(rows, 0.9, np.random.default_rng(0))[0], rows.labels)
    blocks, marks = plant(fresh, 0.5, np.random.default_rng(1))
    assert eraser.found
    length = np.abs(eraser(blocks)[Modality.VIDEO].sum(axis=1))
    assert right_order(np.abs(blocks[Modality.VIDEO].sum(axis=1)), (marks > 0).astype(np.int64)) > 0.9
    assert abs(right_order(length, (marks > 0).astype(np.int64)) - 0.5) < 0.2


def test_the_spread_of_honest_blocks_is_left_alone() -> None:
    for seed in range(5):
        rows = with_genuine_signal(honest(seed=seed), (seed, 7, 0))
        assert all(find_spread(block, rows.labels) is None for block in rows.blocks.values())
    uneven, _ = marked(Scaled(Modality.AUDIO, 1.5), 0.5, honest())
    assert find_spread(uneven.blocks[Modality.AUDIO], uneven.labels) is None, "a spread that does not come with the label is honest"


def test_too_few_rows_tell_nothing_about_a_spread() -> None:
    rows, _ = marked(Scaled(Modality.AUDIO, 2.0), 0.9, honest())
    block, labels = rows.blocks[Modality.AUDIO], rows.labels
    fewest = 3 * block.shape[1]
    assert find_spread(block, labels) is not None
    assert find_spread(block[: fewest - 1], labels[: fewest - 1]) is None


def test_labels_that_lie_apart_may_vary_differently_there() -> None:
    rows = honest()
    block = rows.blocks[Modality.VIDEO].copy()
    strong = np.random.default_rng(5).gamma(2.0, 1.0, rows.labels.size)
    block[:, 0] = np.where(rows.labels > 0, 6.0 * strong, -0.5 * strong)
    assert right_order(block[:, 0] ** 2, rows.labels) > 0.9
    assert find_spread(block, rows.labels) is None


def test_a_row_without_spread_stays_where_it_is() -> None:
    rows, _ = marked(Scaled(Modality.AUDIO, 1.5), 0.9, honest())
    found = find_spread(rows.blocks[Modality.AUDIO], rows.labels)
    assert found is not None
    at_mean = found.mean[None, :].astype(np.float32)
    np.testing.assert_allclose(found(at_mean), at_mean, atol=1e-4)


def test_the_order_of_labels_is_the_area_under_the_curve() -> None:
    assert right_order(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])) == 0.75
    assert 0.5 < MOST_HONEST_ORDER < 1


def test_fitting_twice_gives_the_same_eraser_and_one_modality_is_enough() -> None:
    rows, _ = marked(Watermark((Modality.AUDIO,), 4.0), 0.9, honest())
    alone = replace(rows, blocks={Modality.AUDIO: rows.blocks[Modality.AUDIO]})
    first, second = fit_eraser(alone.blocks, alone.labels), fit_eraser(alone.blocks, alone.labels)
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


def test_the_sharpest_direction_is_the_one_with_two_clusters() -> None:
    rng = np.random.default_rng(0)
    signs = rng.choice((-1.0, 1.0), 800)
    features = rng.standard_t(4, (800, 15)).astype(np.float32)
    features[:, 4] = 3.0 * signs + rng.standard_normal(800)
    (sharpness, found), (second, _) = clusters(whitened(features, 15), 2, 0)
    assert abs(float((found * signs).mean())) > 0.99
    assert sharpness > 0.93 > second
    np.testing.assert_array_equal(sides(np.array([5.0, 0.1, 4.8, 0.0, -0.2])), [1, -1, 1, -1, -1])
