"""The whole recipe on a small synthetic data folder: it writes every file, and the same files twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.progress import Progress

from stream.model.served import OUTPUT_NAMES, SERVED
from stream.training import faces
from stream.training.checkpoints import export_all
from stream.training.export import MMCI_ENTRY
from stream.training.inference import session
from stream.training.mmci import MMCIRecipe
from stream.training.recipe import Paths, Recipe, run
from stream.training.voice import VoiceRecipe
from tests.support.tiny_corpora import write_corpora

pytestmark = pytest.mark.slow

STEPS = ("audio", "face", "mmci")
TINY = Recipe(
    voice=VoiceRecipe(variants=1),
    face=faces.FaceRecipe(epochs=1, batch=6),
    mmci=MMCIRecipe(epochs=1, windows=16, batch=8, config=replace(SERVED, hidden=8, head_hidden=8, strata=2)),
    seeds=2,
    routine_utterances=30,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpora(tmp_path_factory.mktemp("data"))


def train(data: Path, out: Path) -> Paths:
    paths = Paths(data, out / "triton_models", out / "metrics.json", out / "live")
    out.mkdir(exist_ok=True)
    paths.metrics.write_text(json.dumps({"text": {"rank": 2}}), encoding="utf-8")
    with Progress(disable=True) as progress:
        run(paths, TINY, 5, STEPS, progress)
    return paths


def test_whole_recipe_is_complete_and_repeatable(data: Path, tmp_path: Path) -> None:
    first, second = train(data, tmp_path / "a"), train(data, tmp_path / "b")
    metrics = json.loads(first.metrics.read_text(encoding="utf-8"))
    assert set(metrics) == {"text", *STEPS}
    assert set(metrics["mmci"]["seeds"]) == {"5", "6"}
    assert metrics["text"] == {"rank": 2}, "a step that is not run keeps its numbers"
    assert len(metrics["mmci"]["reliability"]) == 7
    assert metrics == json.loads(second.metrics.read_text(encoding="utf-8"))
    assert_exported_again(first, tmp_path / "again")
    model = session(first.repository / "mmci" / "1" / "model.onnx")
    zeros = {name: np.zeros((1, *shape), dtype=np.float32) for name, shape in _shapes().items()}
    assert all(np.isfinite(output).all() for output in model.run(list(OUTPUT_NAMES), zeros))


def assert_exported_again(paths: Paths, repository: Path) -> None:
    for file in export_all(paths.checkpoints, repository):
        assert file.read_bytes() == (paths.repository / file.relative_to(repository)).read_bytes()


def test_missing_corpus_is_named(tmp_path: Path) -> None:
    paths = Paths(tmp_path, tmp_path / "out", tmp_path / "metrics.json", tmp_path / "live")
    with Progress(disable=True) as progress, pytest.raises(FileNotFoundError, match=r"labels\.csv"):
        run(paths, TINY, 0, ("audio",), progress)


def _shapes() -> dict[str, tuple[int, ...]]:
    return {name: tuple(8 if size < 0 else size for size in shape) for name, shape in MMCI_ENTRY.inputs}
