"""A thin asyncio client of Triton's gRPC endpoint: one long-lived channel, deadlines, and errors classified by how to handle them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import grpc
import numpy as np
import numpy.typing as npt
from tritonclient.grpc import service_pb2 as messages
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub
from tritonclient.utils import triton_to_np_dtype

from stream.model_repository.files import VERSION
from stream.model_repository.model_config import ModelConfig, config_with_versions, parse_config
from stream.model_repository.served_models import MMCI
from stream.serving.errors import ModelFailedError, ModelProcessDeadError, ModelRejectedError, ServingError, TritonUnavailableError
from stream.serving.signatures import Signature

T = TypeVar("T")
Array = npt.NDArray[Any]

FAILURES_UNTIL_NEW_CHANNEL = 3
"""Failed calls in a row after which the channel is replaced.

A connection can be broken without being closed, for example after the network has dropped packets. All calls on it then exceed their
deadlines, until the keepalive notices. A new channel comes sooner. One failure is no reason for it: an answer may also just be slow.
"""

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    # Without the first two, gRPC limits messages to 4 MiB.
    ("grpc.max_send_message_length", 2**31 - 1),
    ("grpc.max_receive_message_length", 2**31 - 1),
    # A peer that vanished without closing the connection is noticed even while no call runs.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Reconnect within a second of the server's return: gRPC's default backoff grows to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # Channels to one address share their connections by default: a new channel would inherit the broken connection of the old channel.
    ("grpc.use_local_subchannel_pool", 1),
)


_INTEGERS = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")
_DTYPES = {name: np.dtype(triton_to_np_dtype(name)) for name in ("BOOL", *_INTEGERS, "FP16", "FP32", "FP64")}
_DATATYPES = {dtype: name for name, dtype in _DTYPES.items()}


class ModelAnswer(NamedTuple):
    """Tensors by name, and the version of the model that computed them."""

    tensors: dict[str, Array]
    version: str


class _Connection:
    """A channel that, once it is retired, is closed when its last call has ended: closing it earlier would cancel that call."""

    def __init__(self, url: str) -> None:
        self._channel = grpc.aio.insecure_channel(url, options=CHANNEL_OPTIONS)
        # Not tritonclient's own client: to build a request and read an answer, that takes as long as gRPC to carry them.
        self.triton: Any = GRPCInferenceServiceStub(self._channel)
        self.calls = 0
        self.retired = False

    async def close_if_done(self) -> None:
        if self.retired and self.calls == 0:
            await self.close()

    async def close(self) -> None:
        await self._channel.close()


class TritonClient:
    """Calls to one Triton server. It must be made inside the event loop that uses it.

    It does not retry: `stream.serving.models.Models` does. It replaces a channel that keeps failing, see `FAILURES_UNTIL_NEW_CHANNEL`.

    Args:
        url: ``HOST:PORT`` of the gRPC endpoint.
        timeout_s: Deadline of one call.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._connection = _Connection(url)
        self._failures = 0

    async def infer(self, model: str, inputs: Mapping[str, Array], outputs: Sequence[str], version: str = "") -> ModelAnswer:
        """Run a model once.

        Args:
            model: Its name in the repository.
            inputs: Tensors by name, batch axis first.
            outputs: Names of the wanted tensors.
            version: Its version; empty for the one that Triton takes by itself, the highest that is loaded.

        Raises:
            TritonUnavailableError: The server does not answer now, or has not loaded the version; the call may be repeated later.
            ModelFailedError: The model failed.
            ModelRejectedError: The server rejects the request as invalid.
        """
        request = _request(model, inputs, outputs, version)
        answer = await self._call(lambda triton: triton.ModelInfer(request, timeout=self._timeout_s))
        arrays = _arrays(answer)
        missing = [name for name in outputs if name not in arrays]
        if missing:
            raise ModelRejectedError(f"{model} returned no {', '.join(missing)}")
        return ModelAnswer(arrays, answer.model_version)

    async def is_ready(self, model: str) -> bool:
        """True if the server is up and reports the model as loaded."""
        try:
            request = messages.ModelReadyRequest(name=model)
            return bool((await self._call(lambda triton: triton.ModelReady(request, timeout=self._timeout_s))).ready)
        except ServingError:
            return False

    async def versions(self, model: str) -> tuple[str, ...]:
        """Versions of the model that are served. Raises the errors of `infer`."""
        request = messages.ModelMetadataRequest(name=model)
        return tuple((await self._call(lambda triton: triton.ModelMetadata(request, timeout=self._timeout_s))).versions)

    async def digests(self, model: str) -> Mapping[str, str]:
        """By version, the digest of its weights in the served configuration, which may lack it. Raises the errors of `infer`."""
        return (await self._config(model)).digests

    async def audio_encoders(self) -> Mapping[str, str]:
        """By version of ``mmci`` that has one of its own, its version of the audio encoder. Raises the errors of `infer`."""
        return (await self._config(MMCI)).audio_encoders

    async def audio_encoder(self, version: str) -> str | None:
        """The version of the audio encoder that goes with a version of ``mmci``; None if that version is not served.

        Raises the errors of `infer`.
        """
        # The versions first: a configuration that is read after them names the encoder of each of them, or no longer the version.
        if version not in await self.versions(MMCI):
            return None
        config = await self._config(MMCI)
        if config.versions and version not in config.versions:
            return None
        return config.audio_encoders.get(version, VERSION)

    async def load_versions(
        self, model: str, digests: Mapping[str, str], timeout_s: float, audio_encoders: Mapping[str, str] | None = None
    ) -> None:
        """Let Triton serve exactly these versions of a model, side by side; return when they are loaded.

        Triton goes on serving the versions that it has until all of the new ones are loaded, and keeps them if that fails. Needs a Triton
        that runs with ``--model-control-mode=explicit``.

        Args:
            model: Its name in the repository.
            digests: By version, the digest of its weights, which may be empty.
            timeout_s: How long loading may take.
            audio_encoders: By version of ``mmci`` that has one of its own, its version of the audio encoder.

        Raises:
            ModelRejectedError: Triton does not load models on request, or a version cannot be loaded.
            TritonUnavailableError: The server does not answer now.
        """
        request = messages.RepositoryModelLoadRequest(model_name=model)
        request.parameters["config"].string_param = config_with_versions(await self._configured(model), digests, audio_encoders or {})
        try:
            await self._call(lambda triton: triton.RepositoryModelLoad(request, timeout=timeout_s))
        except TritonUnavailableError as error:
            # Triton says UNAVAILABLE for a model that it cannot load, too; a server that is away does not answer the next question.
            await self.versions(model)
            raise ModelRejectedError(str(error)) from None

    async def signature(self, model: str) -> Signature:
        """The tensors of a served model. Raises the errors of `infer`."""
        config = await self._config(model)
        return Signature(config.inputs, config.outputs, config.max_batch_size)

    async def repository(self) -> dict[str, tuple[str, str]]:
        """For each model in Triton's repository its state (``READY``, ``LOADING``, ``UNAVAILABLE`` or empty) and the reason for it.

        Raises the errors of `infer`.
        """
        answer = await self._call(lambda triton: triton.RepositoryIndex(messages.RepositoryIndexRequest(), timeout=self._timeout_s))
        return {model.name: (model.state, model.reason) for model in answer.models}

    async def _config(self, model: str) -> ModelConfig:
        return parse_config(await self._configured(model))

    async def _configured(self, model: str) -> Any:
        """The configuration as Triton has it."""
        request = messages.ModelConfigRequest(name=model)
        return (await self._call(lambda triton: triton.ModelConfig(request, timeout=self._timeout_s))).config

    async def counts(self, model: str) -> tuple[int, int]:
        """Inferences of the model so far, and its executions: these are fewer if requests were batched."""
        request = messages.ModelStatisticsRequest(name=model)
        answer = await self._call(lambda triton: triton.ModelStatistics(request, timeout=self._timeout_s))
        return sum(s.inference_count for s in answer.model_stats), sum(s.execution_count for s in answer.model_stats)

    async def close(self) -> None:
        """Close the channel; calls in flight are cancelled."""
        self._connection.retired = True
        await self._connection.close()

    async def _call(self, call: Callable[[Any], Awaitable[T]]) -> T:
        connection = self._connection
        connection.calls += 1
        try:
            result = await call(connection.triton)
        except grpc.RpcError as error:
            serving_error = classify(error.code().name, error.details())
            if isinstance(serving_error, TritonUnavailableError):
                self._count_failure(connection)
            raise serving_error from None
        finally:
            connection.calls -= 1
            await connection.close_if_done()
        self._failures = 0
        return result

    def _count_failure(self, connection: _Connection) -> None:
        """Replace the channel after too many failures in a row. Calls that still run on a retired channel no longer count."""
        if connection is not self._connection:
            return
        self._failures += 1
        if self._failures >= FAILURES_UNTIL_NEW_CHANNEL:
            self._failures = 0
            connection.retired = True
            self._connection = _Connection(self._url)


def _request(model: str, inputs: Mapping[str, Array], outputs: Sequence[str], version: str) -> Any:
    request = messages.ModelInferRequest(model_name=model, model_version=version)
    for name, array in inputs.items():
        request.inputs.add(name=name, datatype=_DATATYPES[array.dtype], shape=array.shape)
        request.raw_input_contents.append(array.tobytes())
    for name in outputs:
        request.outputs.add(name=name)
    return request


def _arrays(answer: Any) -> dict[str, Array]:
    """The tensors of an answer whose datatypes numpy has."""
    return {
        output.name: np.frombuffer(content, dtype).reshape(output.shape)
        for output, content in zip(answer.outputs, answer.raw_output_contents, strict=False)
        if (dtype := _DTYPES.get(output.datatype)) is not None
    }


def classify(status: str, message: str | None) -> ServingError:
    """The error for the name of a gRPC status: invalid request, failed model, dead model process or unavailable server.

    Every other status counts as an outage, which is waited out. For example, Triton answers ``NOT_FOUND`` while it still loads a model.
    """
    text = f"{status}: {(message or '').splitlines()[0][:300] if message else 'no message'}"
    if status == "INVALID_ARGUMENT":
        return ModelRejectedError(text)
    if status == "INTERNAL":
        return ModelProcessDeadError(text) if "Stub process" in text else ModelFailedError(text)
    return TritonUnavailableError(text)
