"""The whole training command on a made-up data folder: every file it promises, twice the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rich.progress import Progress

from stream.domain.past import PAST_WINDOWS
from stream.model.mmci import MMCIConfig
from stream.model.served import OUTPUT_NAMES
from stream.training import faces, voice
from stream.training.checkpoints import export_all
from stream.training.export import MMCI_ENTRY
from stream.training.features import session
from stream.training.fit import MMCIRecipe
from stream.training.recipe import Places, Recipe, run
from tests.support.tiny_corpora import write_corpora

pytestmark = pytest.mark.slow

STEPS = ("audio", "face", "mmci")
TINY = Recipe(
    voice=voice.VoiceRecipe(epochs=1, batch=6),
    face=faces.FaceRecipe(epochs=1, batch=6),
    mmci=MMCIRecipe(epochs=1, windows=16, batch=8, config=MMCIConfig(hidden=8, head_hidden=8, strata=2, past=PAST_WINDOWS)),
    seeds=2,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpora(tmp_path_factory.mktemp("data"))


def train(data: Path, out: Path) -> Places:
    places = Places(data, out / "triton_models", out / "metrics.json", out / "card.md", out / "live")
    out.mkdir(exist_ok=True)
    sentences = {
        "rated sentences": dict.fromkeys(("acc2_non0", "mae", "corr"), 0.5),
        "meld": dict.fromkeys(("accuracy", "weighted_f1"), 0.5),
    }
    places.metrics.write_text(json.dumps({"text": {"rank": 2, "trained": sentences, "adapter": sentences}}), encoding="utf-8")
    places.card.write_text("# Card\n<!-- table: seeds -->\n<!-- end -->\n", encoding="utf-8")
    with Progress(disable=True) as progress:
        run(places, TINY, 5, STEPS, progress)
    return places


def test_whole_recipe_is_complete_and_repeatable(data: Path, tmp_path: Path) -> None:
    first, second = train(data, tmp_path / "a"), train(data, tmp_path / "b")
    metrics = json.loads(first.metrics.read_text(encoding="utf-8"))
    assert set(metrics) == {"text", *STEPS}
    assert set(metrics["mmci"]["seeds"]) == {"5", "6"}
    assert "(shipped)" in first.card.read_text(encoding="utf-8")
    assert metrics == json.loads(second.metrics.read_text(encoding="utf-8"))
    assert_exported_again(first, tmp_path / "again")
    model = session(first.repository / "mmci" / "1" / "model.onnx")
    zeros = {name: np.zeros((1, *shape), dtype=np.float32) for name, shape in _shapes().items()}
    assert all(np.isfinite(output).all() for output in model.run(list(OUTPUT_NAMES), zeros))


def assert_exported_again(places: Places, repository: Path) -> None:
    for file in export_all(places.checkpoints, repository):
        assert file.read_bytes() == (places.repository / file.relative_to(repository)).read_bytes()


def test_missing_corpus_is_named(tmp_path: Path) -> None:
    places = Places(tmp_path, tmp_path / "out", tmp_path / "metrics.json", tmp_path / "card.md", tmp_path / "live")
    with Progress(disable=True) as progress, pytest.raises(FileNotFoundError, match=r"labels\.csv"):
        run(places, TINY, 0, ("audio",), progress)


def _shapes() -> dict[str, tuple[int, ...]]:
    return {name: tuple(8 if size < 0 else size for size in shape) for name, shape in MMCI_ENTRY.inputs}
