"""Multiplies the large convolutions of the face encoder in 8 bits, which halves its time on a CPU with fast products of integers (VNNI).

Those are the convolutions of 3x3 pixels over 32 channels and more: nine tenths of the work. Their weights have a scale for each output
channel, and the maps before and after them a scale that is fixed. A scale that followed the maps would make an answer depend on what shares
its batch. In the file each is a pair of QuantizeLinear and DequantizeLinear. On a CPU, ONNX Runtime makes integer products of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from stream.domain.features import Floats

Ranges = Mapping[str, tuple[float, float]]
"""The smallest and the greatest number of some maps, by the name of the tensor. Numbers outside are clipped."""

LARGEST_WEIGHT = 127
"""The largest rounded weight. With VNNI, sums are exact. Processors that add pairs of products in 16 bits (AVX2 without VNNI) clip a pair
of products only where two neighbouring weights are near this and both maps near the end of their range."""

CHANNELS, KERNEL = 32, [3, 3]
"""Fewest input channels, and pixels, of a convolution that is worth it."""


def rounded_maps(model: onnx.ModelProto) -> list[str]:
    """The maps that need a range: those before and after the large convolutions, in the order of the graph."""
    return list(dict.fromkeys(name for node in _large(model) for name in (node.input[0], _after(model, node))))


def with_integer_convolutions(model: onnx.ModelProto, ranges: Ranges) -> onnx.ModelProto:
    """The model with 8-bit products in place of its large convolutions.

    Args:
        model: The face encoder in float32.
        ranges: Of the `rounded_maps`.
    """
    rounding = _Rounding({tensor.name: tensor for tensor in model.graph.initializer})
    large = {node.name for node in _large(model)}
    after = {_after(model, node) for node in _large(model)}
    readers: dict[str, str] = {}
    for node in model.graph.node:
        if node.name in large:
            kept = rounding.convolution(node, ranges[node.input[0]])
        else:
            kept = onnx.NodeProto()
            kept.CopyFrom(node)
            kept.input[:] = [readers.get(name, name) for name in node.input]
        rounding.nodes.append(kept)
        for name in after.intersection(node.output):
            readers[name] = rounding.maps(name, ranges[name])
    used = {name for node in rounding.nodes for name in node.input}
    constants = [tensor for tensor in (*model.graph.initializer, *rounding.constants) if tensor.name in used]
    graph = helper.make_graph(rounding.nodes, model.graph.name, model.graph.input, model.graph.output, constants)
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version, producer_name="sentistream")


class _Rounding:
    """Nodes and constants of the new graph."""

    def __init__(self, stored: Mapping[str, onnx.TensorProto]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._stored = stored
        self._rounded: dict[str, str] = {}

    def convolution(self, node: onnx.NodeProto, limits: tuple[float, float]) -> onnx.NodeProto:
        """The convolution of rounded maps with a rounded weight (out, in, 3, 3)."""
        maps, name, bias = node.input
        weight = numpy_helper.to_array(self._stored[name])
        scales = np.abs(weight).max(axis=(1, 2, 3)) / np.float32(LARGEST_WEIGHT)
        multiples = np.rint(weight / scales[:, None, None, None]).astype(np.int8)
        parts = [self._constant(f"{name}_{part}", values) for part, values in (("rounded", multiples), ("scales", scales))]
        kept = onnx.NodeProto()
        kept.CopyFrom(node)
        kept.input[:] = [self.maps(maps, limits), self._node("DequantizeLinear", parts, f"{name}_float", axis=0), bias]
        return kept

    def maps(self, name: str, limits: tuple[float, float]) -> str:
        """Maps rounded to the 256 numbers of their range, of which 0 is one."""
        if name not in self._rounded:
            least, greatest = limits
            scale = np.float32((greatest - least) / 255)
            zero = np.array(round(-least / scale), np.uint8)
            grid = [self._constant(f"{name}_scale", np.array(scale)), self._constant(f"{name}_zero", zero)]
            integers = self._node("QuantizeLinear", [name, *grid], f"{name}_integers")
            self._rounded[name] = self._node("DequantizeLinear", [integers, *grid], f"{name}_rounded")
        return self._rounded[name]

    def _node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def _constant(self, name: str, values: npt.NDArray[Any] | Floats) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name


def _large(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    found = []
    for node in model.graph.node:
        shape = shapes.get(node.input[1], []) if node.op_type == "Conv" else []
        if shape[2:] == KERNEL and shape[1] >= CHANNELS:
            found.append(node)
    return found


def _after(model: onnx.ModelProto, convolution: onnx.NodeProto) -> str:
    """What a convolution gives out, behind its ReLU if it has one: rounding does the ReLU's work, too."""
    (maps,) = convolution.output
    (relu, *others) = (node for node in model.graph.node if maps in node.input)
    return str(relu.output[0]) if relu.op_type == "Relu" and not others else str(maps)
