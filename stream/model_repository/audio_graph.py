"""Writes the audio encoder as an ONNX graph: the lower layers of Whisper's encoder, then an affine projection of each segment.

The layers are those of Whisper (arXiv 2212.04356): two convolutions over time with GELU, the second with a stride of two; sinusoidal
positions; residual blocks of self-attention and of a feed-forward network, each behind a layer norm. From the log-mel of one second,
(80, 100), they make 50 steps of 20 ms, (50, 384): the output ``feature_map``. The mean of the five steps of a segment, projected, is a row
of the output ``embedding``.

Whisper's matrices are multiplied in 8 bits, which halves the time: their weights have a scale for each output, and the rows that they are
multiplied with have a scale that is fixed (`RANGES`). A scale that followed the rows would make an answer depend on what shares its batch.
In the file each is a pair of QuantizeLinear and DequantizeLinear. On a CPU, ONNX Runtime makes integer products of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from stream.domain.features import Floats
from stream.domain.media_format import FEATURE_STEPS, FEATURE_WIDTH, MEL_BINS, MEL_FRAMES, SEGMENTS_PER_BLOCK, VOICE_WIDTH
from stream.model_repository.origin import content_with_origin
from stream.model_repository.served_models import IR_VERSION, OPSET

LAYERS = 2
"""Residual layers that are used, of Whisper's four."""

HEADS = 6
KERNEL = 3
"""Frames under each convolution."""

EPSILON = 1e-5
"""Of the layer norms."""

RANGES: Mapping[str, tuple[float, float]] = {
    "conv1": (-0.62, 1.38),
    "conv2": (-0.17, 10.05),
    "layer_0/self_attention/linear_0": (-15.56, 11.32),
    "layer_0/self_attention/linear_1": (-4.31, 5.55),
    "layer_0/ffn/linear_0": (-16.43, 17.62),
    "layer_0/ffn/linear_1": (-0.17, 5.48),
    "layer_1/self_attention/linear_0": (-16.62, 14.85),
    "layer_1/self_attention/linear_1": (-3.15, 3.83),
    "layer_1/ffn/linear_0": (-11.36, 14.01),
    "layer_1/ffn/linear_1": (-0.17, 4.63),
}
"""The smallest and the greatest number in the rows that each of Whisper's matrices is multiplied with. Numbers outside are clipped.

Found by ``python -m benchmarks.voice_int8 --quick`` in the voices of the training actors of RAVDESS.
"""

LARGEST_WEIGHT = 63
"""Weights have seven bits. With eight, processors that add pairs of products in 16 bits (AVX2 without VNNI) would clip the sums."""

REVISION = 2
"""Counts changes of this module that change the file."""

Weights = Mapping[str, npt.NDArray[Any]]


def audio_graph(
    whisper: Weights, weight: Floats, bias: Floats, origin: str, ranges: Mapping[str, tuple[float, float]] | None = RANGES
) -> bytes:
    """The bytes of the ONNX file.

    Args:
        whisper: Variables of Whisper's encoder, named as in CTranslate2's file, without the prefix ``encoder/``.
        weight: (`VOICE_WIDTH`, 384) float32, of the projection.
        bias: (`VOICE_WIDTH`,) float32.
        origin: Stored in the result (`stream.model_repository.origin`).
        ranges: As `RANGES`; None: the file that is measured to find them, which multiplies in float32.
    """
    graph = _Graph(ranges)
    steps = graph.node("Transpose", ["log_mel"], perm=[0, 2, 1])
    for name, stride in (("conv1", 1), ("conv2", 2)):
        steps = graph.gelu(graph.convolution(steps, name, *_pair(whisper, name), stride))
    steps = graph.node("Add", [steps, graph.constant(_floats(whisper["position_encodings/encodings"])[:FEATURE_STEPS])])
    for layer in range(LAYERS):
        steps = _attention(graph, steps, whisper, f"layer_{layer}/self_attention")
        steps = _feed_forward(graph, steps, whisper, f"layer_{layer}/ffn")
    graph.node("Identity", [steps], output="feature_map")
    by_segment = graph.reshape(steps, 0, SEGMENTS_PER_BLOCK, FEATURE_STEPS // SEGMENTS_PER_BLOCK, FEATURE_WIDTH)
    means = graph.node("ReduceMean", [by_segment, graph.constant(np.array([2], np.int64))], keepdims=0)
    product = graph.node("MatMul", [means, graph.constant(weight.T)])
    graph.node("Add", [product, graph.constant(bias)], output="embedding")
    return content_with_origin(graph.model(), origin)


def _attention(graph: _Graph, steps: str, whisper: Weights, name: str) -> str:
    """Self-attention with six heads of d = 64: x + W_o softmax(q k' / sqrt(d)) v."""
    weight, bias = _pair(whisper, f"{name}/linear_0")
    # The scale of the dot products, 1/8, goes into the queries' weights: it is exact there.
    scale = np.ones(len(bias), np.float32)
    scale[:FEATURE_WIDTH] = (FEATURE_WIDTH // HEADS) ** -0.5
    joined = graph.linear(graph.norm(steps, whisper, name), f"{name}/linear_0", weight * scale[:, None], bias * scale)
    heads = [graph.reshape(part, 0, FEATURE_STEPS, HEADS, FEATURE_WIDTH // HEADS) for part in graph.split(joined, 3)]
    orders = ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
    q, k, v = (graph.node("Transpose", [part], perm=order) for part, order in zip(heads, orders, strict=True))
    attended = graph.node("MatMul", [graph.node("Softmax", [graph.node("MatMul", [q, k])], axis=-1), v])
    together = graph.reshape(graph.node("Transpose", [attended], perm=[0, 2, 1, 3]), 0, FEATURE_STEPS, FEATURE_WIDTH)
    return graph.node("Add", [steps, _linear(graph, together, whisper, f"{name}/linear_1")])


def _feed_forward(graph: _Graph, steps: str, whisper: Weights, name: str) -> str:
    """Feed-forward network: x + W_2 gelu(W_1 x)."""
    inner = graph.gelu(_linear(graph, graph.norm(steps, whisper, name), whisper, f"{name}/linear_0"))
    return graph.node("Add", [steps, _linear(graph, inner, whisper, f"{name}/linear_1")])


def _linear(graph: _Graph, rows: str, whisper: Weights, name: str) -> str:
    return graph.linear(rows, name, *_pair(whisper, name))


class _Graph:
    """A graph under construction. Every method adds nodes and returns the name of their result."""

    def __init__(self, ranges: Mapping[str, tuple[float, float]] | None) -> None:
        self._ranges = ranges
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def node(self, operator: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        name = output or f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def constant(self, values: npt.NDArray[Any]) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def linear(self, rows: str, name: str, weight: Floats, bias: Floats) -> str:
        """Rows (B, T, in) times weight (out, in), plus bias (out,). All of Whisper's matrices pass here."""
        if self._ranges is None:
            factors = [rows, self.constant(weight.T)]
        else:
            factors = [self._rounded_rows(rows, *self._ranges[name]), self._rounded_weight(weight)]
        return self.node("Add", [self.node("MatMul", factors), self.constant(bias)])

    def _rounded_rows(self, rows: str, least: float, greatest: float) -> str:
        """Rows rounded to the 256 numbers from `least` to `greatest`, of which 0 is one."""
        scale = np.float32((greatest - least) / 255)
        grid = [self.constant(np.array(scale)), self.constant(np.array(round(-least / scale), np.uint8))]
        return self.node("DequantizeLinear", [self.node("QuantizeLinear", [rows, *grid]), *grid])

    def _rounded_weight(self, weight: Floats) -> str:
        """The weight (in, out) rounded to whole multiples of a scale for each output."""
        scales = np.abs(weight).max(axis=1) / np.float32(LARGEST_WEIGHT)
        multiples = np.rint(weight / scales[:, None]).T.astype(np.int8)
        parts = (multiples, scales, np.zeros(len(scales), np.int8))
        return self.node("DequantizeLinear", [self.constant(part) for part in parts], axis=1)

    def convolution(self, steps: str, name: str, weight: Floats, bias: Floats, stride: int) -> str:
        """Convolution of (B, T, in) over time with weight (out, in, 3); zeros are put before and after."""
        zeros = self.constant(np.array([0, KERNEL // 2, 0, 0, KERNEL // 2, 0], np.int64))
        padded = self.node("Pad", [steps, zeros])
        axis, step = self.constant(np.array([1], np.int64)), self.constant(np.array([stride], np.int64))
        shifted = []
        for offset in range(KERNEL):
            # Without the last `KERNEL` - 1 - `offset` frames, every shift has the same number of frames.
            end = offset - KERNEL + 1 or np.iinfo(np.int64).max
            ends = [self.constant(np.array([edge], np.int64)) for edge in (offset, end)]
            shifted.append(self.node("Slice", [padded, *ends, axis, step]))
        return self.linear(self.node("Concat", shifted, axis=2), name, weight.transpose(0, 2, 1).reshape(len(weight), -1), bias)

    def gelu(self, values: str) -> str:
        """GELU, x / 2 (1 + erf(x / sqrt 2)), in the form that ONNX Runtime replaces by one operator."""
        root, one, half = (self.constant(np.array(number, np.float32)) for number in (2.0**0.5, 1.0, 0.5))
        erf = self.node("Erf", [self.node("Div", [values, root])])
        return self.node("Mul", [self.node("Mul", [values, self.node("Add", [erf, one])]), half])

    def norm(self, values: str, whisper: Weights, name: str) -> str:
        scale, shift = (self.constant(_floats(whisper[f"{name}/layer_norm/{part}"])) for part in ("gamma", "beta"))
        return self.node("LayerNormalization", [values, scale, shift], axis=-1, epsilon=EPSILON)

    def split(self, values: str, parts: int) -> list[str]:
        names = [f"t{len(self._nodes)}_{part}" for part in range(parts)]
        self._nodes.append(helper.make_node("Split", [values], names, axis=-1, num_outputs=parts))
        return names

    def reshape(self, values: str, *shape: int) -> str:
        """To another shape; 0 keeps the length of an axis."""
        return self.node("Reshape", [values, self.constant(np.array(shape, np.int64))])

    def model(self) -> onnx.ModelProto:
        shapes = {
            "log_mel": (MEL_BINS, MEL_FRAMES),
            "embedding": (SEGMENTS_PER_BLOCK, VOICE_WIDTH),
            "feature_map": (FEATURE_STEPS, FEATURE_WIDTH),
        }
        log_mel, *outputs = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape]) for name, shape in shapes.items())
        graph = helper.make_graph(self._nodes, "audio_encoder", [log_mel], outputs, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="sentistream")
        onnx.checker.check_model(model, full_check=True)
        return model


def _pair(whisper: Weights, name: str) -> tuple[Floats, Floats]:
    return _floats(whisper[f"{name}/weight"]), _floats(whisper[f"{name}/bias"])


def _floats(values: npt.NDArray[Any]) -> Floats:
    converted: Floats = values.astype(np.float32)
    return converted
