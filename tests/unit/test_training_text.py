"""The text encoder's training on a few made-up sentences: an adapter beside its configuration, and the file that is served."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.progress import Progress

from stream.config.settings import PROJECT_ROOT
from stream.encoders.text_weights import ADAPTER, packaged_weights
from stream.training import text
from stream.training.experiments.config import ExperimentConfig, read_config
from stream.training.experiments.minilm_weights import pretrained
from stream.training.experiments.run import Places
from stream.training.text import CONFIG, train_text
from tests.support.tiny_reviews import write_reviews

pytestmark = pytest.mark.slow


def test_training_leaves_an_adapter_and_the_served_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_reviews(tmp_path, monkeypatch)
    found = read_config(CONFIG)
    assert isinstance(found, ExperimentConfig)
    short = found.model_copy(update={"training": found.training.model_copy(update={"epochs": 1, "batch": 8, "text_rate": 1e-3})})
    monkeypatch.setattr(text, "read_config", lambda _: short)
    folder = data / "models" / "text_encoder"
    shutil.copytree(PROJECT_ROOT / "triton_models" / "text_encoder", folder, ignore=shutil.ignore_patterns("1", ADAPTER))
    with Progress(disable=True) as progress:
        numbers = train_text(Places(data, data / "runs", data / "models"), progress)
    assert numbers["rank"] == text.RANK
    assert set(numbers["trained"]) == {"rated sentences", "meld"}
    assert numbers["adapter"]["meld"]["accuracy"] == pytest.approx(numbers["trained"]["meld"]["accuracy"], abs=0.2)
    served, plain = pretrained(folder / "1" / "model.onnx"), pretrained(packaged_weights())
    name = "layers.0.query.weight"
    change = (served.state_dict()[name] - plain.state_dict()[name]).numpy()
    assert np.linalg.matrix_rank(change, tol=1e-4) <= text.RANK
    assert np.abs(change).max() > 1e-4
