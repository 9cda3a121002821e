"""Builds the encoders of the Triton model repository that are not in git, and checks that every model can be served."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stream.model_repository.audio_weights import PROJECTION, build_audio_encoder
from stream.model_repository.errors import ModelRepositoryError, WeightsError
from stream.model_repository.files import MODEL_FILE, VERSION, sha256_of, write_atomically
from stream.model_repository.model_config import (
    CPU_CONFIG,
    GPU_CONFIG,
    TensorSpec,
    config_problems,
    onnx_tensors,
    read_config,
    tensor_problems,
)
from stream.model_repository.served_models import AUDIO_ENCODER, BUILT, MMCI, MODEL_NAMES
from stream.model_repository.text_weights import build_text_encoder
from stream.model_repository.version_files import own_encoders

HUB_FILES = ("onnx/model.onnx", "model.onnx")
"""Where models on the Hugging Face hub keep their ONNX file; tried in this order."""


@dataclass(frozen=True, slots=True)
class ModelReport:
    """Result of the check of one model.

    Attributes:
        name: Its directory.
        version: Its version directory.
        backend: Triton backend of the GPU configuration.
        inputs: Input tensors, without the batch axis.
        outputs: Output tensors, without the batch axis.
        size: Size of the ONNX file in bytes.
        sha256: SHA-256 of the ONNX file, 64 hexadecimal digits; empty without a file.
        problems: Reasons why it cannot be served, one sentence each.
    """

    name: str
    version: str
    backend: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    size: int
    sha256: str
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True if it can be served."""
        return not self.problems


def build_models(repository: Path, text_model: str | None = None, *, integers: bool = True) -> tuple[ModelReport, ...]:
    """Build the encoders of `BUILT` and check every model.

    Args:
        repository: The repository, for example ``triton_models``.
        text_model: Hub name of other MiniLM weights, as ``ORGANISATION/NAME`` or ``ORGANISATION/NAME:FILE.onnx``; None uses the packaged
            weights.
        integers: Whether the text encoder multiplies in 8 bits; one of the hub is left as it is.

    Raises:
        ModelRepositoryError: The weights are not available, are not the pinned weights, or cannot be written.
    """
    build_encoders(repository, text_model, integers=integers)
    return check_models(repository)


def build_encoders(repository: Path, text_model: str | None = None, *, integers: bool = True) -> None:
    """Write the ONNX files of the encoders of `BUILT`, unless they are up to date; also of the audio encoders of versions of ``mmci``.

    Arguments and errors are those of `build_models`.
    """
    for name in BUILT:
        directory = repository / name
        if not (directory / GPU_CONFIG).is_file():
            raise ModelRepositoryError(f"{repository} is not a sentistream model repository: it has no {name}/{GPU_CONFIG}")
        target = directory / VERSION / MODEL_FILE
        try:
            if name == AUDIO_ENCODER:
                build_audio_encoder(directory)
                for version in own_encoders(repository / MMCI, versions_of(repository / MMCI)):
                    build_audio_encoder(directory, version, repository / MMCI / version / PROJECTION)
            elif text_model is None:
                build_text_encoder(directory, integers=integers)
            else:
                write_atomically(target, _hub_weights(text_model).read_bytes())
        except WeightsError as error:
            raise ModelRepositoryError(str(error)) from None
        except OSError as error:
            raise ModelRepositoryError(f"{target} cannot be written: {error.strerror}") from None


def _hub_weights(text_model: str) -> Path:
    try:
        from huggingface_hub import hf_hub_download  # noqa: PLC0415 (only this path needs it)
        from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError  # noqa: PLC0415
    except ImportError:
        raise ModelRepositoryError("triton.text_model needs the hub client; install it with: pip install huggingface_hub") from None
    name, _, file = text_model.partition(":")
    download: Callable[..., str] = hf_hub_download
    for candidate in (file,) if file else HUB_FILES:
        try:
            return Path(download(name, candidate))
        except LocalEntryNotFoundError:  # not in the hub's cache, and the hub cannot be reached
            raise ModelRepositoryError(f"{name} cannot be loaded: the hub does not answer") from None
        except EntryNotFoundError:
            continue
        except (HfHubHTTPError, OSError, ValueError) as error:
            raise ModelRepositoryError(f"{name} cannot be loaded from the hub: {type(error).__name__}") from None
    raise ModelRepositoryError(f"{name} has no {file or ' or '.join(HUB_FILES)}; name the file as {name}:FILE.onnx")


def check_models(repository: Path) -> tuple[ModelReport, ...]:
    """Check every version of every model that workers need, and of every other model in the repository."""
    try:
        others = {entry.name for entry in repository.iterdir() if entry.is_dir() and not entry.name.startswith((".", "__"))}
    except OSError as error:
        raise ModelRepositoryError(f"the model repository {repository} cannot be read: {error.strerror}") from None
    names = (*MODEL_NAMES, *sorted(others - set(MODEL_NAMES)))
    return tuple(check_model(repository / name, version) for name in names for version in versions_of(repository / name))


def versions_of(directory: Path) -> tuple[str, ...]:
    """Versions of a model: the numbered folders in its directory, and those that its configuration loads; `VERSION` without any."""
    config = read_config(directory / GPU_CONFIG, [])
    found = {entry.name for entry in directory.glob("*") if entry.is_dir() and entry.name.isdecimal()}
    found |= set(() if config is None else config.versions)
    return tuple(sorted(found, key=int)) or (VERSION,)


def check_model(directory: Path, version: str = VERSION) -> ModelReport:
    """Check a model's configurations against each other and against the ONNX file of one of its versions."""
    name, file = directory.name, directory / version / MODEL_FILE
    if not directory.is_dir():
        return ModelReport(name, version, "", (), (), 0, "", ("it is not in the repository",))
    problems: list[str] = []
    backend = ""
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    digest = sha256_of(file) if file.is_file() else ""
    tensors = onnx_tensors(file, problems) if digest else None
    if not digest:
        how = "run `sentistream models build`" if name in BUILT else "run `sentistream train` or restore it from git"
        problems.append(f"{version}/{MODEL_FILE} is missing; {how}")
    for config_file in (GPU_CONFIG, CPU_CONFIG):
        config = read_config(directory / config_file, problems)
        if config is None:
            continue
        if config_file == GPU_CONFIG:
            backend, inputs, outputs = config.backend, config.inputs, config.outputs
        of_config = config_problems(config, name, version, digest)
        if tensors is not None:
            of_config += tensor_problems(config, *tensors)
        problems += [f"{config_file}: {problem}" for problem in of_config]
    size = file.stat().st_size if digest else 0
    return ModelReport(name, version, backend, inputs, outputs, size, digest, tuple(problems))
