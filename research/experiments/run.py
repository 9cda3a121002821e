"""Runs an experiment, from its configuration to its row of the table."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import Progress

from research.experiments.calibration import calibrated, calibration_numbers
from research.experiments.config import SERVED, DataConfig, ExperimentConfig
from research.experiments.corpus import Corpus, Features, standardised, with_validation
from research.experiments.curve import curves
from research.experiments.erasing import erased
from research.experiments.fit import TEXT_EVALUATION_BATCH, History, answer, fit, numbers
from research.experiments.mmsa import read_mmsa
from research.experiments.mosi import read_meld_text, read_mosi
from research.experiments.scores import intervals, spread
from research.experiments.store import Store, fingerprint_of
from research.experiments.windows import Windows, with_earlier_words
from research.models.interface import SentimentModel
from research.models.text_encoder import WithTextEncoder
from research.models.variants import build
from stream.domain.features import Floats
from stream.domain.modality import Modality
from stream.model.minilm import MiniLM, pool
from stream.model_repository.errors import WeightsError
from stream.model_repository.text_weights import packaged_weights, tuned_model
from stream.training.corpora import Part
from stream.training.errors import TrainingError
from stream.training.features import text_weights
from stream.training.minilm_weights import pretrained

ENCODER = "encoder."
"""Prefix of the names of a text encoder's weights in a checkpoint."""


@dataclass(frozen=True, slots=True)
class Folders:
    """Folders of inputs and outputs.

    Attributes:
        data: Folder of the corpora.
        runs: Folder of the experiments' results.
        repository: Model repository with the served text encoder.
    """

    data: Path
    runs: Path
    repository: Path


def run(config: ExperimentConfig, folders: Folders, progress: Progress) -> dict[str, Any]:
    """Train the seeds that are not finished; returns the row, which is also written to ``result.json``.

    Raises:
        TrainingError: If data or the initial text encoder is missing.
    """
    torch.set_num_threads(1)
    store = Store(folders.runs, config)
    reports = []
    for seed in range(config.seeds):
        corpus = read_corpus(config.data, folders, progress, seed)
        fingerprint = fingerprint_of(config, corpus, None if config.data.text == "given" else start_of(config.data, folders, seed))
        report = store.seed(seed, fingerprint)
        if report is None:
            windows = windows_of(config.data, corpus, seed)
            make, title = builder(config, windows, folders, seed), f"{config.name}, seed {seed}"
            model, history = fit(make, windows, config.training, seed, progress=progress, title=title)
            report = _report(config, history, seed) | {"fingerprint": fingerprint} | _measured(model, windows)
            store.put_seed(seed, report, model)
        reports.append(report)
    result = row(config, corpus, reports)
    store.put_result(result, _picture(config.name, reports))
    return result


def is_finished(config: ExperimentConfig, folders: Folders) -> bool:
    """Whether every seed was trained with this configuration; the data are assumed to be the same."""
    reports = [Store(folders.runs, config).report(seed) for seed in range(config.seeds)]
    wanted = config.model_dump(mode="json", exclude={"seeds", "note", "name"})
    return all(report is not None and {key: report["config"][key] for key in wanted} == wanted for report in reports)


def shortened(config: ExperimentConfig) -> ExperimentConfig:
    """The same experiment with one seed and one epoch, starting from MiniLM as published."""
    training = config.training.model_copy(update={"epochs": 1})
    data = config.data.model_copy(update={"text_start": ""})
    return config.model_copy(update={"seeds": 1, "training": training, "data": data})


def evaluate(config: ExperimentConfig, folders: Folders, progress: Progress) -> dict[str, Any]:
    """Measure the checkpoints of the finished seeds on the test part again; returns the row.

    Raises:
        TrainingError: If a seed is not finished, or data is missing.
    """
    torch.set_num_threads(1)
    store = Store(folders.runs, config)
    reports = []
    for seed in range(config.seeds):
        report = store.report(seed)
        if report is None or not store.checkpoint(seed).is_file():
            raise TrainingError(f"seed {seed} of {config.name} is not trained: run `python -m research.train` with its file first")
        corpus = read_corpus(config.data, folders, progress, seed)
        reports.append(report | _measured(*trained(config, corpus, seed, folders)))
    return row(config, corpus, reports)


def trained(config: ExperimentConfig, corpus: Corpus, seed: int, folders: Folders) -> tuple[SentimentModel, Windows]:
    """Load the model of a finished seed, in evaluation mode, and its windows."""
    windows = windows_of(config.data, corpus, seed)
    model = builder(config, windows, folders, seed)()
    model.load_state_dict(torch.load(Store(folders.runs, config).checkpoint(seed), weights_only=True))
    return model.eval(), windows


def row(config: ExperimentConfig, corpus: Corpus, reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Make a row of a table: mean, deviation and intervals over the seeds."""
    mean, deviation = spread([report["test"] for report in reports])
    test = corpus.rows(Part.TEST)
    truth = corpus.scores[test]
    calibrations = [report["calibration"] for report in reports if "calibration" in report]
    found: dict[str, Any] = {"name": config.name, "note": config.note, "seeds": len(reports), **mean, "sd": deviation}
    found["seconds_a_seed"] = float(np.mean([report["seconds"] for report in reports]))
    if calibrations:
        found["calibration"] = spread(calibrations)[0]
    if not np.isnan(truth).any():
        predicted = [np.array(report["scores"], dtype=np.float32) for report in reports]
        found["interval"] = intervals(predicted, truth, [corpus.groups[index] for index in test])
    return found


def read_corpus(data: DataConfig, folders: Folders, progress: Progress, seed: int) -> Corpus:
    """Read a corpus with the configured modalities and text features, which may depend on the seed (`start_of`); not standardised.

    Raises:
        TrainingError: If the corpus is missing.
    """
    try:
        if data.corpus == "mmsa" and data.file is not None:
            corpus = read_mmsa(data.file, limit=data.score_limit)
        else:
            corpus = _own_corpus(data, folders)
    except FileNotFoundError as error:
        raise TrainingError(f"{error.filename}: not found. Set --data (or SENTISTREAM_DATA) to the folder of the corpora.") from error
    if data.text == "minilm":
        corpus = replace(corpus, features=corpus.features | {Modality.TEXT: _frozen_text(corpus, data, folders, progress, seed)})
    elif data.text == "trained":
        corpus = replace(corpus, features={m: own for m, own in corpus.features.items() if m is not Modality.TEXT})
    return corpus.only(data.modalities)


def _own_corpus(data: DataConfig, folders: Folders) -> Corpus:
    if data.corpus == "meld":
        return read_meld_text(folders.data)
    return read_mosi(folders.data, data.split)


def windows_of(data: DataConfig, corpus: Corpus, seed: int) -> Windows:
    """Standardise a corpus with the validation part of a seed, and erase artefacts if configured."""
    if data.validation_videos:
        corpus = with_validation(corpus, data.validation_videos, seed)
    tokens = tuple(with_earlier_words(corpus, context) for context in data.text_context) if data.text == "trained" else None
    corpus, strata = erased(standardised(corpus)) if data.erase else (standardised(corpus), None)
    others = data.past_of_others
    return Windows(corpus, past=data.past, future=data.future, others=others, seed=seed, tokens=tokens, strata=strata)


def builder(config: ExperimentConfig, windows: Windows, folders: Folders, seed: int) -> Callable[[], SentimentModel]:
    """A function that builds a new model of an experiment."""

    def make() -> SentimentModel:
        model = config.model.model_copy(update={"strata": max(config.model.strata, windows.strata)})
        inner = build(model, windows.widths, max(config.data.past, config.data.future), len(windows.corpus))
        return WithTextEncoder(text_encoder(start_of(config.data, folders, seed)), inner) if config.data.text == "trained" else inner

    return make


def start_of(data: DataConfig, folders: Folders, seed: int) -> Path:
    """Path of a text encoder's initial weights: packaged, served, or a checkpoint of the same seed or else of seed 0.

    Raises:
        TrainingError: If the checkpoint does not exist, or the package is not installed.
    """
    try:
        if data.text_start in {"", SERVED}:
            return text_weights(folders.repository) if data.text_start else packaged_weights()
    except (FileNotFoundError, WeightsError) as error:
        raise TrainingError(str(error)) from error
    own, first = (folders.runs / data.text_start / f"seed-{number}.pt" for number in (seed, 0))
    start = own if own.is_file() else first
    if not start.is_file():
        raise TrainingError(f"this row starts from the text encoder of {data.text_start}: train that experiment first")
    return start


def text_encoder(start: Path) -> MiniLM:
    """Read a text encoder from an ONNX file or from the checkpoint of an experiment."""
    if start.suffix == ".onnx":
        # The served file has rounded weights: training goes on from those that they were made of.
        return pretrained(start if start == packaged_weights() else tuned_model(start.parent.parent))
    encoder = MiniLM()
    stored: Mapping[str, torch.Tensor] = torch.load(start, weights_only=True)
    encoder.load_state_dict({name.removeprefix(ENCODER): value for name, value in stored.items() if name.startswith(ENCODER)})
    return encoder


def _frozen_text(corpus: Corpus, data: DataConfig, folders: Folders, progress: Progress, seed: int) -> Features:
    """(n, C, 384) mean states of a frozen encoder over the pieces of each window, for each of C lengths of the context."""
    weights = start_of(data, folders, seed)
    views = [_encoded(corpus, context, weights, folders, progress) for context in data.text_context]
    values = np.stack(views, axis=1)
    return Features(values, np.ones(values.shape[:2], dtype=np.float32))


def _encoded(corpus: Corpus, context: int, weights: Path, folders: Folders, progress: Progress) -> Floats:
    """(n, 384) mean states with a number of earlier utterances as context; cached in ``RUNS/features``."""
    digest = hashlib.sha256(f"{context}\n".encode() + "\n".join(corpus.texts).encode() + weights.read_bytes()).hexdigest()[:16]
    kept = folders.runs / "features" / f"minilm-{digest}.npy"
    if kept.is_file():
        return np.asarray(np.load(kept, allow_pickle=False), dtype=np.float32)
    encoder = text_encoder(weights).eval()
    tokens = with_earlier_words(corpus, context)
    order = np.argsort([ids.size for ids in tokens.ids], kind="stable")
    found = np.zeros((len(corpus), encoder.norm.normalized_shape[0]), dtype=np.float32)
    bar = progress.add_task("text features", total=order.size)
    with torch.no_grad():
        for start in range(0, order.size, TEXT_EVALUATION_BATCH):
            rows = order[start : start + TEXT_EVALUATION_BATCH]
            batch = tokens.batch(rows.tolist())
            found[rows] = pool(encoder(batch.ids, batch.mask), batch.own).numpy()
            progress.advance(bar, rows.size)
    kept.parent.mkdir(parents=True, exist_ok=True)
    np.save(kept, found, allow_pickle=False)
    return found


def _measured(model: SentimentModel, windows: Windows) -> dict[str, Any]:
    corpus, rows, held_out = windows.corpus, windows.corpus.rows(Part.TEST), windows.corpus.rows(Part.VALIDATION)
    answers = answer(model, windows, rows)
    found: dict[str, Any] = {"test": numbers(answers, windows, rows), "scores": answers.scores.tolist()}
    if held_out.size:
        fitted = calibrated(answer(model, windows, held_out), corpus.scores[held_out], corpus.polarities[held_out])
        measured = calibration_numbers(fitted, answers, corpus.scores[rows], corpus.polarities[rows])
        found["calibration"] = measured | asdict(fitted)
    return found


def _report(config: ExperimentConfig, history: History, seed: int) -> dict[str, Any]:
    return {
        "seed": seed,
        "config": config.model_dump(mode="json"),
        "losses": list(history.losses),
        "validation": list(history.validation),
        "kept_epoch": history.kept,
        "seconds": history.seconds,
    }


def _picture(name: str, reports: list[dict[str, Any]]) -> str:
    panels = {"training loss": [report["losses"] for report in reports]}
    for number in ("mae", "weighted_f1"):
        panels[f"validation {number}"] = [[own[number] for own in report["validation"] if number in own] for report in reports]
    return curves(name, panels)
