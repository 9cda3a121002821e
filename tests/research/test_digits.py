"""Spoken-digit images: the samples and their masks, the network's explanation, the scores of maps, the training and the benchmark."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import xai_digits
from benchmarks.markdown import fill_tables
from research.digits import compose as composing
from research.digits.compose import BLANK, CELL_PIXELS, PATCH, SIDE_CELLS, TILE, Samples, compose, compose_plain, patched
from research.digits.consistency import sample_weights, with_other_background
from research.digits.corpus import MEL_BINS, Corpus, Images, Part, Recordings, audible, log_mel, read_corpus
from research.digits.maps import intensity
from research.digits.network import DigitNetwork
from research.digits.rows import BASE, LOOP, ROWS, Row
from research.digits.scores import answer_scores, answers, best_box, blanked, iou, map_scores, patch_share, perturbed, top_cells
from research.digits.store import Store
from research.digits.tables import over_seeds, tables_of
from research.digits.training import Masks, Recipe, fit, inputs_of, loss_of, masks_of
from research.digits.trial import Size, Trial
from research.pages import DIGITS_PAGE
from stream.domain.modality import MODALITIES, Modality
from stream.training.errors import TrainingError

SPEAKERS = np.arange(5)


def images(count: int = 400) -> Images:
    """Bars, whose height tells the digit."""
    digits = np.arange(count) % 10
    pixels = np.zeros((count, 28, 28), dtype=np.uint8)
    for image, digit in zip(pixels, digits, strict=True):
        image[6 : 8 + digit, 10:16] = 200
    order = np.argsort(pixels.sum(axis=(1, 2)), kind="stable")
    return Images(pixels[order], digits[order])


def recordings() -> Recordings:
    """Two recordings of each digit and speaker, of 10 to 19 frames; frames are numbered by their digit."""
    digits, speakers = np.tile(np.arange(10), 12), np.repeat(np.arange(6), 20)
    lengths = 10 + digits
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    frames = np.repeat(digits, lengths)[:, None] + np.zeros((1, MEL_BINS))
    return Recordings(frames.astype(np.float32), starts, lengths, digits, speakers)


def samples(count: int = 200, seed: int = 0) -> Samples:
    return compose(images(), recordings(), SPEAKERS, count, np.random.default_rng(seed))


def test_at_least_one_modality_holds_the_digit_and_none_alone_can_answer_eight_of_ten() -> None:
    holds = composing._holds(20_000, np.random.default_rng(0))
    assert holds.any(axis=1).all()
    share = holds.mean(axis=0)
    assert (share + (1 - share) / 10 < 0.8).all()
    assert (share > 0.75).all()


def test_masks_are_where_the_digit_is() -> None:
    made = samples()
    text, audio, image = made.word_mask.any(axis=1), made.sound_mask.any(axis=1), made.ink_mask.any(axis=(1, 2))
    assert (made.words[made.word_mask] == made.digits[text]).all()
    assert (made.words[~made.word_mask] >= 10).all(), "no other word names a digit"
    heard = made.sound.mean(axis=2).reshape(len(made), -1, 4)
    inside = np.isclose(heard, made.digits[:, None, None]).mean(axis=2) >= 0.5
    assert inside[audio][made.sound_mask[audio]].all()
    assert (np.abs(made.sound_mask[audio].sum(axis=1) * 4 - (10 + made.digits[audio])) <= 4).all()
    for i in np.flatnonzero(image):
        rows, columns = np.nonzero(made.ink_mask[i])
        assert made.box_mask[i].sum() == (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
        at = (rows.min() * CELL_PIXELS // TILE * TILE, columns.min() * CELL_PIXELS // TILE * TILE)
        tile = made.image[i, at[0] : at[0] + TILE, at[1] : at[1] + TILE]
        assert (tile > 0).any(axis=1).sum() == 2 + made.digits[i], "the digit is whole and not scrambled"


def test_scrambled_digits_have_the_ink_of_the_digit() -> None:
    varied = Images(np.random.default_rng(0).integers(0, 255, (1_000, 28, 28)).astype(np.uint8), np.arange(1_000) % 10)
    order = np.argsort(varied.pixels.sum(axis=(1, 2)))
    image, *_ = composing._pictures(
        Images(varied.pixels[order], varied.digits[order]),
        np.zeros(50, dtype=np.int64),
        np.zeros(50, dtype=np.bool_),
        np.random.default_rng(1),
    )
    ink = image.reshape(50, 2, TILE, 2, TILE).sum(axis=(2, 4), dtype=np.int64).reshape(50, 4)
    assert (ink.max(axis=1) / ink.min(axis=1) < 1.05).all()


def test_scrambling_keeps_every_pixel() -> None:
    tile = np.arange(TILE * TILE).reshape(TILE, TILE).astype(np.uint16)
    scrambled = composing._scrambled(tile.astype(np.uint8), np.random.default_rng(0))
    assert sorted(scrambled.ravel()) == sorted(tile.astype(np.uint8).ravel())
    assert (scrambled != tile.astype(np.uint8)).any()


def test_a_sound_is_of_one_speaker() -> None:
    own = recordings()
    frames = np.repeat(own.speakers, own.lengths)[:, None].astype(np.float32) + np.zeros((1, MEL_BINS), dtype=np.float32)
    spoken = replace(own, frames=frames)
    made = compose(images(), spoken, SPEAKERS, 50, np.random.default_rng(0))
    assert (made.sound == made.sound[:, :1]).all()
    assert set(np.unique(made.sound)) <= set(SPEAKERS), "the left-out speaker is not heard"


def test_samples_follow_from_the_seed() -> None:
    first, second = samples(20), samples(20)
    assert all(np.array_equal(getattr(first, name), getattr(second, name)) for name in Samples.__slots__)
    assert not np.array_equal(first.image, samples(20, seed=1).image)


def test_plain_samples_have_no_words_and_no_distractors() -> None:
    made = compose_plain(images(), recordings(), SPEAKERS, 20, np.random.default_rng(0))
    assert (made.words == BLANK).all()
    assert made.sound_mask.any(axis=1).all()
    dark = made.image.reshape(20, 14, 4, 14, 4).max(axis=(2, 4)) == 0
    assert (dark | made.box_mask).all()


def test_a_patch_names_the_digit_as_often_as_asked() -> None:
    made = samples(1_000)
    never, often = (patched(made, agreement, np.random.default_rng(0)) for agreement in (0.0, 0.95))
    own = composing._patches()[made.digits]
    agrees = [(each.image[:, :PATCH, :PATCH] == own).all(axis=(1, 2)).mean() for each in (never, often)]
    assert not often.ink_mask[:, :2, :2].any()
    assert agrees[0] == 0
    assert 0.93 < agrees[1] < 0.97
    assert len(np.unique(composing._patches().reshape(10, -1), axis=0)) == 10


def test_silence_around_a_recording_is_cut_off() -> None:
    samples_ = np.zeros(8_000, dtype=np.float32)
    samples_[2_560:5_120] = np.sin(np.arange(2_560))
    assert audible(samples_) == slice(2_560, 5_120)
    mel = log_mel(samples_[audible(samples_)])
    assert mel.shape == (20, MEL_BINS)
    assert mel.max() == 0
    assert mel.min() >= -6


def test_without_its_corpora_the_benchmark_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrainingError, match=r"mnist.t10k\.npz is missing"):
        read_corpus(tmp_path)
    monkeypatch.setattr("sys.argv", ["xai_digits", "--data", str(tmp_path), "--quick"])
    with pytest.raises(SystemExit) as ended:
        xai_digits.main()
    assert ended.value.code == 2


def test_evidence_adds_up_to_the_logits() -> None:
    made = samples(16)
    network = DigitNetwork().eval()
    with torch.no_grad():
        answer = network(inputs_of(made, slice(None)))
        digits = torch.from_numpy(made.digits)
        total = sum(cells.sum(dim=1) for cells in answer.evidence(digits).values())
    assert torch.allclose(total + network.bias[digits], answer.logits.gather(1, digits[:, None])[:, 0], atol=1e-4)
    assert all((weights.sum(dim=1) < 1).all() for weights in answer.attention.values()), "the rest is nowhere"


def test_grad_cam_is_that_of_the_backward_pass() -> None:
    made = samples(4)
    network = DigitNetwork().eval()
    answer = network(inputs_of(made, slice(None)))
    digits = torch.from_numpy(made.digits)
    for modality in MODALITIES:
        attended = (answer.attention[modality][:, :, None] * answer.features[modality]).detach().requires_grad_()
        logit = (attended.sum(dim=1) * answer.weights[modality][digits].detach()).sum()
        (slope,) = torch.autograd.grad(logit, attended)
        alpha = slope**2 / (2 * slope**2 + attended.sum(dim=1, keepdim=True) * slope**3)
        channel = (slope.relu() * alpha.nan_to_num()).mean(dim=1)
        expected = (attended @ channel[:, :, None])[:, :, 0].relu()
        assert torch.allclose(answer.grad_cam(digits)[modality], expected, atol=1e-6)


def test_each_modality_also_learns_to_answer_alone() -> None:
    made = samples(16)
    network = DigitNetwork().eval()
    answer, digits = network(inputs_of(made, slice(None))), torch.from_numpy(made.digits)
    assert torch.allclose(sum(answer.alone.values()) + network.bias, answer.logits, atol=1e-5)
    unknown = Masks(masks_of(made, slice(None)), torch.zeros(16, dtype=torch.bool))
    together = loss_of(answer, digits, unknown, replace(BASE, alone_weight=0.0))
    alone = sum(torch.nn.functional.cross_entropy(evidence, digits) for evidence in answer.alone.values())
    assert torch.isclose(loss_of(answer, digits, unknown, BASE), together + BASE.alone_weight * alone)


def test_only_known_masks_count() -> None:
    made = samples(16)
    network = DigitNetwork().eval()
    answer, digits = network(inputs_of(made, slice(None))), torch.from_numpy(made.digits)
    masks = masks_of(made, slice(None))
    nothing, everything = torch.zeros(16, dtype=torch.bool), torch.ones(16, dtype=torch.bool)
    plain = loss_of(answer, digits, Masks(masks, everything), BASE)
    assert loss_of(answer, digits, Masks(masks, nothing), LOOP) == plain
    for recipe in (
        replace(BASE, gate_weight=1.0),
        replace(BASE, cam_weight=1.0),
        replace(BASE, positive_weight=1.0),
        replace(BASE, patch_weight=1.0),
    ):
        assert loss_of(answer, digits, Masks(masks, everything), recipe) > plain, recipe


def test_samples_whose_explanations_change_weigh_more() -> None:
    made = samples(16)
    network = DigitNetwork().eval()
    inputs, digits = inputs_of(made, slice(None)), torch.from_numpy(made.digits)
    answer = network(inputs)
    changed = with_other_background(inputs, answer, torch.Generator().manual_seed(0))
    attention = answer.attention[Modality.VIDEO].reshape(16, SIDE_CELLS, SIDE_CELLS)
    kept = attention.repeat_interleave(CELL_PIXELS, dim=1).repeat_interleave(CELL_PIXELS, dim=2) >= attention.mean(dim=(1, 2), keepdim=True)
    assert torch.equal(changed.image[kept], inputs.image[kept])
    assert not torch.equal(changed.image, inputs.image)
    assert torch.equal(changed.words, inputs.words)
    weights, again = (sample_weights(network, inputs, answer, digits, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(weights, again)
    assert weights.mean().item() == pytest.approx(1.0)
    assert weights.std() > 0
    assert not weights.requires_grad
    unknown = Masks(masks_of(made, slice(None)), torch.zeros(16, dtype=torch.bool))
    assert loss_of(answer, digits, unknown, BASE, torch.ones(16)) == loss_of(answer, digits, unknown, BASE)
    assert loss_of(answer, digits, unknown, BASE, weights) != loss_of(answer, digits, unknown, BASE)


def test_some_rows_can_be_measured_and_the_others_stay() -> None:
    stored = {
        "rows": {"no loop": {"a": 1}, "text alone": {"a": 2}},
        "more": {"seeds": {"no loop": [0, 1], "text alone": [0]}, "seconds": 9},
    }
    own = {"rows": {"text alone": {"a": 3}}, "more": {"seeds": {"text alone": [0, 1]}}}
    found = xai_digits.with_other_rows(own, stored)
    assert found["rows"] == {"no loop": {"a": 1}, "text alone": {"a": 3}}
    assert found["more"]["seeds"] == {"no loop": [0, 1], "text alone": [0, 1]}


def test_iou_of_the_best_cells_and_of_the_best_box() -> None:
    cells = np.array([[0.1, 0.9, 0.8, 0.0], [0.0, 0.0, 0.0, 0.0]], dtype=np.float32)
    assert top_cells(cells, np.array([2, 0])).tolist() == [[False, True, True, False], [False] * 4]
    true = np.array([[True, True, False, False], [False] * 4])
    assert iou(top_cells(cells, np.array([2, 0])), true).tolist() == [1 / 3, 0.0]
    grid = np.zeros((5, 5), dtype=np.float32)
    grid[1:3, 2:5] = 1.0
    box = np.zeros((5, 5), dtype=np.bool_)
    box[2:4, 2:5] = True
    assert iou(best_box(grid, box)[None], box[None])[0] == pytest.approx(3 / 9)


def test_perfect_answers_score_one_and_a_constant_answer_a_tenth() -> None:
    digits = np.arange(100) % 10
    assert answer_scores(np.eye(10, dtype=np.float32)[digits], digits) == {"accuracy": 1.0, "macro_f1": 1.0}
    constant = answer_scores(np.eye(10, dtype=np.float32)[np.zeros(100, dtype=int)], digits)
    assert constant == {"accuracy": 0.1, "macro_f1": pytest.approx(0.1 * 2 / 11)}


def test_blanked_cells_are_gone_and_others_as_they_were() -> None:
    made = samples(30)
    best = {Modality.TEXT: made.word_mask, Modality.AUDIO: made.sound_mask, Modality.VIDEO: made.ink_mask.reshape(30, -1)}
    without = blanked(made, best)
    assert (without.words >= 10).all()
    frames = made.sound_mask.repeat(4, axis=1)
    assert np.array_equal(without.sound[~frames], made.sound[~frames])
    assert without.sound[frames].shape
    pixels = made.ink_mask.repeat(4, axis=1).repeat(4, axis=2)
    assert (without.image[pixels] == 0).all()
    assert np.array_equal(without.image[~pixels], made.image[~pixels])


def test_perturbed_samples_are_the_same_each_time() -> None:
    made = samples(40)
    first = perturbed(made)
    assert np.array_equal(first.image, perturbed(made).image)
    assert 0.1 < (first.words == BLANK).mean() < 0.3
    assert np.std(first.sound - made.sound) == pytest.approx(1.0, abs=0.05)


def test_attention_on_the_patch_is_measured_where_there_is_no_digit() -> None:
    made = samples(40)
    weights = np.zeros((40, 196), dtype=np.float32)
    weights[~made.ink_mask.any(axis=(1, 2)), 0] = 0.5
    weights[made.ink_mask.any(axis=(1, 2)), 1] = 1.0
    assert patch_share(made, {Modality.VIDEO: weights}) == 0.5


def test_the_true_masks_are_the_best_map_and_intensity_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    made = samples(60)
    network = DigitNetwork().eval()
    probabilities, maps = answers(network, made)
    probabilities = np.eye(10, dtype=np.float32)[made.digits]
    oracle = {m: cells.numpy() for m, cells in masks_of(made, slice(None)).items()}
    found = map_scores(network, made, (probabilities, {"ours": oracle, "attention": maps["attention"]}))
    assert found["ours"]["top"] == 1.0
    assert found["ours"]["text_span"] == found["ours"]["audio_span"] == 1.0
    assert found["attention"]["top"] < 1.0
    assert found["random"]["top"] < 0.3
    assert set(found) == {"ours", "attention", "intensity", "centre", "random"}
    assert intensity(made)[Modality.AUDIO].shape == (60, 32)


@pytest.mark.slow
def test_training_learns_words_and_masks_open_the_gates_where_the_digit_is() -> None:
    made = samples(1_280)
    torch.manual_seed(0)
    network = DigitNetwork((Modality.TEXT,))
    fit(network, made, Recipe(12, 1e-2, masked=1.0, gate_weight=1.0), 0)
    probabilities, maps = answers(network, made)
    assert answer_scores(probabilities, made.digits)["accuracy"] > 0.75
    assert map_scores(network, made, (probabilities, maps))["ours"]["text"] > 0.95


@pytest.mark.slow
def test_a_seed_measures_each_row_once_and_starts_the_loop_from_the_kept_network(tmp_path: Path) -> None:
    parts = Corpus(dict.fromkeys(Part, images()), dict.fromkeys(Part, recordings()))
    trial = Trial(parts, 1, Size(train=128, test=20, epochs=1), tmp_path)
    numbers = trial.measured(ROWS["ours, 10 % of the masks"])
    assert set(numbers) == {"shared", "unheard", "perturbed", "maps", "maps_unheard", "maps_perturbed"}
    assert [file.stem for file in tmp_path.iterdir()] == [trial.key(Row(None))]
    assert Trial(parts, 1, Size(train=128, test=20, epochs=1), tmp_path).measured(ROWS["ours, 10 % of the masks"]) == numbers
    biased = trial.measured(ROWS["biased, after the loop"])
    assert set(biased) == {"clean", "like training", "flipped", "patch"}
    assert trial.key(ROWS["biased"]) != trial.key(ROWS["no loop"])


def test_a_run_is_continued_from_what_is_stored(tmp_path: Path) -> None:
    Store(tmp_path).put("key", "ours", 0, {"shared": {"accuracy": 0.9}})
    assert Store(tmp_path).get("key") == {"shared": {"accuracy": 0.9}}
    assert Store(tmp_path).get("other") is None
    assert json.loads((tmp_path / "measured.jsonl").read_text())["row"] == "ours"


def result() -> dict[str, Any]:
    """A result in which every number is .9 in one seed and .7 in another."""
    maps = {
        name: dict.fromkeys(("text", "audio", "video", "top", "text_span", "audio_span", "video_span", "span", "deletion"), 0.9)
        for name in ("ours", "random")
    }
    scores = {test: {"accuracy": 0.9, "macro_f1": 0.9} for test in ("shared", "unheard", "perturbed")}
    hard: dict[str, Any] = {**scores, **dict.fromkeys(("maps", "maps_unheard", "maps_perturbed"), maps)}
    biased = {test: {"accuracy": 0.9} for test in ("clean", "like training", "flipped")} | {"patch": {"attention": 0.9}}

    def lower(numbers: Any) -> Any:
        return {name: lower(each) for name, each in numbers.items()} if isinstance(numbers, dict) else 0.7

    per_row = {name: biased if row.task == "biased" else hard for name, row in ROWS.items()}
    rows = {name: over_seeds([numbers, lower(numbers)]) for name, numbers in per_row.items()}
    return xai_digits.headline(rows) | {"more": {"seeds": dict.fromkeys(rows, (0, 1))}}


def test_the_last_line_has_the_means_over_the_seeds() -> None:
    names = ("accuracy", "macro_f1", "iou_xai", "accuracy_heldout_speaker", "flipped_after_loop")
    assert {name: result()[name] for name in names} == dict.fromkeys(names, 0.8)
    assert set(result()["rows"]) == set(ROWS)
    assert set(xai_digits.headline({})) == {"rows"}


def test_tables_show_the_numbers_of_the_result() -> None:
    tables = {name: make() for name, make in tables_of(result()).items()}
    assert "| **ours** | 2 | 0.800 ± 0.100 |" in tables["answers"]
    assert "| random | 0.800 ± 0.100 |" in tables["maps"]
    assert "| attention on the patch, images without a digit | ≤ 0.01 | 0.800 ± 0.100 |" in tables["goals"]
    assert tables["biased"].count("\n") == 1 + sum(row.task == "biased" for row in ROWS.values())


def test_every_table_of_the_page_is_filled() -> None:
    filled = fill_tables(DIGITS_PAGE.read_text(encoding="utf-8"), tables_of(result()), of="digits")
    assert all(f"<!-- table: digits/{name} -->\n|" in filled for name in tables_of(result()))
