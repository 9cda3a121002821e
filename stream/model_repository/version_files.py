"""Versions of ``mmci`` in the model repository: ``mmci/N/{model.onnx, weights.safetensors, card.json}``, and which of them Triton loads.

The weights of a version never change: other weights are another version. Which versions Triton loads when it starts stands in
``version_policy`` of both configurations, so a version that was only put into the folder is not served.

A version that was trained with another projection of voices has it beside it: ``mmci/N/projection.safetensors``. Its audio encoder is then
version N of ``audio_encoder``; the others have version 1, that of the release.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from stream.model_repository.audio_weights import PROJECTION
from stream.model_repository.errors import ModelRepositoryError
from stream.model_repository.files import MODEL_FILE, VERSION, sha256_of, write_atomically
from stream.model_repository.model_config import CPU_CONFIG, GPU_CONFIG, read_config, version_parameters
from stream.model_repository.served_models import DIGEST_DIGITS, DIGEST_PARAMETER, ENCODER_PARAMETER

CARD = "card.json"
"""Model card of a version. Its ``gates`` are the conditions of a promotion: by name, an object whose ``passed`` is true or false."""

_GENERATED = re.compile(rf'^(version_policy\b|parameters \{{ key: "({DIGEST_PARAMETER}|{ENCODER_PARAMETER})[".]).*\n', re.MULTILINE)


def add_version(directory: Path, source: Path) -> str:
    """Copy the files of a version, for example those that a training has written, into a new version folder of a model; return its number.

    The folder appears complete or not at all. Raises `ModelRepositoryError`.
    """
    taken = [int(entry.name) for entry in directory.glob("*") if entry.name.isdecimal()]
    version = str(max(taken, default=0) + 1)
    partial = directory / f".{version}.partial"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial)
        partial.rename(directory / version)
    except OSError as error:
        raise ModelRepositoryError(f"version {version} of {directory.name} cannot be written: {error.strerror or error}") from None
    return version


def loaded_versions(directory: Path) -> tuple[str, ...]:
    """The versions that Triton loads when it starts, in order; `VERSION` where the configuration names none."""
    config = read_config(directory / GPU_CONFIG, [])
    return (VERSION,) if config is None or not config.versions else config.versions


def digests_of(directory: Path, versions: Sequence[str]) -> dict[str, str]:
    """The digests of versions, from their files. Raises `ModelRepositoryError` if one of them is missing."""
    try:
        return {version: sha256_of(directory / version / MODEL_FILE)[:DIGEST_DIGITS] for version in versions}
    except OSError as error:
        raise ModelRepositoryError(f"{error.filename}: {error.strerror}") from None


def own_encoders(directory: Path, versions: Sequence[str]) -> dict[str, str]:
    """By version of ``mmci`` that was trained with another audio encoder than that of the release, the version of that encoder: its own."""
    return {version: version for version in versions if version != VERSION and (directory / version / PROJECTION).is_file()}


def load_at_start(directory: Path, versions: Sequence[str]) -> None:
    """Write into both configurations of ``mmci`` which versions Triton loads, their digests, and which have an audio encoder of their own.

    Raises `ModelRepositoryError`.
    """
    _rewrite(directory, versions, digests_of(directory, versions), own_encoders(directory, versions))


def load_encoders_at_start(directory: Path, versions: Sequence[str]) -> None:
    """Write into both configurations of ``audio_encoder`` which versions Triton loads. Raises `ModelRepositoryError`.

    They have no digests: their files are built, and other versions of the tools may write them with other bytes.
    """
    _rewrite(directory, versions, {}, {})


def _rewrite(directory: Path, versions: Sequence[str], digests: Mapping[str, str], audio_encoders: Mapping[str, str]) -> None:
    for name in (GPU_CONFIG, CPU_CONFIG):
        try:
            text = (directory / name).read_text(encoding="utf-8")
            write_atomically(directory / name, with_versions(text, versions, digests, audio_encoders).encode())
        except OSError as error:
            raise ModelRepositoryError(f"{directory / name} cannot be written: {error.strerror}") from None


def with_versions(text: str, versions: Sequence[str], digests: Mapping[str, str], audio_encoders: Mapping[str, str]) -> str:
    """A configuration's text with the versions that Triton loads, and what is known of them, instead of those that it names."""
    lines = [f"version_policy {{ specific {{ versions: [ {', '.join(sorted(versions, key=int))} ] }} }}"]
    in_order = {version: digests[version] for version in sorted(digests, key=int)}
    lines += [
        f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}'
        for key, value in version_parameters(in_order, audio_encoders).items()
    ]
    kept = _GENERATED.sub("", text)
    return kept.removesuffix("\n") + "\n" + "\n".join(lines) + "\n"


def gates_problem(folder: Path) -> str | None:
    """Why a version may not be promoted without force, according to the gates in its card; None if it may.

    The release's own version has been through the gates of the release.
    """
    if folder.name == VERSION:
        return None
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        gates = card["gates"]
        failed = [name for name, gate in gates.items() if gate["passed"] is not True]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"version {folder.name} has no {CARD} with gates"
    if not gates or failed:
        return f"version {folder.name} has not passed its gates: {', '.join(failed) or 'there are none'}"
    return None
