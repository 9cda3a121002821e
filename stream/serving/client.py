"""A thin asyncio client of Triton's gRPC endpoint: one long-lived channel, deadlines, and errors classified by how to handle them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

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
    # These options replace those of `InferenceServerClient`: without the first two, gRPC limits messages to 4 MiB.
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


class ModelAnswer(NamedTuple):
    """Tensors by name, and the version of the model that computed them."""

    tensors: dict[str, Array]
    version: str


class _Connection:
    """A channel that, once it is retired, is closed when its last call has ended: closing it earlier would cancel that call."""

    def __init__(self, url: str) -> None:
        self.client = InferenceServerClient(url, channel_args=list(CHANNEL_OPTIONS))
        self.calls = 0
        self.retired = False

    async def close_if_done(self) -> None:
        if self.retired and self.calls == 0:
            await self.client.close()


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
        tensors = [_tensor(name, array) for name, array in inputs.items()]
        wanted = [InferRequestedOutput(name) for name in outputs]
        result = await self._call(
            lambda client: client.infer(model, tensors, model_version=version, outputs=wanted, client_timeout=self._timeout_s)
        )
        arrays = {name: result.as_numpy(name) for name in outputs}
        missing = [name for name, array in arrays.items() if array is None]
        if missing:
            raise ModelRejectedError(f"{model} returned no {', '.join(missing)}")
        return ModelAnswer(arrays, result.get_response().model_version)

    async def is_ready(self, model: str) -> bool:
        """True if the server is up and reports the model as loaded."""
        try:
            return bool(await self._call(lambda client: client.is_model_ready(model, client_timeout=self._timeout_s)))
        except ServingError:
            return False

    async def versions(self, model: str) -> tuple[str, ...]:
        """Versions of the model that are served. Raises the errors of `infer`."""
        metadata = await self._call(lambda client: client.get_model_metadata(model, client_timeout=self._timeout_s))
        return tuple(metadata.versions)

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
        answer = await self._call(lambda client: client.get_model_config(model, client_timeout=self._timeout_s))
        config = config_with_versions(answer.config, digests, audio_encoders or {})
        try:
            await self._call(lambda client: client.load_model(model, config=config, client_timeout=timeout_s))
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
        answer = await self._call(lambda client: client.get_model_repository_index(client_timeout=self._timeout_s))
        return {model.name: (model.state, model.reason) for model in answer.models}

    async def _config(self, model: str) -> ModelConfig:
        answer = await self._call(lambda client: client.get_model_config(model, client_timeout=self._timeout_s))
        return parse_config(answer.config)

    async def counts(self, model: str) -> tuple[int, int]:
        """Inferences of the model so far, and its executions: these are fewer if requests were batched."""
        answer = await self._call(lambda client: client.get_inference_statistics(model, client_timeout=self._timeout_s))
        return sum(s.inference_count for s in answer.model_stats), sum(s.execution_count for s in answer.model_stats)

    async def close(self) -> None:
        """Close the channel; calls in flight are cancelled."""
        self._connection.retired = True
        await self._connection.client.close()

    async def _call(self, call: Callable[[Any], Awaitable[T]]) -> T:
        connection = self._connection
        connection.calls += 1
        try:
            result = await call(connection.client)
        except InferenceServerException as error:
            serving_error = classify(error.status(), error.message())
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


def _tensor(name: str, array: Array) -> InferInput:
    tensor = InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    tensor.set_data_from_numpy(np.ascontiguousarray(array))
    return tensor


def classify(status: str | None, message: str | None) -> ServingError:
    """The error for a gRPC status: invalid request, failed model, dead model process or unavailable server.

    Every other status counts as an outage, which is waited out. For example, Triton answers ``NOT_FOUND`` while it still loads a model.
    """
    code = (status or "UNKNOWN").removeprefix("StatusCode.")
    text = f"{code}: {(message or '').splitlines()[0][:300] if message else 'no message'}"
    if code == "INVALID_ARGUMENT":
        return ModelRejectedError(text)
    if code == "INTERNAL":
        return ModelProcessDeadError(text) if "Stub process" in text else ModelFailedError(text)
    return TritonUnavailableError(text)
