"""The served text encoder is MiniLM with the trained adapter, and computes the same in ONNX as in PyTorch."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from stream.encoders.text import default_tokenizer
from stream.model.minilm import MiniLM
from stream.model_repository.errors import WeightsError
from stream.model_repository.text_adapter import apply_adapter
from stream.model_repository.text_weights import ADAPTER, build_text_encoder, packaged_weights
from stream.training.inference import session
from stream.training.minilm_weights import adapter_of, pretrained

RANK = 4


@pytest.fixture(scope="module")
def packaged() -> MiniLM:
    return pretrained(packaged_weights()).eval()


@pytest.fixture(scope="module")
def tuned(packaged: MiniLM) -> MiniLM:
    """MiniLM as if trained: every matrix is changed by a matrix of rank `RANK`, every vector a little."""
    torch.manual_seed(0)
    model = copy.deepcopy(packaged)
    with torch.no_grad():
        for values in model.parameters():
            if values.ndim == 2:
                values.add_(0.01 * torch.randn(values.shape[0], RANK) @ torch.randn(RANK, values.shape[1]) / RANK)
            else:
                values.add_(0.02 * torch.randn_like(values))
    return model


def answers(model: MiniLM) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    tokens = default_tokenizer().tokenise(["surprisingly", "good", "film,", "honestly"])
    with torch.no_grad():
        states = model(torch.from_numpy(tokens.input_ids)[None], torch.from_numpy(tokens.attention_mask)[None])
    return np.asarray(states[0, tokens.attention_mask > 0].numpy(), dtype=np.float32)


@pytest.mark.slow
def test_the_served_graph_computes_the_trained_model(packaged: MiniLM, tuned: MiniLM, tmp_path: Path) -> None:
    save_file(adapter_of(tuned, packaged, RANK), tmp_path / ADAPTER)
    assert (tmp_path / ADAPTER).stat().st_size < 2_000_000
    file = build_text_encoder(tmp_path)
    tokens = default_tokenizer().tokenise(["surprisingly", "good", "film,", "honestly"])
    names = ("input_ids", "attention_mask", "token_type_ids")
    served = session(file).run(None, {name: getattr(tokens, name)[None] for name in names})[0][0, tokens.attention_mask > 0]
    wanted = answers(tuned)
    assert np.abs(wanted - answers(packaged)).max() > 0.5, "the adapter must make a difference"
    assert np.abs(served - wanted).max() < 0.02
    assert np.abs(answers(pretrained(file).eval()) - served).max() < 1e-3


@pytest.mark.slow
def test_the_file_is_built_once_and_again_for_another_adapter(packaged: MiniLM, tuned: MiniLM, tmp_path: Path) -> None:
    first = build_text_encoder(tmp_path)
    before = first.stat().st_mtime_ns
    assert build_text_encoder(tmp_path).stat().st_mtime_ns == before
    plain = first.read_bytes()
    save_file(adapter_of(tuned, packaged, 1), tmp_path / ADAPTER)
    assert build_text_encoder(tmp_path).read_bytes() != plain
    (tmp_path / ADAPTER).unlink()
    assert build_text_encoder(tmp_path).read_bytes() == plain


def test_an_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    for name, shape in (("encoder.layer.9.output.dense.weight.left", (4, 1)), ("embeddings.LayerNorm.bias", (7,))):
        save_file({name: np.zeros(shape, dtype=np.float16)}, tmp_path / ADAPTER)
        with pytest.raises(WeightsError, match=name):
            apply_adapter(packaged_weights(), tmp_path / ADAPTER, "test")
