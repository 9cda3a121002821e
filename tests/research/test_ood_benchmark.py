"""The out-of-distribution benchmark on a synthetic corpus: each part, from the training to its table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.progress import Progress

from research.benchmarks import ood
from research.benchmarks.ood_runs import another_corpus, attack, disagreement, gaps, noise, pages, rows, smoothing, social
from research.benchmarks.ood_runs.bootstrap import Draws
from research.benchmarks.ood_runs.rows import ERM, Bench, every_row, family, role, with_gaps, without_modality
from research.experiments import run as experiments
from research.experiments import scores
from research.experiments.calibration import Answers
from research.experiments.config import ExperimentConfig, read_config
from research.experiments.corpus import Corpus, Features
from research.experiments.fit import answer
from research.experiments.mosi import read_mosi
from research.experiments.run import Folders
from research.pages import MODEL_PAGE
from stream.config.project import PROJECT_ROOT
from stream.domain.modality import Modality
from stream.training.corpora import Part
from stream.training.metrics import f1_scores
from tests.support.tiny_corpora import write_meld_with_speakers
from tests.support.tiny_mosi import write_mosi

pytestmark = pytest.mark.slow

FUSION, MMCI = "bclstm-fusion", "bclstm-mmci"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    folder = tmp_path_factory.mktemp("ood")
    data = write_mosi(folder / "data")
    corpus = read_mosi(data, "bclstm")
    test = [corpus.ids[row] for row in corpus.rows(Part.TEST)]
    for seed in range(3):
        half = np.random.default_rng(seed).permutation(test)[: len(test) // 2].tolist()
        (data / "mosi" / f"ood_wordlabel_seed{seed}.json").write_text(json.dumps({"bclstm": {"ood_test_ids": half}}), encoding="utf-8")
    write_meld_with_speakers(data)
    return Folders(data, folder / "runs", PROJECT_ROOT / "triton_models")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random vectors instead of MiniLM's, a few quick epochs, and few bootstrap draws for the intervals of a row."""
    monkeypatch.setattr(scores, "BOOTSTRAP_DRAWS", 20)

    def random_vectors(corpus: Corpus, *_: object) -> Features:
        return Features.of_vectors(np.random.default_rng(0).standard_normal((len(corpus), 12)).astype(np.float32))

    monkeypatch.setattr(experiments, "_frozen_text", random_vectors)

    def read_short_config(file: Path) -> Any:
        config = read_config(file)
        if not isinstance(config, ExperimentConfig):
            return config
        changes = {"training": config.training.model_copy(update={"epochs": 6, "batch": 8, "rate": 1e-2})}
        videos = config.data.model_copy(update={"validation_videos": min(2, config.data.validation_videos)})
        return config.model_copy(update=changes | {"data": videos})

    monkeypatch.setattr(rows, "read_config", read_short_config)
    monkeypatch.setattr(social, "read_config", read_short_config)


@pytest.fixture
def bench(folders: Folders) -> Iterator[Bench]:
    with Progress(disable=True) as progress:
        yield Bench(folders, progress, seeds=2)


def test_every_family_has_a_row_with_plain_training() -> None:
    by_name = every_row()
    assert {family(config) for config in by_name.values()} == set(ERM)
    assert all(family(by_name[name]) == kind for kind, name in ERM.items())
    assert [role(by_name[name]) for name in (FUSION, MMCI)] == ["erm", ""]


def test_derived_experiments_differ_in_their_name_and_one_option() -> None:
    config = every_row()[FUSION]
    trained_with_gaps, without_video = with_gaps(config), without_modality(config, Modality.VIDEO)
    assert (trained_with_gaps.name, without_video.name) == (f"{FUSION}-gaps", f"{FUSION}-without-video")
    assert trained_with_gaps.data == config.data
    assert trained_with_gaps.training.modality_dropout == rows.DROPOUT
    assert without_video.training == config.training
    assert without_video.data.modalities == (Modality.TEXT, Modality.AUDIO)


def test_unfinished_rows_are_left_out_if_training_is_not_allowed(folders: Folders, tmp_path: Path) -> None:
    with Progress(disable=True) as progress:
        bench = Bench(Folders(folders.data, tmp_path, folders.repository), progress, seeds=1, train=False)
        assert ood.Run(bench, [], quick=False).measure(("halves", "adversarial", "dropped", "conflict", "meld", "social")) == {
            part: {} for part in ood.PARTS
        }


def test_halves_are_measured_from_training_to_table(
    bench: Bench, folders: Folders, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ood, "QUICK_ROWS", {FUSION, "bclstm-text-only"})
    given = tmp_path / "mine.json"
    given.write_text(json.dumps(list(bench.tests["bclstm"].ids[:9])), encoding="utf-8")
    found = ood.Run(bench, [given], quick=True).measure(("halves",))
    row = found["halves"]["bclstm-text-only"]
    assert set(row["acc2_non0"]["by_file"]) == {f"ood_wordlabel_seed{seed}" for seed in range(3)}
    assert row["acc2_has0"]["against"]["row"] == FUSION
    assert found["halves"][FUSION]["role"] == "erm"
    assert set(found["given"][FUSION]["acc2_non0"]["by_file"]) == {"mine"}
    assert pages.halves("bclstm", found).count("\n") == 3
    assert folders.runs.is_dir()


def test_gaps_are_measured_from_training_to_table(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gaps, "ROWS", (FUSION, "no-such-row"))
    dropped, noised = gaps.measure(bench, quick=False)
    assert list(dropped) == list(noised) == [FUSION, f"{FUSION}-gaps"]
    own = dropped[FUSION]["text"]
    assert set(own["accuracy"]) == {"0", "0.25", "0.5", "0.75", "1"}
    assert min(own["accuracy"].values()) <= own["area"] <= max(own["accuracy"].values())
    assert dropped[FUSION]["text"]["accuracy"]["0"] == noised[FUSION]["audio"]["accuracy"]["0"]
    assert own["reached"] == (min(own["accuracy"].values()) >= gaps.GOAL * own["without"] - 1e-4)
    assert pages.gaps("dropped", {"dropped": dropped}).count("\n") == 7


def test_attacks_and_certificates_are_measured_from_training_to_table(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "ROWS", (FUSION, MMCI))
    monkeypatch.setattr(noise, "SMOOTHED", 3)
    monkeypatch.setattr(noise, "ATTACKED", 12)
    monkeypatch.setattr(smoothing, "SAMPLES", 100)
    monkeypatch.setattr(attack, "STEPS", 5)
    adversarial, smoothed = noise.measure(bench, quick=False)
    for name in (FUSION, MMCI):
        for norm in ("linf", "l2"):
            means = [numbers["mean"] for numbers in adversarial[name][norm].values()]
            assert means == sorted(means, reverse=True), "a larger ball contains the smaller ball"
            assert means[-1] < means[0]
        assert smoothed[name]["n"] == 3
        certified = list(smoothed[name]["0.5"]["certified"].values())
        assert certified == sorted(certified, reverse=True)
    result = {"adversarial": adversarial, "smoothing": smoothed}
    assert pages.adversarial(result).count("\n") == 3
    assert pages.smoothing(result).count("\n") == 5


def test_a_repeated_window_is_predicted_as_in_its_batch(bench: Bench) -> None:
    config = bench.rows[MMCI]
    assert bench.has(config)
    model, windows = next(bench.models(config))
    target = noise.target_of(model, windows, config.data.modalities, 8)
    with torch.no_grad():
        margins = target.margins(target.points)
    for row in range(8):
        positive = target.positive(row, target.points[row].repeat(3, 1))
        assert positive.tolist() == [bool(margins[row] * target.wanted[row] > 0)] * 3


def test_conflict_is_measured_from_training_to_table(bench: Bench) -> None:
    bench.has(bench.rows[MMCI])
    found = disagreement.measure(bench, [bench.rows[MMCI]], quick=False)
    assert set(found) == {MMCI, *(f"{FUSION}-only-{m}" for m in ("text", "audio", "video"))}
    pair = found[MMCI]["text against audio"]
    nonzero = int((bench.tests["bclstm"].truth != 0).sum())
    assert pair["conflict"]["n"] + pair["agreement"]["n"] == nonzero
    assert pages.conflict({"conflict": found}).count("\n") == 1 + 4 * 2
    text, audio = (found[f"{FUSION}-only-{m}"]["text against audio"]["conflict"]["accuracy"] for m in ("text", "audio"))
    assert 0 <= text <= 1 >= audio


def test_lines_of_meld_are_predicted_from_text_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(another_corpus, "QUICK", ("bclstm-minilm-mmci",))
    found = another_corpus.measure(bench, quick=True)
    row = found["bclstm-minilm-mmci"]
    assert 0 <= row["none"]["sign"]["accuracy"]["mean"] <= 1
    assert row["own"]["three"]["n"] >= row["own"]["sign"]["n"] > 0
    assert pages.meld({"meld": {"a": row, "b": row | {"own": row["none"]}}}).count("\n") == 1 + 1 + (row["own"] != row["none"]) + 1


def test_modalities_that_meld_lacks_are_masked_and_its_text_is_standardised_like_mosi(folders: Folders) -> None:
    known = read_mosi(folders.data, "bclstm").only((Modality.TEXT, Modality.AUDIO))
    meld = another_corpus.only_test(known)
    text_only = meld.only((Modality.TEXT,))
    standardised = another_corpus.as_known(text_only, known)
    assert standardised.features[Modality.AUDIO].values.shape == (len(meld), 1, 4)
    assert float(standardised.features[Modality.AUDIO].mask.sum()) == 0.0
    training = known.features[Modality.TEXT].values[known.rows(Part.TRAIN)][:, 0]
    expected = (text_only.features[Modality.TEXT].values[:, 0] - training.mean(axis=0)) / training.std(axis=0)
    assert np.allclose(standardised.features[Modality.TEXT].values[:, 0], expected, atol=1e-4)


def test_signs_and_classes_of_known_predictions_are_counted() -> None:
    truth = np.array([0, 2, 1, 2], dtype=np.int64)
    answers = Answers(np.array([-1, 1, 1, -1], np.float32), np.eye(3, dtype=np.float32)[[0, 2, 1, 0]], np.ones(4, np.float32))
    found = another_corpus.numbers([answers], truth, Draws(["a", "a", "b", "b"]))
    assert (found["sign"]["n"], found["sign"]["accuracy"]["mean"]) == (3, 0.6667)
    assert (found["three"]["accuracy"]["mean"], found["three"]["majority"]) == (0.75, 0.5)


def test_social_conditions_are_measured_from_training_to_table(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(social, "ROWS", ("rgcn",))
    found = social.measure(bench, quick=False)
    row = found["meld-rgcn"]
    assert "real_gains" not in row["real"]["macro_f1"]
    for condition in ("shuffled", "none", "no past"):
        own = row[condition]["weighted_f1"]
        assert own["real_gains"] == pytest.approx(row["real"]["weighted_f1"]["mean"] - own["mean"], abs=2e-4)
    assert pages.social({"social": found}).count("\n") == 1 + 4 + 3


def test_the_context_of_test_windows_depends_on_the_condition(bench: Bench) -> None:
    config = bench.limited(social.row_of("rgcn"))
    assert bench.has(config)
    model, windows = next(bench.models(config))
    test = windows.corpus.rows(Part.TEST)
    by_condition = {
        condition: answer(model, social.windows_under(windows.corpus, config, condition, 0), test).polarity
        for condition in social.CONDITIONS
    }
    assert np.array_equal(answer(model, windows, test).polarity, by_condition["real"])
    assert all(not np.allclose(by_condition["real"], by_condition[condition]) for condition in ("none", "no past"))


def test_f1_of_a_draw_is_the_usual_f1_if_everything_is_drawn_once() -> None:
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
    one_dialogue = Draws(["a"] * 200, draws=1)
    found = social.drawn_f1([predicted], truth, one_dialogue)
    assert (float(found["macro_f1"][0]), float(found["weighted_f1"][0])) == pytest.approx(f1_scores(predicted, truth))


def test_stored_rows_complete_the_result_and_are_marked_only_in_a_quick_run() -> None:
    found = {"halves": {"a": {"seeds": 2}}, "given": {"a": {"seeds": 1}}}
    stored = {"halves": {"a": {"seeds": 5}, "b": {"seeds": 5}}, "meld": {"c": {}}, "machine": {}}
    quick = ood.with_stored(found, stored, mark=True)
    assert quick["halves"] == {"a": {"seeds": 2}, "b": {"seeds": 5, "stored": True}}
    assert quick["meld"] == {"c": {"stored": True}}
    assert quick["given"] == {"a": {"seeds": 1}}
    assert ood.with_stored(found, stored, mark=False)["halves"]["b"] == {"seeds": 5}


def test_the_page_names_exactly_the_tables_that_exist() -> None:
    page = MODEL_PAGE.read_text(encoding="utf-8")
    named = [line.split()[2].removeprefix("ood/") for line in page.splitlines() if line.startswith("<!-- table: ood/")]
    assert sorted(named) == sorted(pages.TABLES)
    assert {make({}) for make in pages.TABLES.values()} == {"Not measured yet."}
