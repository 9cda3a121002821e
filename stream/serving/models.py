"""The four models as functions of arrays. Shapes are checked in both directions, and outages are waited out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from stream.aio.backoff import Backoff
from stream.aio.batcher import Batcher
from stream.aio.breaker import Breaker
from stream.config.service_settings import TritonSettings
from stream.domain.features import Floats, Halves
from stream.domain.inference import Coalitions, Extra, Inference, WindowInputs
from stream.domain.media_format import FACE_CELLS, FACE_SIZE, FACE_WIDTH, MEL_BINS, MEL_FRAMES, SEGMENTS_PER_BLOCK, VOICE_WIDTH, WORD_WIDTH
from stream.domain.result import ModelVersion
from stream.domain.service_problem import ServiceProblem
from stream.model_repository.files import VERSION
from stream.model_repository.served_models import AUDIO_ENCODER, FACE_ENCODER, MAX_ROWS, MMCI, TEXT_ENCODER
from stream.serving.canary_windows import canary_windows
from stream.serving.client import ModelAnswer, TritonClient
from stream.serving.diagnosis import digest_note, foreign_model, triton_problem
from stream.serving.errors import ModelFailedError, ModelRejectedError, TritonUnavailableError
from stream.serving.versions import ServedVersions
from stream.serving.window_batch import OF_COALITIONS, OF_WINDOWS, WindowBatch, sort

if TYPE_CHECKING:
    from stream.encoders.text import TokenisedWords

Array = npt.NDArray[Any]
Item = TypeVar("Item")
Answer = TypeVar("Answer")


class _Question(NamedTuple):
    inputs: WindowInputs
    version: str
    outputs: frozenset[str]


_Ask = Callable[[str, Mapping[str, Array], Mapping[str, tuple[int, ...]], str], Awaitable[ModelAnswer]]

MAX_MODEL_FAILURES = 5
"""Failures of the model on one request, with the server up, after which the request counts as invalid.

Repeated for ever, it would hold up every later window of its track.
"""

FAILURES_OF_A_STUCK_MODEL = 3
"""Requests in a row that a model leaves unanswered, while Triton says that it is ready, after which it counts as stuck."""


class Models:
    """Encoders and the MMCI model on Triton.

    Every method waits out an outage of Triton, until Triton answers or the caller's task is cancelled. A circuit breaker for each model
    bounds the load meanwhile: one probe at a time, with capped backoff and jitter. If each of the waiting windows retried by itself, they
    would flood a server that is just starting. `ModelRejectedError` means that the request is invalid, and would be invalid again.

    Args:
        settings: Address, deadline, batching and repository.
        backoff: Delays between attempts.
        client: Calls Triton; by default gRPC to the configured address.
    """

    def __init__(self, settings: TritonSettings, backoff: Backoff | None = None, client: TritonClient | None = None) -> None:
        self._settings = settings
        self._backoff = backoff or Backoff()
        self._client = client or TritonClient(settings.url, settings.timeout_s)
        self._verified = False
        """Whether the served models were those of this release when they were last checked."""
        self._breakers: dict[tuple[str, str], Breaker] = {}
        """By model and version: one that is not loaded must not hold up the others."""
        self._versions = ServedVersions(settings, self._client, self._breaker(MMCI), self._backoff)
        self._texts = self._batcher(self._encode_texts_together, _tokens)
        self._voices = self._batcher(self._encode_voices_together, _encoder)
        self._faces = self._batcher(self._encode_faces_together, _alike)
        self._face_cells = self._batcher(self._encode_face_cells_together, _alike)
        self._windows = self._batcher(self._infer_together, _sort)
        self._coalitions = self._batcher(self._coalitions_together, _sort)

    async def encode_text(self, tokenised: TokenisedWords, spare_s: float = 0.0) -> Floats:
        """Token states (T, 384) of one sequence of T tokens, which shares a request with others of its length.

        With ``spare_s`` it waits as long as that for a request that is made anyway.
        """
        return await self._texts.answer(tokenised, spare_s)

    async def audio_encoder(self, version: str) -> str:
        """The version of the audio encoder with which a version of the MMCI model was trained.

        While that version of the MMCI model is not loaded, the caller waits for it, as in an outage.
        """
        return await self._versions.audio_encoder(version)

    async def encode_audio(self, log_mel: Floats, encoder: str = VERSION) -> Floats:
        """Segment embeddings (n, 10, `VOICE_WIDTH`) of n one-second blocks (n, 80, 100), from a version of the audio encoder.

        By default it is that of the release. A version that is not loaded is waited for, as in an outage.
        """
        _check_rows(AUDIO_ENCODER, log_mel, (MEL_BINS, MEL_FRAMES))
        with self._versions.encoder_asked(encoder):
            blocks = log_mel.astype(np.float32, copy=False)
            answers = await asyncio.gather(*(self._voices.submit((encoder, block)) for block in blocks))
        return np.stack(answers) if answers else np.zeros((0, SEGMENTS_PER_BLOCK, VOICE_WIDTH), np.float32)

    async def encode_faces(self, faces: Floats) -> Floats:
        """Embeddings (n, `FACE_WIDTH`) of n normalised face crops (n, 1, 48, 48)."""
        return await _rows(FACE_ENCODER, self._faces, faces, (1, FACE_SIZE, FACE_SIZE), (FACE_WIDTH,))

    async def encode_face_cells(self, faces: Floats) -> tuple[Floats, Halves]:
        """The embeddings of `encode_faces`, and (n, *`FACE_CELLS`) what each region of the crops has in them."""
        answers = await _answers(FACE_ENCODER, self._face_cells, faces, (1, FACE_SIZE, FACE_SIZE))
        embeddings, cells = zip(*answers, strict=True) if answers else ((), ())
        return np.array(embeddings, np.float32).reshape(-1, FACE_WIDTH), np.array(cells, np.float16).reshape(-1, *FACE_CELLS)

    async def infer(self, inputs: WindowInputs, version: str, extras: frozenset[Extra] = frozenset()) -> Inference:
        """Run a version of the MMCI model on one window, in one batch with other windows of its length that are ready at about that time.

        If the version is not loaded, the window waits for it, as in an outage: no other version answers for it. `extras` are the further
        outputs that the caller wants; the fields of the others are None.
        """
        with self._versions.asked(version):
            return await self._windows.answer(_Question(inputs, version, OF_WINDOWS | extras))

    async def coalitions(self, inputs: WindowInputs, version: str) -> Coalitions:
        """As `infer`, but only what the model makes of each coalition: for less than half the work, and with the same values."""
        with self._versions.asked(version):
            return await self._coalitions.answer(_Question(inputs, version, OF_COALITIONS))

    async def try_infer(self, inputs: WindowInputs, version: str) -> Inference:
        """As `infer`, but once and at once: raises `ServingError` in an outage, or if the version is not loaded."""
        (inference,) = await self._infer_with(self._attempt, [_Question(inputs, version, OF_WINDOWS)])
        return inference

    async def warm(self, version: str) -> None:
        """Ask a version of the MMCI model once for each set of outputs that windows ask for. Raises `ServingError`, and waits for nothing.

        At the first request for a set, the embedded Triton prepares the part of the graph that leads to it. This takes .1 to .3 s, and the
        windows of all sessions would wait.
        """
        inputs, _ = canary_windows()
        for outputs in (OF_COALITIONS, OF_WINDOWS, OF_WINDOWS | {Extra.WORD_EFFECTS}, OF_WINDOWS | {*Extra}):
            await self._asked(self._attempt, [_Question(inputs, version, outputs)])

    async def _encode_texts_together(self, sequences: Sequence[TokenisedWords]) -> Sequence[Floats]:
        inputs = {
            name: np.stack([np.asarray(getattr(tokenised, name), dtype=np.int64) for tokenised in sequences]) for name in _TOKEN_TENSORS
        }
        answer = await self._run(TEXT_ENCODER, inputs, {"last_hidden_state": (*inputs["input_ids"].shape, WORD_WIDTH)})
        return [*answer.tensors["last_hidden_state"]]

    async def _encode_voices_together(self, blocks: Sequence[tuple[str, Floats]]) -> Sequence[Floats]:
        shapes = {"embedding": (len(blocks), SEGMENTS_PER_BLOCK, VOICE_WIDTH)}
        (encoder, _), inputs = blocks[0], {"log_mel": np.stack([block for _, block in blocks])}
        return [*(await self._run(AUDIO_ENCODER, inputs, shapes, encoder)).tensors["embedding"]]

    async def _encode_faces_together(self, faces: Sequence[Floats]) -> Sequence[Floats]:
        shapes = {"embedding": (len(faces), FACE_WIDTH)}
        return [*(await self._run(FACE_ENCODER, {"face": np.stack(faces)}, shapes)).tensors["embedding"]]

    async def _encode_face_cells_together(self, faces: Sequence[Floats]) -> Sequence[tuple[Floats, Halves]]:
        shapes = {"embedding": (len(faces), FACE_WIDTH), "cells": (len(faces), *FACE_CELLS)}
        answer, _ = await self._run(FACE_ENCODER, {"face": np.stack(faces)}, shapes)
        return list(zip(answer["embedding"], answer["cells"], strict=True))

    async def _infer_together(self, questions: Sequence[_Question]) -> list[Inference]:
        return await self._infer_with(self._run, questions)

    async def _infer_with(self, ask: _Ask, questions: Sequence[_Question]) -> list[Inference]:
        answer, answered_by = await self._asked(ask, questions)
        return [
            Inference(
                scores=answer["coalition_scores"][row],
                probabilities=answer["coalition_probabilities"][row],
                causal=answer["causal"][row],
                relevance=answer["relevance"][row],
                to_review=bool(answer["to_review"][row, 0]),
                arousal=float(answer["arousal"][row, 0]),
                **{extra: answer[extra][row] for extra in Extra if extra in answer},
                version=answered_by,
            )
            for row in range(len(questions))
        ]

    async def _coalitions_together(self, questions: Sequence[_Question]) -> list[Coalitions]:
        answer, _ = await self._asked(self._run, questions)
        return [Coalitions(*own) for own in zip(answer["coalition_scores"], answer["coalition_probabilities"], strict=True)]

    @staticmethod
    async def _asked(ask: _Ask, questions: Sequence[_Question]) -> ModelAnswer:
        """The answer to questions of one sort, which are one request."""
        batch, first = WindowBatch([question.inputs for question in questions]), questions[0]
        tensors = batch.tensors()
        for name, tensor in tensors.items():
            _check_finite(MMCI, name, tensor)
        answer, answered_by = await ask(MMCI, tensors, batch.shapes(first.outputs), first.version)
        return ModelAnswer(batch.with_all_words(answer), answered_by)

    async def default_version(self) -> str:
        """The version of the MMCI model that counts where none was ever promoted."""
        return await self._versions.default()

    async def named(self, version: str) -> ModelVersion:
        """Name, version and digest of the weights of a version of the MMCI model."""
        return await self._versions.named(version)

    async def problem(self) -> ServiceProblem | None:
        """Check once, without waiting for an outage to pass: return why Triton cannot be used now, or None if it can."""
        problem = await triton_problem(self._settings, self._client, models_too=not self._verified)
        self._verified = problem is None
        if problem is None:
            problem = await self.missing_version()
        if problem is None and (stuck := ", ".join(sorted(self.stuck()))):
            text = f"Triton at {self._settings.url} is up, but does not answer requests for {stuck}; if it is not just busy, restart it"
            return ServiceProblem("model_silent", text, lasting=False)
        return problem

    @property
    def served_versions(self) -> tuple[str, ...]:
        """The versions of the MMCI model that Triton served when `problem` last asked."""
        return self._versions.served

    def stuck(self) -> set[str]:
        """Models that leave requests unanswered. A version counts only while somebody waits for it: its sessions may have moved on."""
        failing = {key for key, breaker in self._breakers.items() if breaker.failures >= FAILURES_OF_A_STUCK_MODEL}
        return {model for model, version in failing if not version or self._versions.is_asked(model, version)}

    async def missing_version(self) -> ServiceProblem | None:
        """Return that a version which windows wait for is not loaded, or None."""
        return await self._versions.missing()

    async def note(self) -> ServiceProblem | None:
        """Wait for Triton, then return a difference to this installation that does no harm, or None."""
        return await self._breaker(MMCI).run(lambda: digest_note(self._settings, self._client))

    async def close(self) -> None:
        """Close the connection."""
        for batcher in (self._texts, self._voices, self._faces, self._face_cells, self._windows, self._coalitions):
            batcher.close()
        await self._client.close()

    def _breaker(self, model: str, version: str = "") -> Breaker:
        return self._breakers.setdefault((model, version), Breaker(TritonUnavailableError, self._backoff))

    def _batcher(
        self, run: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]], shape: Callable[[Item], Hashable]
    ) -> Batcher[Item, Answer]:
        return Batcher(
            run,
            shape=shape,
            max_size=MAX_ROWS,
            delay_s=self._settings.batch_delay_ms / 1000,
            follows_load=True,
            refusals=(ModelRejectedError, ModelFailedError),
        )

    async def _run(self, model: str, inputs: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]], version: str = "") -> ModelAnswer:
        """Ask for one batch. If the model fails on several rows, `ModelFailedError` has each of them asked again on its own."""
        rows = max(len(array) for array in inputs.values())
        failures = 0
        while True:
            try:
                return await self._breaker(model, version).run(lambda: self._attempt(model, inputs, shapes, version))
            except ModelFailedError as error:
                if rows > 1:
                    raise
                failures += 1
                if failures >= MAX_MODEL_FAILURES:
                    raise ModelRejectedError(f"{model} failed {failures} times: {error}") from None
                await asyncio.sleep(self._backoff.delay_s(failures))

    async def _attempt(self, model: str, inputs: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]], version: str) -> ModelAnswer:
        """Run a model once. A refusal by a model of another release says nothing about the request: it waits, as in an outage."""
        try:
            tensors, answered_by = await self._client.infer(model, inputs, list(shapes), version)
            if answered_by != version and version:
                raise TritonUnavailableError(f"version {answered_by} of {model} has answered for version {version}")
            return ModelAnswer({name: _checked(model, name, tensors[name], shape) for name, shape in shapes.items()}, answered_by)
        except TritonUnavailableError:
            self._versions.forget()
            raise
        except ModelRejectedError:
            self._verified = False
            if await foreign_model(self._settings, self._client, model):
                raise TritonUnavailableError(f"{model} is not the model of this release") from None
            raise


async def _rows(
    model: str, batcher: Batcher[Floats, Floats], rows: Floats, row_shape: tuple[int, ...], out_shape: tuple[int, ...]
) -> Floats:
    """Answers (n, *out_shape) to n rows, which share requests with those of other callers."""
    answers = await _answers(model, batcher, rows, row_shape)
    return np.stack(answers) if answers else np.zeros((0, *out_shape), np.float32)


async def _answers(model: str, batcher: Batcher[Floats, Answer], rows: Floats, row_shape: tuple[int, ...]) -> list[Answer]:
    """An answer to each row."""
    _check_rows(model, rows, row_shape)
    return list(await asyncio.gather(*map(batcher.submit, rows.astype(np.float32, copy=False))))


def _check_rows(model: str, rows: Floats, row_shape: tuple[int, ...]) -> None:
    if rows.shape[1:] != row_shape:
        raise ModelRejectedError(f"{model} takes rows of shape {row_shape}, not {rows.shape[1:]}")
    _check_finite(model, "a row", rows)


def _encoder(block: tuple[str, Floats]) -> str:
    """Blocks for one version of the audio encoder may share a request."""
    return block[0]


def _alike(_row: Floats) -> None:
    """Every row may share a request with every other."""


def _tokens(tokenised: TokenisedWords) -> int:
    """Length of a sequence. It does not follow from the batch: what a text is encoded to must not depend on the others."""
    return len(tokenised.input_ids)


def _sort(question: _Question) -> Hashable:
    """Windows of one sort of which the same is asked, of the same version, can share a request."""
    return sort(question.inputs), question.version, question.outputs


_HALVES = frozenset({"cells"})
"""Outputs that are float16; the others are float32."""
_EXPONENT = np.uint16(0x7C00)
"""Bits of a float16."""
_TOKEN_TENSORS: Sequence[str] = ("input_ids", "attention_mask", "token_type_ids")


def _check_finite(model: str, name: str, array: Array) -> None:
    """Refuse NaN: it would pass through the model and end as null in a published record."""
    if not _is_finite(array):
        raise ModelRejectedError(f"{model}: {name} is not finite")


def _is_finite(array: Array) -> bool:
    if array.dtype == np.float16:
        # numpy looks at such values one by one. Those that are not finite have all bits of the exponent.
        return bool((array.view(np.uint16) & _EXPONENT).max(initial=0) < _EXPONENT)
    return bool(np.isfinite(array).all())


def _checked(model: str, name: str, array: Array, shape: tuple[int, ...]) -> Floats:
    dtype = np.float16 if name in _HALVES else np.float32
    if array.shape != shape or array.dtype != dtype:
        raise ModelRejectedError(f"{model}: {name} is {array.dtype} {array.shape}, not {np.dtype(dtype)} {shape}")
    _check_finite(model, name, array)
    return array
