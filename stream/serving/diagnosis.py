"""Says why Triton cannot be used: an outage, a wrong address, or models that are not those of this release."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from stream.aio.probes import http_body
from stream.aio.protocols import ANSWER_TIMEOUT_S, Listener, identify, listener_problem
from stream.config.addresses import parse_address
from stream.config.service_settings import TritonSettings
from stream.domain.address import Address, format_address
from stream.domain.service_problem import ServiceProblem
from stream.model_repository.model_config import GPU_CONFIG, read_config
from stream.model_repository.served_models import MMCI, MODEL_NAMES
from stream.serving.client import TritonClient
from stream.serving.errors import ServingError
from stream.serving.signatures import SIGNATURES

SETTING = "--triton or triton.url"
GRPC_PORT = "needs its gRPC port (by default 8001)"
QUICK_S = 0.5
"""A server that is up says within milliseconds which models are ready. After this time the address is examined meanwhile."""
PATIENCE_S = 0.8
"""How long a busy server is waited for in addition."""
REASON_LENGTH = 200


async def triton_problem(settings: TritonSettings, client: TritonClient, *, models_too: bool = True) -> ServiceProblem | None:
    """Return why Triton cannot be used now, or None if all models answer. Takes less than 2 s unless the name server is slow.

    Args:
        settings: The address.
        client: A client of that address.
        models_too: Whether to compare the tensors of the served models with those that this release uses.
    """
    try:
        address = parse_address(settings.url)
    except ValueError as error:
        return ServiceProblem("bad_address", f"triton.url {error}", lasting=True)
    asking = asyncio.ensure_future(_unready(client))
    try:
        await asyncio.wait({asking}, timeout=QUICK_S)
        if asking.done() and not asking.result():
            return await _foreign_model(settings, client) if models_too else None
        found = await identify(*address)
        if not asking.done():
            await asyncio.wait({asking}, timeout=PATIENCE_S if found in {Listener.HTTP2, Listener.OTHER} else 0)
        if asking.done() and not asking.result():
            return await _foreign_model(settings, client) if models_too else None
        if found is Listener.HTTP2 and asking.done():
            return await _model_problem(settings, client, asking.result())
        return await _address_problem(address, found)
    finally:
        asking.cancel()


async def digest_note(settings: TritonSettings, client: TritonClient) -> ServiceProblem | None:
    """Return a note if the served weights of ``mmci`` are not those of this installation; None if they are, or if nobody knows.

    Raises `ServingError`.
    """
    config = read_config(settings.model_repository / MMCI / GPU_CONFIG, [])
    local, served = {} if config is None else config.digests, await client.digests(MMCI)
    other = next((version for version in sorted(served) if served[version] != local.get(version, served[version])), None)
    if other is None:
        return None
    text = (
        f"Triton at {settings.url} serves version {other} of mmci with the weights {served[other]}, and {settings.model_repository} holds "
        f"{local[other]}: the records name the served ones; if these are the wrong ones, let Triton serve this folder"
    )
    return ServiceProblem("other_weights", text, lasting=True, serious=False)


async def foreign_model(settings: TritonSettings, client: TritonClient, model: str) -> ServiceProblem | None:
    """Return how a served model differs from the one that this release uses; None if it does not. Raises `ServingError`."""
    differences = list(SIGNATURES[model].differences(await client.signature(model)))
    if not differences:
        return None
    text = (
        f"{model} on Triton at {settings.url} is not the model of this release: {'; '.join(differences)[:REASON_LENGTH]}; "
        "let Triton serve the triton_models of this version (`sentistream models build`)"
    )
    return ServiceProblem("model_foreign", text, lasting=True)


async def _unready(client: TritonClient) -> tuple[str, ...]:
    answers = await asyncio.gather(*(client.is_ready(name) for name in MODEL_NAMES))
    return tuple(name for name, is_ready in zip(MODEL_NAMES, answers, strict=True) if not is_ready)


async def _foreign_model(settings: TritonSettings, client: TritonClient) -> ServiceProblem | None:
    """The first model that is not of this release. A server that goes away meanwhile is found by the next check."""
    found = await asyncio.gather(*(foreign_model(settings, client, name) for name in MODEL_NAMES), return_exceptions=True)
    return next((problem for problem in found if isinstance(problem, ServiceProblem)), None)


async def _model_problem(settings: TritonSettings, client: TritonClient, unready: tuple[str, ...]) -> ServiceProblem:
    names, at = ", ".join(unready), f"Triton at {settings.url}"
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            states: Mapping[str, tuple[str, str]] = await client.repository()
    except (ServingError, TimeoutError) as error:
        if "UNIMPLEMENTED" in str(error):
            return ServiceProblem("wrong_port", f"{settings.url} is a gRPC server, but not Triton; correct {SETTING}", lasting=True)
        return ServiceProblem("no_answer", f"{at} does not say which models are ready; wait, or restart it", lasting=False)
    missing = [name for name in unready if name not in states]
    if missing:
        text = (
            f"{at} has no model {', '.join(missing)}: it serves another model repository; let it serve triton_models "
            f"(`sentistream models build` completes it), or correct {SETTING}"
        )
        return ServiceProblem("model_missing", text, lasting=True)
    if any(states[name][0] == "LOADING" for name in unready):
        return ServiceProblem("model_loading", f"{at} is still loading {names}; nothing to do", lasting=False)
    reason = next((states[name][1] for name in unready if states[name][1]), "")
    if reason and reason != "unloaded":
        text = f"{at} cannot load {names} ({' '.join(reason.split())[:REASON_LENGTH]}); correct its model repository and load it again"
        return ServiceProblem("model_broken", text, lasting=False)
    return ServiceProblem("model_not_loaded", f"{at} has not loaded {names}; load them, or start it with all models", lasting=False)


async def _address_problem(address: Address, found: Listener) -> ServiceProblem:
    at = format_address(address)
    if found is Listener.HTTP:
        if b'"triton"' in await http_body(*address, "/v2", ANSWER_TIMEOUT_S):
            return ServiceProblem("wrong_port", f"{at} is Triton's HTTP port; {SETTING} {GRPC_PORT}", lasting=True)
        if b"# HELP" in await http_body(*address, "/metrics", ANSWER_TIMEOUT_S):
            return ServiceProblem("wrong_port", f"{at} is a port for metrics; {SETTING} {GRPC_PORT}", lasting=True)
    if found is Listener.HTTP2:
        text = f"Triton at {at} accepts connections, but does not answer; wait if it is starting or busy, else restart it"
        return ServiceProblem("no_answer", text, lasting=False)
    if found is Listener.TLS:
        return ServiceProblem("wrong_port", f"{at} expects TLS; {SETTING} {GRPC_PORT}, without TLS", lasting=True)
    return listener_problem("Triton", address, found, SETTING)
