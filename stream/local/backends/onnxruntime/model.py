"""Triton's ``onnxruntime`` backend for the embedded server, which has the Python backend only: runs ``VERSION/model.onnx`` on the CPU.

The official container has its own backend of this name; both serve the same repository. Triton's dynamic batcher hands over requests of
equal shapes, and all requests of one `execute` are run as one batch.
"""

from __future__ import annotations

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
        if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
            raise pb_utils.TritonModelException("numpy 2 silently corrupts tensors in this Triton; install numpy 1.26.4")
        config = json.loads(args["model_config"])
        self.inputs = [tensor["name"] for tensor in config["input"]]
        self.outputs = [tensor["name"] for tensor in config["output"]]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        known = {tensor.name for tensor in (*self.session.get_inputs(), *self.session.get_outputs())}
        unknown = sorted({*self.inputs, *self.outputs} - known)
        if unknown:
            raise pb_utils.TritonModelException(f"model.onnx has no {', '.join(unknown)}")

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer the requests of one batch, in order; if they fail together, each is tried alone."""
        arrays = [[pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self.inputs] for request in requests]
        try:
            return self.run(arrays)
        except Exception as error:
            if len(arrays) == 1:
                return [pb_utils.InferenceResponse(error=pb_utils.TritonError(f"onnxruntime: {type(error).__name__}"))]
            return [response for request in requests for response in self.execute([request])]

    def run(self, arrays: list[list[Any]]) -> list[Any]:
        """Run all requests as one batch and give each its rows."""
        if len(arrays) == 1:
            return [self.response(self.session.run(self.outputs, dict(zip(self.inputs, arrays[0], strict=True))))]
        feed = {name: np.concatenate([tensors[i] for tensors in arrays]) for i, name in enumerate(self.inputs)}
        ends = np.cumsum([len(tensors[0]) for tensors in arrays])[:-1]
        results = self.session.run(self.outputs, feed)
        return [self.response(part) for part in zip(*(np.split(result, ends) for result in results), strict=True)]

    def response(self, arrays: Sequence[Any]) -> Any:
        """A response of the model's outputs."""
        tensors = [pb_utils.Tensor(name, np.ascontiguousarray(array)) for name, array in zip(self.outputs, arrays, strict=True)]
        return pb_utils.InferenceResponse(tensors)
