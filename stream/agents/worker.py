"""One worker process: builds the parts and runs the Faust app until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import structlog

from stream.agents.app import WorkerApp, WorkerRefusedError
from stream.agents.beat import Beating
from stream.agents.health import HealthServer
from stream.agents.kafka_health import KafkaHealth
from stream.agents.live_reveal import LiveRevealReports, read_honest
from stream.agents.otlp import start_tracing
from stream.agents.service_log import ServiceLog
from stream.agents.worker_state import WorkerState
from stream.aio.service_monitor import ServiceMonitor
from stream.aio.signals import stop_on_signals
from stream.config.allocator import keep_freed_memory
from stream.config.service_settings import RedisSettings
from stream.config.settings import Settings
from stream.domain.service_problem import ServiceProblem
from stream.encoders.text import Tokenizer
from stream.kafka_admin.connection import as_error, refusal
from stream.media.sandbox import Sandbox
from stream.model_repository.served_models import MMCI
from stream.pipeline.encode import ChunkEncoder
from stream.pipeline.live_reveal import LiveReveal
from stream.pipeline.metrics import Metrics
from stream.pipeline.probes import Probes
from stream.pipeline.score import WindowScorer
from stream.pipeline.shadow import Shadow
from stream.pipeline.word_claims import WordClaims
from stream.rules.evaluate import RuleSet
from stream.rules.read import read_rules
from stream.serving.errors import ServingError
from stream.serving.models import Models
from stream.sinks.connection import RedisConnection
from stream.sinks.examine import examine_until_failed_over
from stream.sinks.problems import RedisRefusedError
from stream.sinks.redis_sink import RedisSink
from stream.sinks.window_keeper import WindowKeeper

log = structlog.get_logger(__name__)


async def run_worker(settings: Settings, ready_file: Path | None = None) -> None:
    """Run until SIGINT or SIGTERM; a second signal ends the process at once.

    Args:
        settings: The settings tree.
        ready_file: Written with the number of input partitions after each assignment.

    Raises:
        RulesError: The file of alert rules cannot be used.
        WorkerCrashedError: An unexpected error stopped the worker.
        TracingUnavailableError: Traces are switched on, and OpenTelemetry is not installed.
        HealthPortError: The health endpoints cannot listen on the configured address.
        WrongServiceError: A service is not what the settings say, so that waiting cannot help.
        BrokerError: The broker does not allow the worker to read, or to be in its group.
        RedisRefusedError: The same of Redis, or it is a read-only replica for longer than a failover takes.
    """
    rules = None if settings.alerts.rules is None else RuleSet(read_rules(settings.alerts.rules))
    stop = asyncio.Event()
    stop_on_signals(stop)
    await _examine_redis(settings.redis)
    state = WorkerState()
    async with contextlib.AsyncExitStack() as stack:
        models = Models(settings.triton)
        stack.push_async_callback(models.close)
        store = RedisSink(settings.redis, logs=False)
        stack.push_async_callback(store.close)
        kafka = KafkaHealth(settings.kafka, state)
        monitor = ServiceMonitor(
            {"kafka": kafka.problem, "redis": store.problem, "triton": lambda: _triton_problem(models, state)}, ServiceLog()
        )
        await stack.enter_async_context(HealthServer(settings.health, state, monitor))
        await monitor.require_usable()
        await stack.enter_async_context(Beating(settings.redis, state, monitor))
        stack.callback(asyncio.ensure_future(monitor.run()).cancel)
        stack.callback(asyncio.ensure_future(_log_other_weights(models)).cancel)
        stack.callback(asyncio.ensure_future(_warm(models, store)).cancel)
        sandbox = Sandbox(settings.sandbox)
        await sandbox.start()
        stack.push_async_callback(sandbox.stop)
        keeper = None
        if settings.explanations.store is not None:
            keeper = await stack.enter_async_context(
                WindowKeeper(settings.explanations.store, settings.explanations, state.metrics.windows_not_kept.inc)
            )
        tokenizer, explained = Tokenizer(), settings.explanations
        shadow = Shadow(models, settings.models, state.metrics)
        stack.callback(shadow.close)
        live_reveal = await stack.enter_async_context(_live_reveal(settings, models, tokenizer, state.metrics))
        scorer = WindowScorer(
            models,
            tokenizer,
            settings.windows.allowed_lateness_ms,
            state.timings,
            metrics=state.metrics,
            keeper=keeper,
            word_claims=WordClaims(models, tokenizer, explained.candidates) if explained.words else None,
            truth_share=explained.truth_share,
            shadow=shadow,
            disclosure=explained.text,
            verify_encoded=explained.verify_encoded,
            live_reveal=live_reveal,
        )
        tracing, end_tracing = start_tracing(settings.tracing, "sentistream-worker")
        stack.push_async_callback(asyncio.to_thread, end_tracing)
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="sentistream-worker-"))

        def on_ready(partitions: int) -> None:
            log.info("ready", partitions=partitions)
            if ready_file is not None:
                ready_file.write_text(f"{partitions}\n")

        app = WorkerApp(
            settings,
            Path(directory),
            store=store,
            scorer=scorer,
            new_encoder=lambda model_version: ChunkEncoder(
                sandbox,
                models,
                settings.audio,
                settings.video,
                settings.explanations,
                model_version=model_version,
                probed_share=settings.reveal.share if live_reveal is not None else 0.0,
            ),
            on_ready=on_ready,
            rules=rules,
            state=state,
            tracing=tracing,
        )
        reduce_garbage_collection()
        keep_freed_memory()
        try:
            await app.run(stop)
        except WorkerRefusedError as refused:
            problem = refusal(settings.kafka, refused.error, refused.what)
            monitor.report("kafka", problem)
            raise as_error(replace(problem, text=f"{problem.text}; the worker has stopped, and nothing is lost")) from None


@contextlib.asynccontextmanager
async def _live_reveal(settings: Settings, models: Models, tokenizer: Tokenizer, metrics: Metrics) -> AsyncIterator[LiveReveal | None]:
    """The probes of the live stream, with their reports; None if there are none."""
    own = settings.reveal
    honest = read_honest(settings.triton.model_repository / MMCI) if own.share else None
    if honest is None:
        yield None
        return
    probes = Probes(models, tokenizer, own.share, honest.live.thresholds)
    reveal = LiveReveal(probes, models, tokenizer, honest.words.words, metrics, disclosure=settings.explanations.text)
    redis = RedisConnection(settings.redis, logs=False)
    try:
        async with LiveRevealReports(reveal, honest, redis, own, metrics):
            yield reveal
    finally:
        await redis.close()


async def _triton_problem(models: Models, state: WorkerState) -> ServiceProblem | None:
    problem = await models.problem()
    state.metrics.show_served(models.served_versions)
    return problem


async def _warm(models: Models, store: RedisSink) -> None:
    """Let the version that new epochs get answer before the first window comes. If it does not, nothing is lost."""
    with contextlib.suppress(ServingError):
        default = await models.default_version()  # waits until Triton is there
        await models.warm(await store.promoted_version() or default)


async def _log_other_weights(models: Models) -> None:
    note = await models.note()
    if note is not None:
        log.warning("service_note", service="triton", code=note.code, what=note.text)


async def _examine_redis(settings: RedisSettings) -> None:
    """Begin no work that Redis will refuse. What passes by itself, or when the server is mended, is left to the monitor."""
    found = await examine_until_failed_over(settings)
    for risk in found.risks:
        log.warning("service_note", service="redis", code=risk.code, what=risk.text)
    if found.problem is not None and found.problem.problem.ends_a_start:
        raise RedisRefusedError(found.problem, found.address)


def reduce_garbage_collection() -> None:
    """Exempt everything loaded so far from garbage collection, and collect less often.

    A window is made of a thousand objects without cycles: reference counts free them, and the collector only searches them in vain.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
