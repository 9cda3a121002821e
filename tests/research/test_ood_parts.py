"""The parts of the out-of-distribution benchmark agree with theory and arithmetic."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
import torch
from torch import Tensor

from research.benchmarks.ood_runs import attack, conflict, halves, smoothing
from research.benchmarks.ood_runs.bootstrap import Draws, interval
from research.benchmarks.ood_runs.corruption import area, dropped, noised
from research.benchmarks.ood_runs.halves import HeldOut, read_half
from research.experiments.corpus import Corpus, standardised
from research.experiments.mosi import read_mosi
from research.experiments.windows import Windows
from stream.domain.features import Floats
from stream.domain.modality import Modality
from stream.training.corpora import Part
from stream.training.errors import TrainingError
from tests.support.tiny_mosi import write_mosi

NORMS: tuple[attack.Norm, ...] = ("linf", "l2")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return standardised(read_mosi(write_mosi(tmp_path_factory.mktemp("data")), "bclstm"))


def test_the_means_of_draws_are_the_means_of_the_drawn_videos() -> None:
    values = np.array([1.0, 0.0, 1.0, 1.0], dtype=np.float32)
    found = Draws(["a", "a", "b", "b"], draws=500).means(values, np.array([True, True, True, False]))
    assert set(np.round(found, 6)) == {0.5, round(2 / 3, 6), 1.0}
    means = Draws(["a", "b"], draws=200).means(values[:2], np.array([True, False]))
    assert np.isnan(means).any(), "a draw of b alone has no window that counts"


def test_an_interval_over_videos_is_wider_than_an_interval_over_independent_windows() -> None:
    rng = np.random.default_rng(0)
    by_video = np.repeat(rng.integers(0, 2, 40), 10).astype(np.float32)
    everything = np.ones(400, dtype=bool)
    low, high = interval(Draws([str(i // 10) for i in range(400)]).means(by_video, everything))
    narrow = interval(Draws([str(i) for i in range(400)]).means(by_video, everything))
    assert (high - low) > 2 * (narrow[1] - narrow[0])
    assert abs((high - low) - 2 * 1.96 * by_video.std() / 40**0.5) < 0.05


def known_drop() -> tuple[HeldOut, dict[str, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]]:
    """A thousand windows of fifty videos. The half consists of every second window."""
    truth = np.where(np.arange(1_000) % 3 == 0, -1.0, 1.0).astype(np.float32)
    ids = tuple(f"v{row // 20}_{row}" for row in range(1_000))
    return HeldOut(ids, tuple(name.split("_")[0] for name in ids), truth), {"one": np.arange(1_000) % 2 == 0}


def scores_with(test: HeldOut, half: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], wrong_in: int, wrong_out: int) -> Floats:
    """Scores of one seed with the given number of errors per hundred windows, in the half and in the rest."""
    scores = test.truth.copy()
    for among, wrong in ((half, wrong_in), (~half, wrong_out)):
        rows = np.flatnonzero(among)
        scores[rows[np.arange(rows.size) % 100 < wrong]] *= -1
    return scores[None]


def test_a_known_drop_and_its_ratio_are_measured() -> None:
    test, masks = known_drop()
    rows = {"erm": scores_with(test, masks["one"], 30, 10), "ours": scores_with(test, masks["one"], 20, 10)}
    found = halves.measure(test, masks, rows, {"ours": "erm", "erm": "erm"})
    erm, ours = found["erm"]["acc2_non0"], found["ours"]["acc2_non0"]
    assert (erm["ood"], erm["rest"], erm["drop"], ours["drop"]) == (0.7, 0.9, 0.2, 0.1)
    assert erm["interval"][0] < 0.2 < erm["interval"][1]
    assert abs(erm["random"]["mean"]) < 0.01
    assert erm["random"]["as_large"] == 0.0
    assert "against" not in erm
    assert ours["against"] | {"interval": 0, "ratio_interval": 0} == {
        "row": "erm",
        "difference": -0.1,
        "ratio": 0.5,
        "interval": 0,
        "ratio_interval": 0,
    }
    assert ours["against"]["interval"][1] < 0.0, "such a large paired difference is not due to chance"


def test_the_drop_of_a_model_without_a_drop_is_like_that_of_random_halves() -> None:
    test, masks = known_drop()
    rng = np.random.default_rng(0)
    scores = np.stack([np.where(rng.random(1_000) < 0.2, -1, 1) * test.truth for _ in range(3)])
    row = halves.measure(test, masks, {"a": scores}, {})["a"]
    assert row["seeds"] == 3
    assert row["acc2_has0"]["interval"][0] < 0 < row["acc2_has0"]["interval"][1]
    assert 0.02 < row["acc2_has0"]["random"]["as_large"] < 0.98


def test_the_two_conventions_count_zeros_differently() -> None:
    test = HeldOut(("a", "b", "c"), ("v", "v", "w"), np.array([0.0, 1.0, -1.0], dtype=np.float32))
    scores = np.array([[-1.0, 1.0, -1.0]], dtype=np.float32)
    accuracies = {name: float(halves.right(scores, test.truth, name)[0][among].mean()) for name, among in test.conventions().items()}
    assert accuracies == {"acc2_non0": 1.0, "acc2_has0": pytest.approx(2 / 3)}


def test_halves_are_read_in_three_formats_and_others_are_refused(tmp_path: Path) -> None:
    tests = {
        "bclstm": HeldOut(("a", "b", "c"), ("v",) * 3, np.ones(3, np.float32)),
        "std": HeldOut(("c", "d"), ("v",) * 2, np.ones(2, np.float32)),
    }

    def read(content: object, split: str) -> list[bool] | None:
        file = tmp_path / "ids.json"
        file.write_text(json.dumps(content), encoding="utf-8")
        found = read_half(file, split, tests)
        return None if found is None else found.tolist()

    assert read({"std": {"ood_test_ids": ["d"]}, "bclstm": {"ood_test_ids": ["a", "c"]}}, "bclstm") == [True, False, True]
    assert read({"std": {"ood_test_ids": ["d"]}}, "bclstm") is None
    assert read(["a", "b"], "bclstm") == [True, True, False]
    assert read(["a", "b"], "std") is None
    assert read({"ood_test_ids": ["c"]}, "std") == [True, False]
    with pytest.raises(TrainingError, match="not test windows of the std split"):
        read({"std": {"ood_test_ids": ["a"]}}, "std")
    for wrong in (["a", "d"], {"something": 1}, 3):
        with pytest.raises(TrainingError, match="expected a list of ids"):
            read(wrong, "bclstm")


@pytest.mark.parametrize(("norm", "dual"), [("linf", 1), ("l2", 2)])
@pytest.mark.parametrize("radius", [0.0, 0.1, 0.7])
def test_an_attack_lowers_the_margin_of_a_linear_model_by_radius_times_dual_norm(norm: attack.Norm, dual: int, radius: float) -> None:
    generator = torch.Generator().manual_seed(0)
    weights, points = torch.randn(9, generator=generator), torch.randn(50, 9, generator=generator)
    found = attack.least_margins(lambda x: x @ weights, points, radius, norm, generator)
    expected = points @ weights - radius * torch.linalg.vector_norm(weights, dual)
    assert torch.allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("norm", NORMS)
def test_attacked_points_stay_in_the_ball_even_with_a_curved_margin(norm: attack.Norm) -> None:
    generator = torch.Generator().manual_seed(1)
    start, distances = torch.randn(20, 6, generator=generator), []

    def margin(points: Tensor) -> Tensor:
        offset = (points - start).detach()
        distances.append(float(torch.linalg.vector_norm(offset, torch.inf if norm == "linf" else 2, dim=1).max()))
        return torch.tanh(20 * points).sum(dim=1) * torch.cos(points).prod(dim=1)

    attack.least_margins(margin, start, 0.3, norm, generator)
    assert 0.29 < max(distances) <= 0.3 + 1e-5


def test_unpacked_values_return_to_their_modality(corpus: Corpus) -> None:
    window = Windows(corpus).batch(np.arange(5))[0].window
    chosen = (Modality.VIDEO, Modality.TEXT)
    points = attack.packed(window, chosen)
    assert points.shape == (5, 6 + 5)
    unpacked = attack.unpacked(window, points + 1.0, chosen)
    assert torch.equal(unpacked[Modality.TEXT].values, window[Modality.TEXT].values + 1.0)
    assert torch.equal(unpacked[Modality.VIDEO].values, window[Modality.VIDEO].values + 1.0)
    assert unpacked[Modality.AUDIO] is window[Modality.AUDIO]


def test_clopper_pearson_bounds_equal_published_tables() -> None:
    assert smoothing.lower_bound(100, 100, 0.001) == pytest.approx(0.001**0.01, abs=1e-9)
    assert smoothing.lower_bound(1, 1_000, 0.05) == pytest.approx(1 - 0.95**0.001, abs=1e-9)
    assert smoothing.lower_bound(8, 10, 0.05) == pytest.approx(0.4931, abs=1e-4)
    assert smoothing.lower_bound(0, 10, 0.05) == 0.0
    assert smoothing.radius_of(500, 1_000, 1.0) == 0.0, "half of the draws gives no certificate"


def test_the_certified_radius_of_a_linear_model_is_its_distance_from_the_boundary() -> None:
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(12, generator=generator)
    weights /= weights.norm()
    points = torch.randn(60, 12, generator=generator)
    distance = points @ weights
    found = smoothing.certify(lambda _, x: x @ weights > 0, points, 1.0, generator)
    assert bool((found.positive == (distance > 0))[distance.abs() > 0.2].all())
    certified, true = torch.from_numpy(found.radius), distance.abs()
    largest = NormalDist().inv_cdf(smoothing.lower_bound(smoothing.SAMPLES, smoothing.SAMPLES, smoothing.ALPHA))
    assert bool((certified <= true + 0.02).all()), "a certificate never exceeds the true distance"
    within = (true > 0.3) & (true < largest)
    assert float((true - certified)[within].max()) < 0.45
    assert float((true - certified)[within].mean()) < 0.2


def test_the_certified_curve_counts_right_predictions_that_remain() -> None:
    radius, correct = np.array([0.0, 0.4, 1.0, 2.0], np.float32), np.array([1, 1, 0, 1], np.float32)
    assert smoothing.curve(radius, correct, (0.0, 0.5, 2.0)) == {"0": 0.5, "0.5": 0.25, "2": 0.25}


def test_dropped_shares_are_nested_and_affect_only_test_windows_of_one_modality(corpus: Corpus) -> None:
    test = corpus.rows(Part.TEST)
    quarter, half, everything = (dropped(corpus, Modality.AUDIO, share, 0).features[Modality.AUDIO].mask[:, 0] for share in (0.25, 0.5, 1))
    assert (test.size - quarter[test].sum(), test.size - half[test].sum(), everything[test].sum()) == (test.size // 4, test.size // 2, 0)
    assert bool((half <= quarter).all())
    assert everything.sum() == len(corpus) - test.size
    changed = dropped(corpus, Modality.AUDIO, 1.0, 0)
    assert changed.features[Modality.TEXT] is corpus.features[Modality.TEXT]
    past = Windows(changed, past=2).batch(test)[0].past
    assert float(past.mask[Modality.AUDIO].sum()) == 0.0 < float(past.mask[Modality.TEXT].sum())


def test_noise_has_the_right_size_and_leaves_training_windows_unchanged(corpus: Corpus) -> None:
    wide = replace(corpus, features=corpus.features | {Modality.TEXT: replace(corpus.features[Modality.TEXT])})
    before, after = wide.features[Modality.TEXT].values, noised(wide, Modality.TEXT, 2.0, 0).features[Modality.TEXT].values
    test = wide.rows(Part.TEST)
    assert 1.6 < (after - before)[test].std() < 2.4
    assert np.array_equal(np.delete(after, test, axis=0), np.delete(before, test, axis=0))
    assert np.array_equal(noised(wide, Modality.TEXT, 0.0, 0).features[Modality.TEXT].values, before)


def test_the_area_is_the_mean_height_of_the_curve() -> None:
    assert area({0.0: 0.8, 0.5: 0.8, 1.0: 0.4}) == pytest.approx(0.7)
    assert area({0.0: 0.8, 4.0: 0.4}) == pytest.approx(0.6)


def test_conflict_and_agreement_are_counted_separately() -> None:
    test = HeldOut(tuple("abcdef"), tuple("vvvwww"), np.array([1, -1, 2, -2, 0, 1], np.float32))
    text, audio = np.array([[1, -1, 1, -1, 1, 1]], np.float32), np.array([[1, -1, -1, 1, -1, 1]], np.float32)
    mask = conflict.disagreeing(text, audio)
    assert mask.tolist() == [False, False, True, True, True, False]
    found = conflict.numbers(test, audio, mask, Draws(test.videos))
    assert (found["conflict"]["n"], found["conflict"]["accuracy"]) == (2, 0.0)
    assert (found["agreement"]["n"], found["agreement"]["accuracy"]) == (3, 1.0)
