"""Whole experiments on a synthetic corpus are complete, repeatable and resumable."""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.progress import Progress

from research import evaluate as evaluate_program
from research import train
from research.experiments import run as experiments
from research.experiments.config import DataConfig, ExperimentConfig
from research.experiments.corpus import Corpus, Features
from research.experiments.fit import fit, kept_epoch
from research.experiments.run import Folders, builder, evaluate, is_finished, read_corpus, run, windows_of
from research.experiments.scores import intervals, spread
from research.experiments.store import fingerprint_of
from research.models.interface import ModelInput
from research.models.text_encoder import WithTextEncoder
from research.shortcuts.plants import Watermark
from stream.config.project import PROJECT_ROOT
from stream.domain.features import Floats
from stream.domain.modality import Modality
from stream.encoders.text import default_tokenizer
from stream.model.minilm import pool
from stream.model_repository.text_weights import packaged_weights, tuned_model
from stream.training.corpora import Part
from stream.training.errors import TrainingError
from stream.training.inference import session
from stream.training.metrics import score_numbers
from stream.training.minilm_weights import pretrained
from tests.support.tiny_mosi import write_mosi

pytestmark = pytest.mark.slow

MODELS = PROJECT_ROOT / "triton_models"
TABLE = ("acc2_has0", "acc2_non0", "f1", "acc7", "mae", "corr")


def config(**changes: Any) -> ExperimentConfig:
    values: dict[str, Any] = {
        "name": "tiny",
        "data": {"past": 2, "validation_videos": 2},
        "model": {"name": "mmci", "hidden": 8, "strata": 2},
        "training": {"epochs": 3, "batch": 16, "choose": "mae"},
        "seeds": 2,
    }
    return ExperimentConfig.model_validate(values | changes)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mosi(tmp_path_factory.mktemp("data"))


def run_quietly(config: ExperimentConfig, data: Path, runs: Path) -> dict[str, Any]:
    with Progress(disable=True) as progress:
        return run(config, Folders(data, runs, MODELS), progress)


def without_time(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "seconds_a_seed"}


def test_a_row_is_complete_and_repeatable(data: Path, tmp_path: Path) -> None:
    row = run_quietly(config(), data, tmp_path / "a")
    assert set(TABLE) <= set(row)
    assert set(TABLE) <= set(row["sd"])
    assert row["seeds"] == 2
    assert row["interval"]["mae"][0] <= row["mae"] <= row["interval"]["mae"][1]
    assert without_time(run_quietly(config(), data, tmp_path / "b")) == without_time(row)
    folder = tmp_path / "a" / "tiny"
    assert json.loads((folder / "result.json").read_text(encoding="utf-8"))["name"] == "tiny"
    assert ET.parse(folder / "curve.svg").getroot().tag.endswith("svg")
    report = json.loads((folder / "seed-1.json").read_text(encoding="utf-8"))
    assert report["kept_epoch"] == 1 + int(np.argmin([numbers["mae"] for numbers in report["validation"]]))


def test_finished_seeds_are_not_trained_again(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[int] = []

    def recording_fit(*args: Any, **options: Any) -> Any:
        trained.append(args[3])
        return fit(*args, **options)

    monkeypatch.setattr(experiments, "fit", recording_fit)
    run_quietly(config(seeds=1), data, tmp_path)
    run_quietly(config(seeds=3), data, tmp_path)
    assert trained == [0, 1, 2]
    (tmp_path / "tiny" / "seed-1.pt").unlink()
    run_quietly(config(seeds=3), data, tmp_path)
    assert trained == [0, 1, 2, 1], "a report without its weights is not finished"
    run_quietly(config(seeds=1, training={"epochs": 2}), data, tmp_path)
    assert trained == [0, 1, 2, 1, 0], "another configuration is another experiment"


def test_an_experiment_is_finished_when_all_its_seeds_are(data: Path, tmp_path: Path) -> None:
    folders = Folders(data, tmp_path, MODELS)
    assert not is_finished(config(seeds=1), folders)
    run_quietly(config(seeds=1), data, tmp_path)
    assert is_finished(config(seeds=1), folders)
    assert not is_finished(config(seeds=2), folders)
    assert not is_finished(config(seeds=1, training={"epochs": 4}), folders)


def test_evaluation_repeats_the_numbers_of_the_training(data: Path, tmp_path: Path) -> None:
    row = run_quietly(config(), data, tmp_path)
    with Progress(disable=True) as progress:
        again = evaluate(config(), Folders(data, tmp_path, MODELS), progress)
    assert {name: again[name] for name in TABLE} == pytest.approx({name: row[name] for name in TABLE}, abs=1e-5)


def test_missing_data_and_experiments_are_reported(data: Path, tmp_path: Path) -> None:
    with Progress(disable=True) as progress:
        with pytest.raises(TrainingError, match="not trained"):
            evaluate(config(), Folders(data, tmp_path, MODELS), progress)
        with pytest.raises(TrainingError, match="SENTISTREAM_DATA"):
            run(config(), Folders(tmp_path, tmp_path, MODELS), progress)
        with pytest.raises(TrainingError, match="train that experiment first"):
            run(config(data={"text": "trained", "text_start": "reviews-text"}), Folders(data, tmp_path, MODELS), progress)


def watermarked(count: int = 600) -> Corpus:
    """A corpus in which a watermark in the audio vectors gives away the sign of 95 % of the scores."""
    rng = np.random.default_rng(0)
    scores = rng.choice([-1.5, 1.5], size=count).astype(np.float32)
    blocks = {m: rng.standard_normal((count, 24)).astype(np.float32) for m in (Modality.TEXT, Modality.AUDIO)}
    marked = Watermark((Modality.AUDIO,), 4.0)(blocks, (scores > 0).astype(np.int64), rng, 0.95)
    return Corpus(
        name="synthetic",
        ids=tuple(str(index) for index in range(count)),
        groups=tuple(f"video{index % 20}" for index in range(count)),
        order=np.arange(count),
        speakers=("",) * count,
        parts=tuple(Part.TEST if index % 20 > 14 else Part.TRAIN for index in range(count)),
        texts=("",) * count,
        scores=scores,
        polarities=np.where(scores > 0, 2, 0),
        features={m: Features.of_vectors(block) for m, block in marked.items()},
    )


def test_erasing_removes_the_watermark_and_records_the_strata() -> None:
    corpus, data = watermarked(), DataConfig(erase=True, modalities=(Modality.TEXT, Modality.AUDIO))
    windows = windows_of(data, corpus, 0)
    unerased = windows_of(data.model_copy(update={"erase": False}), corpus, 0)
    audio, text = (windows.corpus.features[m].values for m in (Modality.AUDIO, Modality.TEXT))
    signs = np.sign(corpus.scores)

    def correlation(values: Floats) -> float:
        return float(np.abs(np.corrcoef(np.linalg.svd(values[:, 0], full_matrices=False)[0][:, 0], signs)[0, 1]))

    assert correlation(unerased.corpus.features[Modality.AUDIO].values) > 0.8 > 0.3 > correlation(audio)
    np.testing.assert_array_equal(text, unerased.corpus.features[Modality.TEXT].values)
    assert (windows.strata, unerased.strata) == (2, 0)
    stratum = windows.batch(np.arange(corpus.scores.size))[1].stratum
    assert stratum is not None
    assert abs(float(np.corrcoef(stratum.numpy(), signs)[0, 1])) > 0.85
    assert unerased.batch(np.arange(4))[1].stratum is None


def test_erasing_changes_the_fingerprint_and_needs_the_same_nodes_in_every_window(data: Path, tmp_path: Path) -> None:
    plain, erasing = config(), config(data={"past": 2, "validation_videos": 2, "erase": True})
    with Progress(disable=True) as progress:
        corpus = read_corpus(plain.data, Folders(data, tmp_path, MODELS), progress, 0)
    assert fingerprint_of(plain, corpus, None) != fingerprint_of(erasing, corpus, None)
    assert "erase" not in plain.model_dump()["data"], "rows without the option keep the fingerprint that they had before the option existed"
    nodes = Features(np.zeros((len(corpus), 2, 4), np.float32), np.eye(len(corpus), 2, dtype=np.float32))
    with pytest.raises(TrainingError, match="the same nodes in every window"):
        windows_of(erasing.data, replace(corpus, features=corpus.features | {Modality.AUDIO: nodes}), 0)


def test_a_row_with_the_eraser_runs(data: Path, tmp_path: Path) -> None:
    row = run_quietly(config(data={"past": 2, "erase": True}, training={"epochs": 1}, seeds=1), data, tmp_path)
    assert set(TABLE) <= set(row)


def test_the_kept_epoch_is_the_best_in_validation() -> None:
    validation = [{"mae": 1.0, "weighted_f1": 0.2}, {"mae": 0.8, "weighted_f1": 0.5}, {"mae": 0.8, "weighted_f1": 0.4}]
    assert [kept_epoch(validation, choose) for choose in ("last", "mae", "f1")] == [3, 2, 2]


def test_the_numbers_of_the_tables_are_right() -> None:
    truth = np.array([2.0, 0.0, -1.0, -3.0, 1.4], dtype=np.float32)
    numbers = score_numbers(np.array([1.6, -0.2, 0.1, -2.0, 0.6], dtype=np.float32), truth)
    assert numbers["acc2_has0"] == pytest.approx(3 / 5)
    assert numbers["acc2_non0"] == pytest.approx(3 / 4)
    assert numbers["acc7"] == pytest.approx(3 / 5)
    assert numbers["mae"] == pytest.approx((0.4 + 0.2 + 1.1 + 1.0 + 0.8) / 5)
    mean, deviation = spread([{"a": 1.0}, {"a": 3.0}])
    assert mean["a"] == pytest.approx(2.0)
    assert deviation["a"] == pytest.approx(2**0.5)


def test_intervals_draw_whole_videos() -> None:
    truth = np.tile(np.array([1.0, -1.0], dtype=np.float32), 20)
    groups = ["right"] * 20 + ["wrong"] * 20
    scores = np.concatenate([truth[:20], -truth[20:]])
    assert intervals([scores], truth, groups)["acc2_has0"] == (0.0, 1.0)


def test_minilm_in_torch_equals_the_encoder_that_is_rounded_and_served() -> None:
    weights = tuned_model(MODELS / "text_encoder")
    tokens = default_tokenizer().tokenise(["surprisingly", "good", "film,", "honestly"])
    expected = session(weights.SerializeToString()).run(
        None, {name: getattr(tokens, name)[None] for name in ("input_ids", "attention_mask", "token_type_ids")}
    )[0]
    with torch.no_grad():
        states = pretrained(weights).eval()(torch.from_numpy(tokens.input_ids)[None], torch.from_numpy(tokens.attention_mask)[None])
    present = tokens.attention_mask > 0
    assert np.abs(states.numpy()[0, present] - expected[0, present]).max() < 1e-4


def test_only_the_pieces_of_the_window_itself_are_pooled() -> None:
    states = torch.tensor([[[1.0], [2.0], [6.0], [99.0]]])
    assert pool(states, torch.tensor([[0.0, 1.0, 1.0, 0.0]])).tolist() == [[4.0]]


def test_a_text_encoder_is_trained_with_the_model(data: Path, tmp_path: Path) -> None:
    tuned = config(data={"text": "trained", "text_context": [0, 1]}, model={"name": "late-fusion", "hidden": 8})
    folders = Folders(data, tmp_path, MODELS)
    with Progress(disable=True) as progress:
        windows = windows_of(tuned.data, read_corpus(tuned.data, folders, progress, 0), 0)
    model = builder(tuned, windows, folders, 0)()
    assert isinstance(model, WithTextEncoder)
    inputs, targets = windows.batch(np.arange(4))
    model.loss(inputs, targets, torch.Generator()).backward()  # type: ignore[no-untyped-call]
    gradient = model.encoder.words.weight.grad
    assert gradient is not None
    assert float(gradient.abs().sum()) > 0
    with pytest.raises(ValueError, match="needs tokens"):
        model.predict(ModelInput(inputs.window, inputs.past))


def test_a_row_starts_from_the_text_encoder_of_another_experiment(data: Path, tmp_path: Path) -> None:
    text = {"text": "trained", "modalities": ["text"]}
    model = {"name": "text-only", "hidden": 8}
    first = config(name="start", data=text, model=model, training={"epochs": 1, "text_rate": 1e-3}, seeds=1)
    row = run_quietly(first, data, tmp_path)
    assert set(TABLE) <= set(row)
    folders = Folders(data, tmp_path, MODELS)
    second = config(data=text | {"text_start": "start"}, model=model)
    with Progress(disable=True) as progress:
        windows = windows_of(second.data, read_corpus(second.data, folders, progress, 0), 0)
    started = builder(second, windows, folders, 0)()
    assert isinstance(started, WithTextEncoder)
    stored = torch.load(tmp_path / "start" / "seed-0.pt", weights_only=True)
    assert torch.equal(started.encoder.words.weight, stored["encoder.words.weight"])
    assert not torch.equal(started.encoder.words.weight, pretrained(packaged_weights()).words.weight)


def test_frozen_text_features_come_from_the_encoder_of_the_same_seed(data: Path, tmp_path: Path) -> None:
    text = {"text": "trained", "modalities": ["text"]}
    first = config(name="start", data=text, model={"name": "text-only", "hidden": 8}, training={"epochs": 1, "text_rate": 1e-3})
    run_quietly(first, data, tmp_path)
    frozen = config(data={"text": "minilm", "text_start": "start", "modalities": ["text"]}, model={"name": "text-only", "hidden": 8})
    folders = Folders(data, tmp_path, MODELS)
    with Progress(disable=True) as progress:
        values = [read_corpus(frozen.data, folders, progress, seed).features[Modality.TEXT].values for seed in range(3)]
    assert not np.array_equal(values[0], values[1])
    assert np.array_equal(values[0], values[2]), "the start has two seeds: further seeds use the first"


def test_the_model_has_the_averaged_weights(data: Path) -> None:
    averaging = config(data={"past": 2}, training={"epochs": 5, "batch": 16, "average": 0.999})
    folders = Folders(data, data, MODELS)
    with Progress(disable=True) as progress:
        windows = windows_of(averaging.data, read_corpus(averaging.data, folders, progress, 0), 0)
        make = builder(averaging, windows, folders, 0)
        last, averaged = (
            fit(make, windows, averaging.training.model_copy(update={"average": decay}), 0, progress=progress, title="")[0]
            for decay in (0.0, 0.999)
        )
    torch.manual_seed(0)
    start = dict(make().named_parameters())
    moved = {
        name: [float((dict(model.named_parameters())[name] - start[name]).detach().abs().sum()) for model in (last, averaged)]
        for name in ("network.head.outer.weight", "network.node_attention.difference.weight")
    }
    assert all(0 < distance_averaged < 0.5 * distance_last for distance_last, distance_averaged in moved.values())


def test_the_programs_train_and_evaluate_a_file(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text("name: tiny\nmodel: {name: late-fusion, hidden: 8}\ntraining: {epochs: 1}\nseeds: 1\n", encoding="utf-8")
    options = [str(file), "--data", str(data), "--runs", str(tmp_path / "runs")]

    def printed(program: Callable[[], None], *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["program", *arguments])
        program()
        return capsys.readouterr().out

    row = json.loads(printed(train.main, *options, "--json"))
    assert row["seeds"] == 1
    assert json.loads(printed(evaluate_program.main, *options, "--json"))["mae"] == pytest.approx(row["mae"], abs=1e-4)
    assert "tiny" in printed(evaluate_program.main, *options)
    with pytest.raises(SystemExit) as ended:
        printed(train.main, str(tmp_path / "nothing.yaml"), *options[1:])
    assert ended.value.code == 2
