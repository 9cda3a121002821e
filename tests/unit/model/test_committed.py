"""The files that are committed in ``triton_models/`` match the code that writes and reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from stream.config.project import PROJECT_ROOT
from stream.domain.inference import INPUT_NAMES
from stream.model.served import OUTPUT_NAMES, WEIGHTS, example_inputs, load_weights
from stream.model_repository.files import sha256_of
from stream.model_repository.served_models import IR_VERSION, OPSET
from stream.training.export import AUDIO_ENTRY, FACE_ENTRY, MMCI_ENTRY, ModelEntry, config_text

REPOSITORY = PROJECT_ROOT / "triton_models"
ENTRIES = (FACE_ENTRY, MMCI_ENTRY)


def graph(entry: ModelEntry) -> onnx.ModelProto:
    return onnx.load(str(REPOSITORY / entry.name / "1" / "model.onnx"))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_committed_configurations_match_the_code(entry: ModelEntry) -> None:
    folder = REPOSITORY / entry.name
    digest = sha256_of(folder / "1" / "model.onnx")[:12]
    assert (folder / "config.pbtxt").read_text(encoding="utf-8") == config_text(entry, "KIND_GPU", digest)
    assert (folder / "configs" / "cpu.pbtxt").read_text(encoding="utf-8") == config_text(entry, "KIND_CPU", digest)


def test_the_configuration_of_the_audio_encoder_has_no_digest() -> None:
    folder = REPOSITORY / AUDIO_ENTRY.name
    assert (folder / "config.pbtxt").read_text(encoding="utf-8") == config_text(AUDIO_ENTRY, "KIND_GPU", "")
    assert (folder / "configs" / "cpu.pbtxt").read_text(encoding="utf-8") == config_text(AUDIO_ENTRY, "KIND_CPU", "")
    assert "digest" not in config_text(AUDIO_ENTRY, "KIND_GPU", "")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_graphs_have_the_configured_tensors_and_supported_versions(entry: ModelEntry) -> None:
    model = graph(entry)
    assert [tensor.name for tensor in model.graph.input] == [name for name, _ in entry.inputs]
    assert [tensor.name for tensor in model.graph.output] == [name for name, _ in entry.outputs]
    for tensor, (_, shape) in zip(model.graph.input, entry.inputs, strict=True):
        axes = tensor.type.tensor_type.shape.dim
        assert [axis.dim_value or -1 for axis in axes] == [-1, *shape]
    assert model.ir_version <= IR_VERSION
    assert {opset.domain: opset.version for opset in model.opset_import} == {"": OPSET}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_graphs_are_small_and_contain_no_path(entry: ModelEntry) -> None:
    file: Path = REPOSITORY / entry.name / "1" / "model.onnx"
    content = file.read_bytes()
    assert len(content) < 4_000_000
    assert b"site-packages" not in content
    assert str(PROJECT_ROOT).encode() not in content


def test_the_weights_beside_the_graph_compute_the_same_as_the_graph() -> None:
    folder = PROJECT_ROOT / "triton_models" / MMCI_ENTRY.name / "1"
    inputs = example_inputs(3, 32, 40, 20, torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = load_weights(folder / WEIGHTS)(*inputs)
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    outputs = session.run(list(OUTPUT_NAMES), {name: tensor.numpy() for name, tensor in zip(INPUT_NAMES, inputs, strict=True)})
    for output, wanted in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(output, wanted.numpy(), atol=1e-5)


@pytest.mark.parametrize("nodes", [(8, 10, 5), (24, 30, 15), (32, 40, 20)])
def test_a_window_has_the_same_bytes_whatever_shares_its_request(nodes: tuple[int, int, int]) -> None:
    """Replays share requests with other windows than before, and must publish the same."""
    session = onnxruntime.InferenceSession(REPOSITORY / MMCI_ENTRY.name / "1" / "model.onnx", providers=["CPUExecutionProvider"])
    inputs = [tensor.numpy() for tensor in example_inputs(16, *nodes, torch.Generator().manual_seed(0))]
    together = session.run(list(OUTPUT_NAMES), dict(zip(INPUT_NAMES, inputs, strict=True)))
    for row in range(16):
        alone = session.run(list(OUTPUT_NAMES), {name: tensor[row : row + 1] for name, tensor in zip(INPUT_NAMES, inputs, strict=True)})
        for name, own, shared in zip(OUTPUT_NAMES, alone, together, strict=True):
            assert own.tobytes() == shared[row : row + 1].tobytes(), name


def test_a_face_has_the_same_bytes_whatever_shares_its_request() -> None:
    session = onnxruntime.InferenceSession(REPOSITORY / FACE_ENTRY.name / "1" / "model.onnx", providers=["CPUExecutionProvider"])
    faces = np.random.default_rng(0).normal(size=(16, 1, 48, 48)).astype(np.float32)
    together = session.run(["embedding", "cells"], {"face": faces})
    for count in (1, 3, 5):
        for first in range(0, 15, count):
            own = session.run(["embedding", "cells"], {"face": faces[first : first + count]})
            for found, shared in zip(own, together, strict=True):
                assert found.tobytes() == shared[first : first + count].tobytes()


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_file({"model.other": torch.zeros(1)}, tmp_path / WEIGHTS)
    with pytest.raises(ValueError, match="weights of this network"):
        load_weights(tmp_path / WEIGHTS)
