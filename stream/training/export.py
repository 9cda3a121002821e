"""Export of trained modules to the Triton model repository: ONNX files and their configurations, replaced atomically."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from safetensors.numpy import save
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stream.domain.context import CONTEXT_WINDOWS
from stream.domain.features import WIDTHS, Floats
from stream.domain.inference import COALITIONS, INPUT_NAMES, LABELS, NODE_TENSORS
from stream.domain.media_format import (
    FACE_CELLS,
    FACE_MAP,
    FACE_SIZE,
    FACE_WIDTH,
    FEATURE_STEPS,
    FEATURE_WIDTH,
    MEL_BINS,
    MEL_FRAMES,
    SEGMENTS_PER_BLOCK,
    VOICE_WIDTH,
)
from stream.domain.modality import MODALITIES
from stream.model.encoders import ServedFaceEncoder
from stream.model.served import OUTPUT_NAMES, WEIGHTS, ServedMMCI, example_inputs, save_weights
from stream.model_repository.audio_weights import PROJECTION, build_audio_encoder
from stream.model_repository.face_integers import with_integer_convolutions
from stream.model_repository.files import MODEL_FILE, VERSION, sha256_of, write_atomically
from stream.model_repository.served_models import AUDIO_ENCODER, BUILT, DIGEST_DIGITS, FACE_ENCODER, IR_VERSION, MMCI, OPSET
from stream.model_repository.version_files import load_at_start, load_encoders_at_start, loaded_versions, with_versions
from stream.training.face_ranges import measured_ranges
from stream.training.faces import FaceClassifier, classifier_of
from stream.training.files import publish, replace_text

Shape = tuple[int, ...]
Finish = Callable[[onnx.ModelProto], onnx.ModelProto]


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model of the repository.

    Attributes:
        name: Name of the model and of its folder.
        inputs: Name and shape of each input without the batch axis; -1 for a variable axis.
        outputs: Name and shape of each output, in the same way.
        max_batch: Largest batch.
        queue_delay_us: Longest time that the dynamic batcher waits for more requests, in microseconds.
        halves: Names of the outputs that are float16; all other tensors are float32.
    """

    name: str
    inputs: tuple[tuple[str, Shape], ...]
    outputs: tuple[tuple[str, Shape], ...]
    max_batch: int
    queue_delay_us: int = 500
    halves: frozenset[str] = frozenset()


def _mmci_inputs() -> tuple[tuple[str, Shape], ...]:
    shapes: dict[str, Shape] = {"past_mask": (CONTEXT_WINDOWS, len(MODALITIES)), "past_same": (CONTEXT_WINDOWS,)}
    for modality, names in NODE_TENSORS.items():
        width = WIDTHS[modality]
        shapes |= {names.values: (-1, width), names.times: (-1, 2), names.mask: (-1,), names.past: (CONTEXT_WINDOWS, width)}
    return tuple([(name, shapes[name]) for name in INPUT_NAMES])


AUDIO_ENTRY = ModelEntry(
    AUDIO_ENCODER,
    (("log_mel", (MEL_BINS, MEL_FRAMES)),),
    (("embedding", (SEGMENTS_PER_BLOCK, VOICE_WIDTH)), ("feature_map", (FEATURE_STEPS, FEATURE_WIDTH))),
    32,
)
FACE_ENTRY = ModelEntry(
    FACE_ENCODER,
    (("face", (1, FACE_SIZE, FACE_SIZE)),),
    (("embedding", (FACE_WIDTH,)), ("feature_map", FACE_MAP), ("cells", FACE_CELLS)),
    64,
    halves=frozenset({"cells"}),
)
MMCI_ENTRY = ModelEntry(
    MMCI,
    _mmci_inputs(),
    tuple(
        zip(OUTPUT_NAMES, ((COALITIONS,), (COALITIONS, len(LABELS)), (-1,), (-1,), (1,), (1,), (1,), (-1, FACE_WIDTH), (-1,)), strict=True)
    ),
    32,
)


def _unchanged(graph: onnx.ModelProto) -> onnx.ModelProto:
    return graph


def export_encoder(module: nn.Module, entry: ModelEntry, repository: Path, finish: Finish = _unchanged) -> Path:
    """Export the face encoder; returns the path of the ONNX file. `finish` changes the graph before it is written."""
    ((_, shape),) = entry.inputs
    axes = {name: {0: "batch"} for name, _ in entry.inputs + entry.outputs}
    return _export(module, entry, (torch.zeros(2, *shape),), axes, repository, finish=finish)


def export_projection(weight: Floats, bias: Floats, repository: Path) -> Path:
    """Write the audio encoder's projection and configurations, and build its ONNX file; returns that file's path.

    Args:
        weight: (`VOICE_WIDTH`, 384) float32.
        bias: (`VOICE_WIDTH`,) float32.
        repository: The model repository.

    Raises:
        WeightsError: The package with Whisper is not installed, or an array has another shape.
    """
    folder = repository / AUDIO_ENTRY.name
    write_configs(AUDIO_ENTRY, repository)
    write_projection(folder / PROJECTION, weight, bias)
    return build_audio_encoder(folder)


def write_projection(file: Path, weight: Floats, bias: Floats) -> None:
    """Write a projection of voices, (`VOICE_WIDTH`, 384) and (`VOICE_WIDTH`,) float32."""
    write_atomically(file, save({"weight": weight, "bias": bias}))


def export_face(module: FaceClassifier, repository: Path) -> Path:
    """Export the face encoder in 8 bits, and its weights with those of its classifiers beside it; returns the ONNX file's path."""
    graph = export_encoder(ServedFaceEncoder(module.encoder), FACE_ENTRY, repository, _in_integers)
    save_file({name: tensor.contiguous() for name, tensor in module.state_dict().items()}, graph.with_name(WEIGHTS))
    return graph


def served_face(repository: Path) -> FaceClassifier:
    """Read the face encoder and its classifiers, in evaluation mode, from the weights beside the served model."""
    return classifier_of(load_file(repository / FACE_ENTRY.name / "1" / WEIGHTS))


def export_mmci(module: ServedMMCI, repository: Path) -> Path:
    """Export the served MMCI with variable batch and node axes, and its weights for torch beside it; returns the ONNX file's path."""
    # "words", "word_times" and "word_mask" share the node axis "words", and so on; the context has a fixed number of windows.
    node_axes = {"word": "words", "audi": "audio", "vide": "video"}
    axes = {name: {0: "batch", 1: node_axes[name[:4]]} if name[:4] in node_axes else {0: "batch"} for name in INPUT_NAMES}
    axes |= {name: {0: "batch"} for name in OUTPUT_NAMES}
    axes["causal"][1] = axes["relevance"][1] = "nodes"
    axes["face_slope"][1], axes["word_effects"][1] = "video", "words"
    inputs = example_inputs(2, 5, 7, 3, torch.Generator().manual_seed(0))
    graph = _export(module, MMCI_ENTRY, inputs, axes, repository)
    save_weights(module, graph.with_name(WEIGHTS))
    return graph


def write_configs(entry: ModelEntry, repository: Path) -> None:
    """Write ``config.pbtxt`` (for a GPU) and ``configs/cpu.pbtxt`` of one model. Triton goes on loading the versions that they name."""
    folder = repository / entry.name
    versions = loaded_versions(folder)
    (folder / "configs").mkdir(parents=True, exist_ok=True)
    # The file of a model that is built may come after its configuration.
    digest = "" if entry.name in BUILT else sha256_of(folder / VERSION / MODEL_FILE)[:DIGEST_DIGITS]
    replace_text(folder / "config.pbtxt", config_text(entry, "KIND_GPU", digest))
    replace_text(folder / "configs" / "cpu.pbtxt", config_text(entry, "KIND_CPU", digest))
    served = [version for version in versions if (folder / version / MODEL_FILE).is_file()]
    if entry.name == MMCI:
        load_at_start(folder, served)
    elif entry.name == AUDIO_ENCODER:
        load_encoders_at_start(folder, served or [VERSION])


def config_text(entry: ModelEntry, kind: str, digest: str) -> str:
    """The Triton configuration of one model for one kind of device. `digest` tells clients which weights answer them; it may be empty."""
    parameters = f'parameters {{ key: "digest" value {{ string_value: "{digest}" }} }}\n' if digest else ""
    text = f"""name: "{entry.name}"
backend: "onnxruntime"
default_model_filename: "model.onnx"
max_batch_size: {entry.max_batch}
input [
{_tensors(entry.inputs, entry.halves)}
]
output [
{_tensors(entry.outputs, entry.halves)}
]
instance_group [ {{ kind: {kind}, count: 1 }} ]
dynamic_batching {{ max_queue_delay_microseconds: {entry.queue_delay_us} }}
{parameters}"""
    if entry.name not in {MMCI, AUDIO_ENCODER}:
        return text
    return with_versions(text, (VERSION,), {VERSION: digest} if digest else {}, {})


def _tensors(tensors: tuple[tuple[str, Shape], ...], halves: frozenset[str]) -> str:
    types = {name: "TYPE_FP16" if name in halves else "TYPE_FP32" for name, _ in tensors}
    lines = (f'  {{ name: "{name}", data_type: {types[name]}, dims: [ {", ".join(map(str, shape))} ] }}' for name, shape in tensors)
    return ",\n".join(lines)


def _in_integers(graph: onnx.ModelProto) -> onnx.ModelProto:
    return with_integer_convolutions(graph, measured_ranges(graph))


def _export(
    module: nn.Module,
    entry: ModelEntry,
    inputs: tuple[Tensor, ...],
    axes: dict[str, dict[int, str]],
    repository: Path,
    *,
    finish: Finish = _unchanged,
) -> Path:
    target = repository / entry.name / "1" / "model.onnx"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as folder:
        draft = Path(folder) / "model.onnx"
        torch.onnx.export(
            module.eval(),
            inputs,
            str(draft),
            input_names=[name for name, _ in entry.inputs],
            output_names=[name for name, _ in entry.outputs],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,  # the newer exporter stores stack traces with the paths of source files in the graph
        )
        graph = finish(onnx.load(str(draft)))
        graph.ir_version = min(graph.ir_version, IR_VERSION)
        onnx.checker.check_model(graph, full_check=True)
        onnx.save(graph, str(draft))
        publish(draft, target)
    write_configs(entry, repository)
    return target
