"""Where the served models run: on Triton, or in this process from a model repository."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from stream.config.service_settings import TritonSettings
from stream.domain.features import Floats
from stream.domain.inference import WindowInputs
from stream.domain.media_format import FACE_WIDTH, SEGMENTS_PER_BLOCK, VOICE_WIDTH
from stream.encoders.text import TokenisedWords
from stream.model_repository.audio_weights import PROJECTION, build_audio_encoder, encoder_with, read_projection
from stream.model_repository.files import MODEL_FILE, VERSION
from stream.model_repository.served_models import AUDIO_ENCODER, FACE_ENCODER, MMCI, TEXT_ENCODER
from stream.model_repository.text_weights import build_text_encoder
from stream.reveal.windows import Answers
from stream.serving.models import Models

Item = TypeVar("Item")
BATCH = 16
ANSWERED = ("coalition_scores", "coalition_probabilities")


class TritonModels:
    """`stream.reveal.windows.ServedModels` on Triton. Make one with `triton_models`."""

    def __init__(self, models: Models, runner: asyncio.Runner, version: str) -> None:
        self._models, self._runner, self._version = models, runner, version
        self.name = f"{MMCI}, version {version}"

    def encode_text(self, sequences: Sequence[TokenisedWords]) -> list[Floats]:
        """Token states (T, 384) of each sequence."""
        return self._all([self._models.encode_text(tokenised) for tokenised in sequences])

    def encode_audio(self, log_mel: Floats) -> Floats:
        """Segment embeddings (n, 10, `VOICE_WIDTH`) of (n, 80, 100) blocks."""
        return self._runner.run(self._encode_audio(log_mel))

    async def _encode_audio(self, log_mel: Floats) -> Floats:
        return await self._models.encode_audio(log_mel, await self._models.audio_encoder(self._version))

    def encode_faces(self, faces: Floats) -> Floats:
        """Embeddings (n, `FACE_WIDTH`) of (n, 1, 48, 48) crops."""
        return self._runner.run(self._models.encode_faces(faces))

    def answers(self, windows: Sequence[WindowInputs]) -> Answers:
        """What ``mmci`` says of n windows."""
        found = self._all([self._models.infer(inputs, self._version) for inputs in windows])
        return Answers(*(np.stack([getattr(own, name) for own in found]) for name in Answers._fields))

    def _all(self, asked: Sequence[Coroutine[Any, Any, Item]]) -> list[Item]:
        async def together() -> list[Item]:
            return list(await asyncio.gather(*asked))

        return self._runner.run(together())


@contextmanager
def triton_models(settings: TritonSettings, version: str | None = None) -> Iterator[TritonModels]:
    """The models of a running Triton, with a version of ``mmci`` or its default. Raises `UnusableModelsError`."""
    with asyncio.Runner() as runner:

        async def connect() -> Models:
            return Models(settings)

        models = runner.run(connect())
        try:
            problem = runner.run(models.problem())
            if problem is not None:
                raise UnusableModelsError(problem.text)
            yield TritonModels(models, runner, version or runner.run(models.default_version()))
        finally:
            runner.run(models.close())


class UnusableModelsError(Exception):
    """The models cannot be asked; the message says why and what to do."""


class RepositoryModels:
    """`stream.reveal.windows.ServedModels` in this process, from the ONNX files of a model repository.

    Args:
        repository: The repository. Its text and audio encoders are built if they are not there.
        mmci: Folder of a version of ``mmci``, if it is not version 1 of the repository. A projection of voices beside the version
            (`sentistream revise`) takes the place of that of the repository.
        text: ONNX file of another text encoder.

    Raises:
        WeightsError: The packaged weights are not installed.
        UnusableModelsError: onnxruntime is not installed, or a model is missing.
    """

    def __init__(self, repository: Path, mmci: Path | None = None, text: bytes | None = None) -> None:
        try:
            from stream.training.inference import session  # noqa: PLC0415 - onnxruntime is in an extra
        except ImportError:
            raise UnusableModelsError("onnxruntime is not installed: pip install 'sentistream[local]'") from None

        def opened(file: Path | bytes) -> Any:
            if isinstance(file, Path) and not file.is_file():
                raise UnusableModelsError(f"{file}: not found")
            return session(file)

        folder = mmci or repository / MMCI / VERSION
        self._text = opened(build_text_encoder(repository / TEXT_ENCODER) if text is None else text)
        own = build_audio_encoder(repository / AUDIO_ENCODER)
        self.name = f"{MMCI}, version {folder.name}"
        self._audio = opened(encoder_with(*read_projection(folder / PROJECTION)) if (folder / PROJECTION).is_file() else own)
        self._faces = opened(repository / FACE_ENCODER / VERSION / MODEL_FILE)
        self._mmci = opened(folder / MODEL_FILE)

    def encode_text(self, sequences: Sequence[TokenisedWords]) -> list[Floats]:
        """Token states (T, 384) of each sequence."""
        names = ("input_ids", "attention_mask", "token_type_ids")
        return [
            self._text.run(["last_hidden_state"], {name: getattr(tokenised, name)[np.newaxis] for name in names})[0][0]
            for tokenised in sequences
        ]

    def encode_audio(self, log_mel: Floats) -> Floats:
        """Segment embeddings (n, 10, `VOICE_WIDTH`) of (n, 80, 100) blocks."""
        return _in_batches(self._audio, "log_mel", log_mel, (SEGMENTS_PER_BLOCK, VOICE_WIDTH))

    def encode_faces(self, faces: Floats) -> Floats:
        """Embeddings (n, `FACE_WIDTH`) of (n, 1, 48, 48) crops."""
        return _in_batches(self._faces, "face", faces, (FACE_WIDTH,))

    def answers(self, windows: Sequence[WindowInputs]) -> Answers:
        """What ``mmci`` says of n windows, all of one length."""
        parts = []
        for start in range(0, len(windows), BATCH):
            batch = windows[start : start + BATCH]
            inputs = {tensor.name: np.stack([getattr(own, tensor.name) for own in batch]) for tensor in self._mmci.get_inputs()}
            parts.append(self._mmci.run(list(ANSWERED), inputs))
        return Answers(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _in_batches(model: Any, name: str, rows: Floats, shape: tuple[int, ...]) -> Floats:
    parts = [model.run(["embedding"], {name: rows[start : start + BATCH]})[0] for start in range(0, len(rows), BATCH)]
    return np.concatenate(parts) if parts else np.zeros((0, *shape), np.float32)
