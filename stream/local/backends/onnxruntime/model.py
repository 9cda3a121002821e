"""The ``onnxruntime`` backend of the embedded Triton, whose wheel has the Python backend only. Runs ``VERSION/model.onnx`` on the CPU.

The official container has its own backend of this name; both serve the same repository. Triton's dynamic batcher passes requests of equal
shapes, and all requests of one `execute` run as one batch.

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
import onnxruntime
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """One instance of one model."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model with one thread: instances, not threads, use the cores."""
        config = json.loads(args["model_config"])
        self.inputs = [tensor["name"] for tensor in config["input"]]
        self.outputs = [tensor["name"] for tensor in config["output"]]
        check_transport({pb_utils.triton_string_to_numpy(tensor["data_type"]) for tensor in (*config["input"], *config["output"])})
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        known = {tensor.name for tensor in (*self.session.get_inputs(), *self.session.get_outputs())}
        unknown = sorted({*self.inputs, *self.outputs} - known)
        if unknown:
            raise pb_utils.TritonModelException(f"model.onnx has no {', '.join(unknown)}")

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer the requests of one batch, in order. If the batch fails, each request is tried alone: one must not fail the others.

        Only outputs that a request asks for are computed: feature maps cost nothing otherwise.
        """
        asked = {name for request in requests for name in request.requested_output_names()}
        outputs = [name for name in self.outputs if name in asked]
        arrays = [[to_array(pb_utils.get_input_tensor_by_name(request, name)) for name in self.inputs] for request in requests]
        try:
            return self.run(arrays, outputs)
        except Exception as error:
            if len(arrays) == 1:
                return [pb_utils.InferenceResponse(error=pb_utils.TritonError(f"onnxruntime: {type(error).__name__}"))]
            return [response for request in requests for response in self.execute([request])]

    def run(self, arrays: list[list[Any]], outputs: list[str]) -> list[Any]:
        """Run all requests as one batch and return to each its rows."""
        if len(arrays) == 1:
            return [response(outputs, self.session.run(outputs, dict(zip(self.inputs, arrays[0], strict=True))))]
        feed = {name: np.concatenate([tensors[i] for tensors in arrays]) for i, name in enumerate(self.inputs)}
        ends = np.cumsum([len(tensors[0]) for tensors in arrays])[:-1]
        results = self.session.run(outputs, feed)
        return [response(outputs, part) for part in zip(*(np.split(result, ends) for result in results), strict=True)]


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
