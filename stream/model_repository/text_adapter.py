"""What training changed of MiniLM, applied to the packaged ONNX file: small matrices beside the weights.

The packaged graph multiplies every weight out of int8 before use, W = scale * q. The adapter makes that

    W' = scale * q + left right          left (inputs, rank), right (rank, outputs)

which ONNX Runtime folds into one constant when it loads the file, so that it costs nothing afterwards. Biases and layer
norms are small and replaced whole. Names in the adapter are the checkpoint's: ``encoder.layer.0.output.dense.weight.left``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import helper, numpy_helper
from safetensors.numpy import load_file

from stream.domain.features import Floats
from stream.model_repository.text_weights import TextWeightsError

PREFIX = "inner."
"""What the graph puts before the checkpoint's names."""

LEFT, RIGHT = ".left", ".right"
WEIGHT, BIAS = ".weight", ".bias"


def adapted(source: Path, adapter: Path, origin: str) -> bytes:
    """The packaged ONNX file with an adapter's weights; without an adapter only its origin is noted.

    Args:
        source: The packaged file.
        adapter: Of small matrices; need not exist.
        origin: Noted in the result, for `origin_of`.

    Raises:
        TextWeightsError: If the adapter is not for this graph.
    """
    model = onnx.load(str(source))
    graph = model.graph
    tensors = load_file(adapter) if adapter.is_file() else {}
    weights, stored = weight_names(graph), {tensor.name: tensor for tensor in graph.initializer}
    changes: dict[str, tuple[Floats, Floats]] = {}
    for name, values in tensors.items():
        base, whole = name.removesuffix(LEFT), values.astype(np.float32)
        if name.endswith(LEFT) and base in weights:
            changes[weights[base]] = whole, tensors[base + RIGHT].astype(np.float32)
        elif PREFIX + name in stored and tuple(stored[PREFIX + name].dims) == whole.shape:
            stored[PREFIX + name].CopyFrom(numpy_helper.from_array(whole, PREFIX + name))
        elif not name.endswith(RIGHT):
            raise TextWeightsError(f"{adapter.name} changes {name}, which {source.name} does not have in this shape")
    _change(graph, changes)
    helper.set_model_props(model, {"origin": origin})
    return model.SerializeToString(deterministic=True)


def weight_names(graph: onnx.GraphProto) -> dict[str, str]:
    """The checkpoint's matrices, and the tensors of the graph that hold them: a matrix is known by the bias added after it."""
    made = {output for node in graph.node for output in node.output}
    names = {name.removeprefix(PREFIX): name for name in made if name.startswith(PREFIX) and name.endswith(WEIGHT)}
    biases = {tensor.name for tensor in graph.initializer if tensor.name.endswith(BIAS)}
    added = {operand: node for node in graph.node if node.op_type == "Add" for operand in node.input}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in made and node.output[0] in added:
            for bias in biases.intersection(added[node.output[0]].input):
                names[bias.removeprefix(PREFIX).removesuffix(BIAS) + WEIGHT] = node.input[1]
    return names


def _change(graph: onnx.GraphProto, changes: dict[str, tuple[Floats, Floats]]) -> None:
    """Add left right to tensors which nodes of the graph make."""
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        nodes.append(node)
        tensor = node.output[0]
        if tensor in changes:
            node.output[0] = f"{tensor}_packaged"
            sides = [f"{tensor}_left", f"{tensor}_right"]
            graph.initializer.extend(numpy_helper.from_array(values, name) for values, name in zip(changes[tensor], sides, strict=True))
            nodes += [helper.make_node("MatMul", sides, [f"{tensor}_change"])]
            nodes += [helper.make_node("Add", [f"{tensor}_packaged", f"{tensor}_change"], [tensor])]
    copied = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copied)


def origin_of(file: Path) -> str:
    """What `adapted` noted in a file; empty for any other."""
    try:
        model = onnx.load(str(file))
    except DecodeError:
        return ""
    return next((prop.value for prop in model.metadata_props if prop.key == "origin"), "")
