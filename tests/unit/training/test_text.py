"""The text encoder's training on a few synthetic sentences: it writes an adapter and the served file."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.progress import Progress

from stream.config.project import PROJECT_ROOT
from stream.model.heads import Answer
from stream.model_repository.text_weights import ADAPTER, packaged_weights, tuned_model
from stream.training.minilm_weights import pretrained
from stream.training.text import TextRecipe, sentence_loss, train_text
from tests.support.tiny_rated_sentences import write_rated_sentences

SHORT = TextRecipe(epochs=1, batch=8, encoder_rate=1e-3)


@pytest.mark.slow
def test_training_leaves_an_adapter_and_the_served_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_rated_sentences(tmp_path, monkeypatch)
    folder = data / "models" / "text_encoder"
    shutil.copytree(PROJECT_ROOT / "triton_models" / "text_encoder", folder, ignore=shutil.ignore_patterns("1", ADAPTER))
    with Progress(disable=True) as progress:
        numbers = train_text(data, data / "models", SHORT, downloads=data / "downloads", seed=0, progress=progress)
    assert numbers["rank"] == SHORT.rank
    assert set(numbers["trained"]) == {"rated sentences", "meld"}
    assert numbers["adapter"]["meld"]["accuracy"] == pytest.approx(numbers["trained"]["meld"]["accuracy"], abs=0.2)
    assert (folder / "1" / "model.onnx").is_file()
    served, plain = pretrained(tuned_model(folder)), pretrained(packaged_weights())
    name = "layers.0.query.weight"
    change = (served.state_dict()[name] - plain.state_dict()[name]).numpy()
    assert np.linalg.matrix_rank(change, tol=1e-4) <= SHORT.rank
    assert np.abs(change).max() > 1e-4


def test_sentences_without_a_score_teach_the_polarity_alone() -> None:
    answer = Answer(torch.tensor([2.0, -1.0]), torch.zeros(2, 3), torch.ones(2))
    polarity = torch.tensor([2, 0])
    nothing = torch.tensor([torch.nan, torch.nan])
    assert float(sentence_loss(answer, nothing, polarity)) == pytest.approx(np.log(3.0))
    rated = float(sentence_loss(answer, torch.tensor([3.0, torch.nan]), polarity))
    unlikely = -np.log(1.0 - 1.0 / (1.0 + np.exp(-0.5)))
    assert rated == pytest.approx(1.0 + 0.5 * unlikely + 0.5 * np.log(3.0), abs=1e-5)
