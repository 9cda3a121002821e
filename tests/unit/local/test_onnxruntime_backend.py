"""The embedded Triton's backend runs the part of a graph that a request needs."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import onnx
import pytest
import torch

from stream.domain.inference import INPUT_NAMES, Extra
from stream.local.triton import BACKENDS
from stream.model.served import OUTPUT_NAMES, example_inputs
from stream.serving.window_batch import OF_COALITIONS, OF_WINDOWS

GRAPH = Path(__file__).parents[3] / "triton_models" / "mmci" / "1" / "model.onnx"


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The backend's module, which only Triton's process can import otherwise."""
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", ModuleType("triton_python_backend_utils"))
    found = importlib.util.spec_from_file_location("onnxruntime_backend", BACKENDS / "onnxruntime" / "model.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def model_of(backend: Any, path: Path) -> Any:
    model = backend.TritonPythonModel()
    model.path, model.whole, model.parts = path, backend.session(path), {}
    return model


@pytest.mark.parametrize("outputs", [OF_COALITIONS, OF_WINDOWS, OF_WINDOWS | {*Extra}])
def test_a_part_of_the_graph_gives_the_bytes_of_the_whole(backend: Any, outputs: frozenset[str]) -> None:
    names = tuple(name for name in OUTPUT_NAMES if name in outputs)
    assert {*names} == outputs
    model = model_of(backend, GRAPH)
    part = model.part(names)
    assert part is not model.whole
    assert part is model.part(names)
    for rows in (1, 3, 16):
        inputs = example_inputs(rows, 8 * (1 + rows % 4), 40, 20, torch.Generator().manual_seed(rows))
        feed = {name: tensor.numpy() for name, tensor in zip(INPUT_NAMES, inputs, strict=True)}
        for name, own, whole in zip(names, part.run(names, feed), model.whole.run(names, feed), strict=True):
            assert own.tobytes() == whole.tobytes(), name


def test_scores_need_less_than_half_of_the_graph(backend: Any) -> None:
    part = backend.cut(GRAPH, ["coalition_scores", "coalition_probabilities"])
    assert len(onnx.load_from_string(part).graph.node) < 0.5 * len(onnx.load(GRAPH).graph.node)


def test_the_whole_graph_serves_what_needs_nearly_all_of_it_and_sets_beyond_the_bound(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of(backend, GRAPH)
    assert model.part(tuple(OUTPUT_NAMES)) is model.whole
    monkeypatch.setattr(backend, "WORTH", 0.0)
    assert model.part(("causal",)) is model.whole
    monkeypatch.setattr(backend, "WORTH", 1.0)
    monkeypatch.setattr(backend, "MOST_PARTS", 2)
    assert model.part(("arousal",)) is model.whole
    assert len(model.parts) == 2


def test_requests_for_different_outputs_are_answered_in_their_order(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = backend.TritonPythonModel()
    model.outputs = ["a", "b"]
    batches: list[tuple[list[int], tuple[str, ...]]] = []

    def answer(requests: list[Any], outputs: tuple[str, ...]) -> list[tuple[int, tuple[str, ...]]]:
        batches.append(([request.number for request in requests], outputs))
        return [(request.number, outputs) for request in requests]

    monkeypatch.setattr(model, "answer", answer)
    wanted = (["a"], ["b", "a"], ["a"], ["a", "b"])
    requests = [SimpleNamespace(number=n, requested_output_names=lambda names=names: names) for n, names in enumerate(wanted)]
    assert model.execute(requests) == [(0, ("a",)), (1, ("a", "b")), (2, ("a",)), (3, ("a", "b"))]
    assert batches == [([0, 2], ("a",)), ([1, 3], ("a", "b"))]
