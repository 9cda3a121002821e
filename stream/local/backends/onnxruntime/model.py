"""The ``onnxruntime`` backend of the embedded Triton, whose wheel has the Python backend only. Runs ``VERSION/model.onnx`` on the CPU.

The official container has its own backend of this name; both serve the same repository. Triton's dynamic batcher passes requests of equal
shapes, and those of one `execute` that ask for the same outputs run as one batch.

ONNX Runtime computes all outputs of a graph, and drops those that nobody asked for. So each set of outputs gets a session of its own, on
the part of the graph that leads to them. Its values are the same.

Tensors go through DLPack, not through Triton's own conversion from and to numpy. That conversion was built against numpy 1; with numpy 2 it
returns wrong values without an error (fixed by python_backend pull request 384, after the embedded release).
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import triton_python_backend_utils as pb_utils
from onnx.utils import Extractor

MOST_PARTS = 8
"""Sets of outputs with a session of their own; each takes memory. Requests for further sets run the whole graph."""

WORTH = 0.9
"""A part with more of the graph's nodes than this share is not worth the memory: the whole graph serves it."""


class TritonPythonModel:
    """One instance of one model."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model."""
        config = json.loads(args["model_config"])
        self.inputs = [tensor["name"] for tensor in config["input"]]
        self.outputs = [tensor["name"] for tensor in config["output"]]
        check_transport({pb_utils.triton_string_to_numpy(tensor["data_type"]) for tensor in (*config["input"], *config["output"])})
        self.path = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        self.whole = session(self.path)
        self.parts: dict[tuple[str, ...], Any] = {}
        known = {tensor.name for tensor in (*self.whole.get_inputs(), *self.whole.get_outputs())}
        unknown = sorted({*self.inputs, *self.outputs} - known)
        if unknown:
            raise pb_utils.TritonModelException(f"model.onnx has no {', '.join(unknown)}")

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer the requests in order. Only the outputs that a request asks for are computed."""
        alike: dict[tuple[str, ...], list[int]] = {}
        for place, request in enumerate(requests):
            asked = request.requested_output_names()
            alike.setdefault(tuple(name for name in self.outputs if name in asked), []).append(place)
        answers: dict[int, Any] = {}
        for outputs, places in alike.items():
            answers.update(zip(places, self.answer([requests[place] for place in places], outputs), strict=True))
        return [answers[place] for place in range(len(requests))]

    def answer(self, requests: list[Any], outputs: tuple[str, ...]) -> list[Any]:
        """Answer requests for the same outputs. If their batch fails, each request is tried alone: one must not fail the others."""
        arrays = [[to_array(pb_utils.get_input_tensor_by_name(request, name)) for name in self.inputs] for request in requests]
        try:
            return self.run(arrays, outputs)
        except Exception as error:
            if len(arrays) == 1:
                return [pb_utils.InferenceResponse(error=pb_utils.TritonError(f"onnxruntime: {type(error).__name__}"))]
            return [response for request in requests for response in self.answer([request], outputs)]

    def run(self, arrays: list[list[Any]], outputs: tuple[str, ...]) -> list[Any]:
        """Run all requests as one batch and return to each its rows."""
        part = self.part(outputs)
        if len(arrays) == 1:
            return [response(outputs, part.run(outputs, dict(zip(self.inputs, arrays[0], strict=True))))]
        feed = {name: np.concatenate([tensors[i] for tensors in arrays]) for i, name in enumerate(self.inputs)}
        ends = np.cumsum([len(tensors[0]) for tensors in arrays])[:-1]
        results = part.run(outputs, feed)
        return [response(outputs, rows) for rows in zip(*(np.split(result, ends) for result in results), strict=True)]

    def part(self, outputs: tuple[str, ...]) -> Any:
        """The session for a set of outputs."""
        if outputs not in self.parts and len(self.parts) < MOST_PARTS:
            everything = {*outputs} == {tensor.name for tensor in self.whole.get_outputs()}
            graph = None if everything else cut(self.path, outputs)
            self.parts[outputs] = self.whole if graph is None else session(graph)
        return self.parts.get(outputs, self.whole)


def session(model: Path | bytes) -> Any:
    """A session on one thread: instances of a model, not threads, use the cores."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def cut(path: Path, outputs: Sequence[str]) -> bytes | None:
    """The part of a graph, with all its inputs, that leads to some outputs; None if that is nearly all of it."""
    whole = onnx.load(path)
    part = Extractor(whole).extract_model([tensor.name for tensor in whole.graph.input], [*outputs])
    return part.SerializeToString() if len(part.graph.node) <= WORTH * len(whole.graph.node) else None


def response(outputs: Sequence[str], arrays: Sequence[Any]) -> Any:
    """A response of named outputs."""
    return pb_utils.InferenceResponse([to_tensor(name, array) for name, array in zip(outputs, arrays, strict=True)])


def to_array(tensor: Any) -> Any:
    """A Triton tensor as an array that keeps the tensor alive. Triton may place tensors at any address; ONNX Runtime needs aligned ones."""
    return np.require(np.from_dlpack(tensor), requirements="A")


USED = b"used_dltensor"
set_name = ctypes.pythonapi.PyCapsule_SetName
set_name.argtypes = [ctypes.py_object, ctypes.c_char_p]


def to_tensor(name: str, array: Any) -> Any:
    """An array as a Triton tensor that keeps the array alive."""
    if array.size == 0:
        # Triton refuses the strides of an empty array through DLPack. Its own conversion is right here, since there are no values.
        return pb_utils.Tensor(name, array)
    capsule = np.ascontiguousarray(array).__dlpack__()
    tensor = pb_utils.Tensor.from_dlpack(name, capsule)
    # Triton takes over the capsule, but renames it to a name that DLPack does not define. numpy would not recognise the capsule when it is
    # freed, and numpy 1 would crash.
    set_name(capsule, USED)
    return tensor


def check_transport(kinds: set[Any]) -> None:
    """Send values through a tensor and back; raise ``TritonModelException`` if they change. No model is better than a wrong one."""
    for kind in kinds:
        sent = (np.arange(15).reshape(3, 5) % 7).astype(kind)
        for array in (sent, sent[1:], sent[:, :0]):
            got = to_array(to_tensor("canary", array))
            if got.dtype != array.dtype or got.shape != array.shape or got.tobytes() != array.tobytes():
                raise pb_utils.TritonModelException(f"numpy {np.__version__} and this Triton do not exchange {np.dtype(kind)} tensors")
