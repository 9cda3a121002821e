"""The served text encoder is MiniLM with the trained adapter, and computes the same in ONNX as in PyTorch."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from stream.config.project import PROJECT_ROOT
from stream.encoders.text import default_tokenizer
from stream.model.minilm import MiniLM
from stream.model_repository.errors import WeightsError
from stream.model_repository.text_adapter import apply_adapter
from stream.model_repository.text_integers import with_integer_products
from stream.model_repository.text_weights import ADAPTER, build_text_encoder, packaged_weights, tuned_model
from stream.training.inference import session
from stream.training.minilm_weights import adapter_of, pretrained

RANK = 4
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


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


def states(model: Path | bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    tokens = default_tokenizer().tokenise(["surprisingly", "good", "film,", "honestly"])
    found = session(model).run(["last_hidden_state"], {name: getattr(tokens, name)[None] for name in INPUTS})
    return np.asarray(found[0][0, tokens.attention_mask > 0], np.float32)


@pytest.mark.slow
def test_the_served_graph_computes_the_trained_model(packaged: MiniLM, tuned: MiniLM, tmp_path: Path) -> None:
    save_file(adapter_of(tuned, packaged, RANK), tmp_path / ADAPTER)
    assert (tmp_path / ADAPTER).stat().st_size < 2_000_000
    exact, wanted = states(tuned_model(tmp_path).SerializeToString()), answers(tuned)
    assert np.abs(wanted - answers(packaged)).max() > 0.5, "the adapter must make a difference"
    assert np.abs(exact - wanted).max() < 0.02
    assert np.abs(answers(pretrained(tuned_model(tmp_path)).eval()) - exact).max() < 1e-3
    rounded = states(build_text_encoder(tmp_path))
    cosines = (rounded * exact).sum(-1) / np.linalg.norm(rounded, axis=-1) / np.linalg.norm(exact, axis=-1)
    assert cosines.min() > 0.98
    assert cosines.max() < 1 - 1e-6, "the products must be rounded"


def test_a_row_has_the_same_bytes_whatever_shares_its_batch() -> None:
    encoder = session(build_text_encoder(PROJECT_ROOT / "triton_models" / "text_encoder"))
    texts = [text.split() for text in ("not bad at all", "thank you", "it was far too slow and nobody called me back")]
    rows = [default_tokenizer().tokenise(text + ["well"] * (12 - len(text))) for text in texts]
    together = encoder.run(["last_hidden_state"], {name: np.stack([getattr(row, name) for row in rows]) for name in INPUTS})[0]
    for row, own in zip(rows, together, strict=True):
        alone = encoder.run(["last_hidden_state"], {name: getattr(row, name)[None] for name in INPUTS})[0][0]
        assert np.array_equal(own, alone)


def test_products_of_rows_of_zeros_and_of_one_large_number_are_right() -> None:
    weight = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    rows = np.array([[0, 0, 0, 0, 0, 0], [1e4, 0, 0, 0, 0, 0], [1e-20, 0, 0, 0, 0, 0]], np.float32)
    product = helper.make_node("MatMul", ["rows", "weight"], ["output"])
    inputs, outputs = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size]) for name, size in (("rows", 6), ("output", 4)))
    graph = helper.make_graph([product], "product", [inputs], [outputs], [numpy_helper.from_array(weight, "weight")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    rounded = session(with_integer_products(model, ["weight"]).SerializeToString()).run(None, {"rows": rows})[0]
    step = np.abs(rows).max(axis=1, keepdims=True) * np.abs(weight).max(axis=0) / 127
    assert (np.abs(rounded - rows @ weight) <= step + 1e-9).all()
    assert not rounded[0].any()


def test_the_file_is_built_again_in_the_other_form(tmp_path: Path) -> None:
    whole = build_text_encoder(tmp_path, integers=False).read_bytes()
    assert np.allclose(states(whole), states(tuned_model(tmp_path).SerializeToString()), atol=1e-6)
    assert build_text_encoder(tmp_path).read_bytes() != whole
    assert build_text_encoder(tmp_path, integers=False).read_bytes() == whole


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
            apply_adapter(packaged_weights(), tmp_path / ADAPTER)
