"""Reads Triton model configurations (``config.pbtxt``) and checks them against ONNX files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2

from stream.model_repository.files import VERSION
from stream.model_repository.served_models import DIGEST_PARAMETER, ENCODER_PARAMETER, MAX_ROWS

GPU_CONFIG = "config.pbtxt"
CPU_CONFIG = "configs/cpu.pbtxt"
BACKEND = "onnxruntime"

_ONNX_TYPES = {
    "tensor(float)": "FP32",
    "tensor(float16)": "FP16",
    "tensor(double)": "FP64",
    "tensor(int64)": "INT64",
    "tensor(int32)": "INT32",
    "tensor(uint8)": "UINT8",
    "tensor(bool)": "BOOL",
}


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A named tensor. ``dims`` are without the batch axis; -1 stands for any length."""

    name: str
    datatype: str
    dims: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.datatype}{list(self.dims)}"


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The parts of a model configuration that sentistream relies on.

    Attributes:
        versions: The versions that Triton loads; empty if the configuration leaves it to Triton, which then loads the highest.
        digests: By version, the first 12 hexadecimal digits of its ONNX file's SHA-256; a version may be left out.
        audio_encoders: Of ``mmci``: by version that has one of its own, its version of the audio encoder.
    """

    name: str
    backend: str
    max_batch_size: int
    dynamic_batching: bool
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    versions: tuple[str, ...]
    digests: Mapping[str, str]
    audio_encoders: Mapping[str, str]


def read_config(path: Path, problems: list[str]) -> ModelConfig | None:
    """Parse a configuration. If that fails, return None and add a sentence to the problems."""
    config = model_config_pb2.ModelConfig()
    try:
        text_format.Parse(path.read_text(encoding="utf-8"), config)
    except (OSError, UnicodeDecodeError):
        problems.append(f"{path.name if path.name == GPU_CONFIG else CPU_CONFIG} is missing or unreadable")
        return None
    except text_format.ParseError as error:
        problems.append(f"{path.name}: line {error.GetLine()} is not a valid model configuration")
        return None
    return parse_config(config)


def parse_config(config: Any) -> ModelConfig:
    """The parts of a configuration, given as Triton's protobuf message, that sentistream relies on."""
    return ModelConfig(
        name=config.name,
        backend=config.backend,
        max_batch_size=config.max_batch_size,
        dynamic_batching=config.HasField("dynamic_batching"),
        inputs=_tensors(config.input),
        outputs=_tensors(config.output),
        versions=tuple(map(str, sorted(config.version_policy.specific.versions))),
        digests={
            key.removeprefix(DIGEST_PARAMETER).removeprefix(".") or VERSION: value.string_value
            for key, value in config.parameters.items()
            if key.partition(".")[0] == DIGEST_PARAMETER
        },
        audio_encoders={
            key.removeprefix(f"{ENCODER_PARAMETER}."): value.string_value
            for key, value in config.parameters.items()
            if key.startswith(f"{ENCODER_PARAMETER}.")
        },
    )


def config_with_versions(config: Any, digests: Mapping[str, str], audio_encoders: Mapping[str, str]) -> str:
    """A configuration, given as Triton's protobuf message, as JSON; with these versions instead of its own.

    Args:
        config: The configuration.
        digests: By version, its digest, which may be empty.
        audio_encoders: By version of ``mmci`` that has one of its own, its version of the audio encoder.
    """
    changed = model_config_pb2.ModelConfig()
    changed.CopyFrom(config)
    changed.version_policy.Clear()
    changed.version_policy.specific.versions.extend(sorted(map(int, digests)))
    for key in [key for key in changed.parameters if key.partition(".")[0] in {DIGEST_PARAMETER, ENCODER_PARAMETER}]:
        del changed.parameters[key]
    for key, value in version_parameters(digests, audio_encoders).items():
        changed.parameters[key].string_value = value
    return json_format.MessageToJson(changed, preserving_proto_field_name=True)


def version_parameters(digests: Mapping[str, str], audio_encoders: Mapping[str, str]) -> dict[str, str]:
    """The parameters that say of each version what its digest is and which audio encoder it has; arguments as `config_with_versions`."""
    named = {DIGEST_PARAMETER if version == VERSION else f"{DIGEST_PARAMETER}.{version}": digest for version, digest in digests.items()}
    own = {f"{ENCODER_PARAMETER}.{version}": encoder for version, encoder in audio_encoders.items() if version in digests}
    return {key: value for key, value in {**named, **own}.items() if value}


def _tensors(entries: object) -> tuple[TensorSpec, ...]:
    names = model_config_pb2.DataType.Name
    return tuple(
        TensorSpec(e.name, names(e.data_type).removeprefix("TYPE_"), tuple(e.dims))
        for e in entries  # type: ignore[attr-defined]  # protobuf's repeated field has no type here
    )


def config_problems(config: ModelConfig, name: str, version: str, digest: str) -> list[str]:
    """Problems of a configuration by itself; ``digest`` is the SHA-256 of this version's ONNX file, empty without a file."""
    problems: list[str] = []
    if config.name not in {"", name}:
        problems.append(f"its name is {config.name!r}, but the directory is {name!r}")
    if config.backend != BACKEND:
        problems.append(f"its backend is {config.backend!r}, not {BACKEND!r}")
    if config.max_batch_size < MAX_ROWS:
        problems.append(f"max_batch_size is {config.max_batch_size}; requests have up to {MAX_ROWS} rows")
    if not config.dynamic_batching:
        problems.append("dynamic_batching is off")
    if digest and not digest.startswith(config.digests.get(version, "")):
        problems.append("its digest does not match the ONNX file")
    return problems


def onnx_tensors(path: Path, problems: list[str]) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]] | None:
    """Inputs and outputs of an ONNX file, without their batch axis. If that fails, return None and add a sentence to the problems."""
    try:
        import onnxruntime  # noqa: PLC0415 (of the extra `local`)
    except ImportError:
        problems.append("onnxruntime is not installed, so the ONNX file was not checked; pip install 'sentistream[local]'")
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common class
        problems.append(f"the ONNX file cannot be loaded ({type(error).__name__})")
        return None
    tensors = []
    for nodes in (session.get_inputs(), session.get_outputs()):
        for node in nodes:
            if not node.shape or isinstance(node.shape[0], int):
                problems.append(f"{node.name} of the ONNX file has no free batch axis")
        tensors.append(tuple(_onnx_tensor(node.name, node.type, node.shape) for node in nodes))
    return tensors[0], tensors[1]


def _onnx_tensor(name: str, kind: str, shape: list[int | str | None]) -> TensorSpec:
    dims = tuple(size if isinstance(size, int) else -1 for size in shape[1:])
    return TensorSpec(name, _ONNX_TYPES.get(kind, kind), dims)


def tensor_problems(config: ModelConfig, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> list[str]:
    """Differences between the tensors of a configuration and the tensors of the ONNX file."""
    problems: list[str] = []
    for kind, declared, actual in (("input", config.inputs, inputs), ("output", config.outputs, outputs)):
        by_name = {tensor.name: tensor for tensor in actual}
        for tensor in declared:
            found = by_name.get(tensor.name)
            if found is None:
                problems.append(f"{kind} {tensor.name} is not in the ONNX file")
            elif found.datatype != tensor.datatype or not _fit(tensor.dims, found.dims):
                problems.append(f"{kind} {tensor} is {found} in the ONNX file")
        missing = sorted(by_name.keys() - {tensor.name for tensor in declared})
        if missing and kind == "input":
            problems.append(f"the ONNX file's input {', '.join(missing)} is not declared")
    return problems


def _fit(declared: tuple[int, ...], actual: tuple[int, ...]) -> bool:
    """Whether declared dimensions fit: a free axis of the ONNX file accepts any length, a fixed axis only its own."""
    return len(declared) == len(actual) and all(b in {-1, a} for a, b in zip(declared, actual, strict=True))
