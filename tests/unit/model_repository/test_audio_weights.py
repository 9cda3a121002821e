"""The served audio encoder is the lower part of Whisper's encoder and a projection, and computes the same in ONNX as in PyTorch."""

from __future__ import annotations

import struct
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import soundfile
from safetensors.numpy import save_file

from stream.config.project import PROJECT_ROOT
from stream.domain.features import Floats
from stream.domain.media_format import BLOCK_SAMPLES, FEATURE_STEPS, FEATURE_WIDTH, MEL_BINS, MEL_FRAMES, SEGMENTS_PER_BLOCK, VOICE_WIDTH
from stream.encoders.audio import log_mel, segments
from stream.model_repository.audio_graph import LAYERS, RANGES, Weights, audio_graph
from stream.model_repository.audio_weights import PROJECTION, WHISPER, build_audio_encoder, read_projection
from stream.model_repository.ctranslate2_file import read_variables
from stream.model_repository.errors import WeightsError
from stream.model_repository.served_models import IR_VERSION, OPSET


def projection(folder: Path, seed: int = 0) -> tuple[Floats, Floats]:
    chance = np.random.default_rng(seed)
    weight, bias = chance.standard_normal((VOICE_WIDTH, FEATURE_WIDTH), np.float32), chance.standard_normal(VOICE_WIDTH, np.float32)
    save_file({"weight": weight, "bias": bias}, folder / PROJECTION)
    return weight, bias


def blocks(count: int) -> Floats:
    return np.random.default_rng(1).uniform(-0.6, 1.4, (count, MEL_BINS, MEL_FRAMES)).astype(np.float32)


def in_torch(log_mel: Floats) -> Floats:
    """(n, 50, 384) output of the second layer, computed by PyTorch's own modules."""
    torch = pytest.importorskip("torch")
    variables = {name: torch.tensor(values.astype(np.float32)) for name, values in whisper().items()}
    gelu = torch.nn.functional.gelu
    steps = torch.from_numpy(log_mel)
    for name, stride in (("conv1", 1), ("conv2", 2)):
        weight, bias = variables[f"{name}/weight"], variables[f"{name}/bias"]
        steps = gelu(torch.nn.functional.conv1d(steps, weight, bias, stride=stride, padding=1))
    steps = steps.transpose(1, 2) + variables["position_encodings/encodings"][:FEATURE_STEPS]
    for number in range(LAYERS):
        # Whisper's block is PyTorch's encoder layer with its norms first.
        layer = torch.nn.TransformerEncoderLayer(FEATURE_WIDTH, 6, 1536, 0.0, gelu, batch_first=True, norm_first=True)
        names = {
            "self_attn.in_proj_": "self_attention/linear_0/",
            "self_attn.out_proj.": "self_attention/linear_1/",
            "linear1.": "ffn/linear_0/",
            "linear2.": "ffn/linear_1/",
        }
        state = {f"{ours}{kind}": variables[f"layer_{number}/{its}{kind}"] for ours, its in names.items() for kind in ("weight", "bias")}
        for ours, its in (("norm1", "self_attention"), ("norm2", "ffn")):
            state |= {f"{ours}.{a}": variables[f"layer_{number}/{its}/layer_norm/{b}"] for a, b in (("weight", "gamma"), ("bias", "beta"))}
        layer.load_state_dict(state)
        with torch.inference_mode():
            steps = layer.eval()(steps)
    computed: Floats = steps.numpy()
    return computed


def whisper() -> Weights:
    return read_variables(WHISPER.path(), "encoder/")


def opened(model: Path | bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def voices() -> Floats:
    """(n, 80, 100) inputs of the packaged call."""
    samples, _ = soundfile.read(PROJECT_ROOT / "stream" / "produce" / "sample" / "call.flac", dtype="int16", always_2d=True)
    seconds = samples[: len(samples) // BLOCK_SAMPLES * BLOCK_SAMPLES, 0].reshape(-1, BLOCK_SAMPLES)
    return np.stack([log_mel(second) for second in seconds if segments(0, second, -55.0)[1].any()])


def test_the_graph_computes_whispers_lower_layers_and_the_projection(tmp_path: Path) -> None:
    weight, bias = projection(tmp_path)
    session = opened(audio_graph(whisper(), weight, bias, "", ranges=None))
    log_mel = blocks(3)
    embedding, feature_map = session.run(["embedding", "feature_map"], {"log_mel": log_mel})
    steps = in_torch(log_mel)
    assert np.abs(steps).max() > 1
    np.testing.assert_allclose(feature_map, steps, atol=1e-4)
    segments = steps.reshape(3, SEGMENTS_PER_BLOCK, -1, FEATURE_WIDTH).mean(axis=2)
    np.testing.assert_allclose(embedding, segments @ weight.T + bias, atol=1e-3)
    for row in range(3):
        np.testing.assert_allclose(session.run(["embedding"], {"log_mel": log_mel[row : row + 1]})[0][0], embedding[row], atol=1e-4)


def test_eight_bits_keep_the_features_of_voices(tmp_path: Path) -> None:
    weight, bias = projection(tmp_path)
    inputs = voices()
    exact = opened(audio_graph(whisper(), weight, bias, "", ranges=None)).run(["feature_map"], {"log_mel": inputs})[0]
    served = opened(build_audio_encoder(tmp_path)).run(["feature_map"], {"log_mel": inputs})[0]
    one, other = (steps.reshape(len(inputs), SEGMENTS_PER_BLOCK, -1, FEATURE_WIDTH).mean(axis=2) for steps in (exact, served))
    cosines = (one * other).sum(axis=-1) / (np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1))
    assert len(inputs) >= 9
    assert not np.array_equal(one, other)
    assert cosines.min() > 0.995


def test_a_row_has_the_same_bytes_whatever_shares_its_batch(tmp_path: Path) -> None:
    projection(tmp_path)
    session = opened(build_audio_encoder(tmp_path))
    # The others are loud where speech is not: a scale that followed the batch would be another one.
    inputs = np.concatenate([blocks(5), 100 * blocks(4)])
    together = session.run(["embedding"], {"log_mel": inputs})[0]
    assert [session.run(["embedding"], {"log_mel": row[np.newaxis]})[0][0].tobytes() for row in inputs] == [
        row.tobytes() for row in together
    ]


def test_every_matrix_of_whisper_is_multiplied_in_eight_bits(tmp_path: Path) -> None:
    projection(tmp_path)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(build_audio_encoder(tmp_path), options, providers=["CPUExecutionProvider"])
    operators = Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)
    # Beside the projection, two products of each layer's attention have no constant factor.
    assert (operators["MatMulIntegerToFloat"], operators["MatMul"]) == (len(RANGES), 2 * LAYERS + 1)


def test_the_graph_has_the_documented_tensors_and_supported_versions(tmp_path: Path) -> None:
    projection(tmp_path)
    model = onnx.load(str(build_audio_encoder(tmp_path)))
    axes = {
        tensor.name: [axis.dim_value or axis.dim_param for axis in tensor.type.tensor_type.shape.dim]
        for tensor in (*model.graph.input, *model.graph.output)
    }
    assert axes == {
        "log_mel": ["batch", MEL_BINS, MEL_FRAMES],
        "embedding": ["batch", SEGMENTS_PER_BLOCK, VOICE_WIDTH],
        "feature_map": ["batch", FEATURE_STEPS, FEATURE_WIDTH],
    }
    assert (model.ir_version, {opset.domain: opset.version for opset in model.opset_import}) == (IR_VERSION, {"": OPSET})


def test_the_file_is_built_once_and_again_for_another_projection(tmp_path: Path) -> None:
    projection(tmp_path)
    file = build_audio_encoder(tmp_path)
    first, before = file.read_bytes(), file.stat().st_mtime_ns
    assert build_audio_encoder(tmp_path).stat().st_mtime_ns == before
    projection(tmp_path, seed=1)
    assert build_audio_encoder(tmp_path).read_bytes() != first
    projection(tmp_path)
    assert build_audio_encoder(tmp_path).read_bytes() == first


def test_the_committed_projection_is_one() -> None:
    weight, bias = read_projection(PROJECT_ROOT / "triton_models" / "audio_encoder" / PROJECTION)
    assert (weight.shape, bias.shape) == ((VOICE_WIDTH, FEATURE_WIDTH), (VOICE_WIDTH,))
    assert np.isfinite(weight).all()
    assert np.isfinite(bias).all()


def test_a_file_that_is_no_projection_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="missing or unreadable"):
        build_audio_encoder(tmp_path)
    (tmp_path / PROJECTION).write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="missing or unreadable"):
        build_audio_encoder(tmp_path)
    for weight, bias in ((VOICE_WIDTH + 1, VOICE_WIDTH), (VOICE_WIDTH, VOICE_WIDTH + 1)):
        save_file({"weight": np.zeros((weight, FEATURE_WIDTH), np.float32), "bias": np.zeros(bias, np.float32)}, tmp_path / PROJECTION)
        with pytest.raises(WeightsError, match="not a projection of this release"):
            build_audio_encoder(tmp_path)


def test_variables_are_read_by_prefix_with_their_types(tmp_path: Path) -> None:
    arrays: dict[str, npt.NDArray[Any]] = {
        "a/x": np.arange(6, dtype=np.float32).reshape(2, 3),
        "a/y": np.array(7, np.int16),
        "b/x": np.array([1.5], np.float16),
    }
    kinds = {"float32": 0, "int16": 2, "float16": 4}

    def string(text: str) -> bytes:
        return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"

    def content(version: int) -> bytes:
        parts = [struct.pack("<I", version), string("Spec"), struct.pack("<II", 3, len(arrays))]
        for name, array in arrays.items():
            shape = struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
            parts += [string(name), shape, struct.pack("<BI", kinds[array.dtype.name], array.nbytes), array.tobytes()]
        return b"".join(parts)

    (tmp_path / "model.bin").write_bytes(content(6))
    found = read_variables(tmp_path / "model.bin", "a/")
    assert list(found) == ["x", "y"]
    for name, values in found.items():
        assert values.dtype == arrays[f"a/{name}"].dtype
        np.testing.assert_array_equal(values, arrays[f"a/{name}"])
    (tmp_path / "model.bin").write_bytes(content(5))
    with pytest.raises(ValueError, match="version 5"):
        read_variables(tmp_path / "model.bin")
