"""Applies the adapter of the text encoder to the packaged ONNX file: small matrices that training adds to MiniLM's weights.

The packaged graph computes every weight from int8 before use, W = scale * q. The adapter changes it to

    W' = scale * q + left right          left (inputs, rank), right (rank, outputs)

In float32, ONNX Runtime folds this into one constant when it loads the file, so that inference costs nothing more; in 8 bits,
`text_integers` rounds the result. Biases and layer norms are small, so the adapter holds them completely. It uses the names of the
checkpoint: ``encoder.layer.0.output.dense.weight.left``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from safetensors.numpy import load_file

from stream.domain.features import Floats
from stream.model_repository.errors import WeightsError

PREFIX = "inner."
"""Prefix of the checkpoint's names in the graph."""

LEFT, RIGHT = ".left", ".right"
WEIGHT, BIAS = ".weight", ".bias"


def apply_adapter(source: Path, adapter: Path) -> onnx.ModelProto:
    """The packaged model with the weights of an adapter.

    Args:
        source: The packaged file.
        adapter: File with the small matrices; it need not exist.

    Raises:
        WeightsError: The adapter does not fit this graph.
    """
    model = onnx.load(str(source))
    graph = model.graph
    tensors = load_file(adapter) if adapter.is_file() else {}
    weights, initializers = weight_names(graph), {tensor.name: tensor for tensor in graph.initializer}
    changes: dict[str, tuple[Floats, Floats]] = {}
    for name, values in tensors.items():
        base, full = name.removesuffix(LEFT), values.astype(np.float32)
        if name.endswith(LEFT) and base in weights:
            changes[weights[base]] = full, tensors[base + RIGHT].astype(np.float32)
        elif PREFIX + name in initializers and tuple(initializers[PREFIX + name].dims) == full.shape:
            initializers[PREFIX + name].CopyFrom(numpy_helper.from_array(full, PREFIX + name))
        elif not name.endswith(RIGHT):
            raise WeightsError(f"{adapter.name} changes {name}, which {source.name} does not have in this shape")
    _add_products(graph, changes)
    return model


def weight_names(graph: onnx.GraphProto) -> dict[str, str]:
    """By name of a matrix in the checkpoint, the tensor of the graph that holds it.

    The graph does not keep the name of a matrix. So a matrix is identified by the bias that is added after its multiplication.
    """
    computed = {output for node in graph.node for output in node.output}
    names = {name.removeprefix(PREFIX): name for name in computed if name.startswith(PREFIX) and name.endswith(WEIGHT)}
    biases = {tensor.name for tensor in graph.initializer if tensor.name.endswith(BIAS)}
    added_by = {operand: node for node in graph.node if node.op_type == "Add" for operand in node.input}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in computed and node.output[0] in added_by:
            for bias in biases.intersection(added_by[node.output[0]].input):
                names[bias.removeprefix(PREFIX).removesuffix(BIAS) + WEIGHT] = node.input[1]
    return names


def _add_products(graph: onnx.GraphProto, changes: dict[str, tuple[Floats, Floats]]) -> None:
    """Add the product left right to tensors that nodes of the graph compute."""
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
    # Copies, because nodes do not outlive the list of the graph that they are in.
    copied = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copied)
