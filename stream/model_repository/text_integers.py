"""Multiplies the matrices of the text encoder in 8 bits, which takes less than half of the time.

Each output of a matrix W (in, out) has a scale, and so has each row x of what it is multiplied with:

    x W  ~  s_x s_W (q_x Q)          q_x = round(x / s_x), s_x = max|x| / 127          Q = round(W / s_W), s_W = max_in|W| / 127

The scale of a row follows from that row alone, so an answer does not depend on what shares its batch. The products of integers are exact.
This is the dynamic quantisation by token and by channel of LLM.int8() (arXiv 2208.07339), without its part in 16 bits: MiniLM needs none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from stream.domain.features import Floats

LARGEST = 127
"""Of a rounded number. With VNNI, sums are exact. Processors that add pairs of products in 16 bits (AVX2 without VNNI) clip a pair of
products only where two neighbouring weights are near this, for rows that are near their own largest number."""

ZERO = 128
"""What stands for 0 in the unsigned bytes of a row."""

SMALLEST = np.float32(1e-12)
"""Of a row's scale: a row of zeros has one, too."""


def with_integer_products(model: onnx.ModelProto, weights: Collection[str]) -> onnx.ModelProto:
    """The model with 8-bit products in place of those with some of its matrices.

    Args:
        model: Its matrices may be computed from constants. Its opset is below 18.
        weights: Names of the tensors (in, out) that hold them.
    """
    matrices = _computed(model, sorted(weights))
    rewriter = _Rewriter()
    for node in model.graph.node:
        if node.op_type == "MatMul" and node.input[1] in matrices:
            rewriter.product(node.input[0], matrices[node.input[1]], node.output[0])
        else:
            rewriter.nodes.append(node)
    outputs = [output.name for output in model.graph.output]
    nodes = _needed(rewriter.nodes, outputs)
    used = {name for node in nodes for name in node.input}
    constants = [tensor for tensor in (*model.graph.initializer, *rewriter.constants) if tensor.name in used]
    graph = helper.make_graph(nodes, model.graph.name, model.graph.input, model.graph.output, constants)
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version, producer_name="sentistream")


class _Rewriter:
    """Nodes and constants of the new graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._rounded: dict[str, tuple[str, str]] = {}
        self._step = self._constant("step", np.array(1 / LARGEST, np.float32))
        self._smallest = self._constant("smallest_scale", np.array(SMALLEST))
        self._one = self._constant("unit_scale", np.array(1, np.float32))
        self._zero = self._constant("zero_of_rows", np.array(ZERO, np.uint8))

    def product(self, rows: str, weight: Floats, output: str) -> None:
        """Rows (…, in) times a weight (in, out)."""
        # Queries, keys and values are of the same rows: these are rounded once.
        if rows not in self._rounded:
            self._rounded[rows] = self._round(rows)
        integers, row_scales = self._rounded[rows]
        scales = np.maximum(np.abs(weight).max(axis=0) / np.float32(LARGEST), SMALLEST)
        rounded = self._constant(f"{output}_weight", np.rint(weight / scales).astype(np.int8))
        sums = self._node("MatMulInteger", [integers, rounded, self._zero], f"{output}_sums")
        values = self._node("Cast", [sums], f"{output}_float", to=TensorProto.FLOAT)
        scaled = self._node("Mul", [values, self._constant(f"{output}_scales", scales)], f"{output}_scaled")
        self._node("Mul", [scaled, row_scales], output)

    def _round(self, rows: str) -> tuple[str, str]:
        largest = self._node("ReduceMax", [self._node("Abs", [rows], f"{rows}_size")], f"{rows}_largest", axes=[-1], keepdims=1)
        scales = self._node("Max", [self._node("Mul", [largest, self._step], f"{rows}_step"), self._smallest], f"{rows}_scales")
        multiples = self._node("Div", [rows, scales], f"{rows}_multiples")
        return self._node("QuantizeLinear", [multiples, self._one, self._zero], f"{rows}_rounded"), scales

    def _node(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def _constant(self, name: str, values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name


def _computed(model: onnx.ModelProto, names: Sequence[str]) -> Mapping[str, Floats]:
    """Values of tensors that follow from constants alone."""
    stored = {tensor.name: numpy_helper.to_array(tensor).astype(np.float32) for tensor in model.graph.initializer if tensor.name in names}
    names = [name for name in names if name not in stored]
    if not names:
        return stored
    nodes = _needed(model.graph.node, names)
    used = {name for node in nodes for name in node.input}
    constants = [tensor for tensor in model.graph.initializer if tensor.name in used]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
    graph = helper.make_graph(nodes, "matrices", [], outputs, constants)
    evaluator = ReferenceEvaluator(helper.make_model(graph, opset_imports=model.opset_import))
    return stored | {name: np.asarray(values, np.float32) for name, values in zip(names, evaluator.run(names, {}), strict=True)}


def _needed(nodes: Sequence[onnx.NodeProto], outputs: Collection[str]) -> list[onnx.NodeProto]:
    """The nodes, in their order, that some tensors are computed by."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]
