"""The Faust app: one agent over all input topics, two timers, two rebalance signals. Wiring only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import faust
import structlog
from aiokafka.errors import BrokerResponseError, GroupAuthorizationFailedError
from faust.types import TP, EventT, StreamT

from stream.agents.consumer_lag import ConsumerLag
from stream.agents.faust_patches.commits import Commits
from stream.agents.faust_patches.consumer import abandon_consumer, call_in_consumer_thread, group_error, join_again, partition_counts
from stream.agents.faust_patches.intake import RawSchema, drain_buffered
from stream.agents.faust_patches.resumption import NoTables
from stream.agents.faust_patches.transport import WorkerTransport
from stream.agents.result_producer import ResultProducer
from stream.agents.worker_state import WorkerState
from stream.config.service_settings import KafkaSettings
from stream.config.settings import Settings
from stream.domain.delivery import InboundRecord
from stream.domain.kafka_records import Headers
from stream.domain.topics import Topics
from stream.kafka_admin.connection import THE_GROUP
from stream.kafka_admin.tls import tls_context
from stream.pipeline.ports import ModelVersionOf, ResultStore, Scorer, TrackEncoder
from stream.pipeline.processing_context import ProcessingContext
from stream.pipeline.router import SessionRouter
from stream.pipeline.tracing import Tracing
from stream.rules.evaluate import RuleSet

log = structlog.get_logger(__name__)

TICK_S = 0.1
"""How often time passes for the sessions: a window closes at most this much later than it could."""

COMMIT_EVERY_S = 0.5
"""How often offsets are committed. Records that were acknowledged since the last commit are read again after a crash."""

LEAVE_S = 5.0
"""How long a worker that stops waits for Kafka. The worker that takes over rereads the uncommitted records."""

HEARTBEAT_S = 1.0
"""How often the thread that reads from Kafka is checked."""

TOPICS_EVERY_MS = 10_000
"""How often the broker is asked whether the topics have more partitions than before."""

REFUSALS_EVERY_S = 0.5
"""How often the worker looks whether the group refuses it."""

STALE_MS = 1000
"""A broker that is this late with the answer to a fetch counts as away."""


class WorkerCrashedError(Exception):
    """An unexpected error stopped the worker; unpublished chunks stay in Kafka."""


class WorkerRefusedError(Exception):
    """The broker does not allow this worker to read, or to be in its group, and aiokafka cannot go on; unpublished chunks stay in Kafka.

    Attributes:
        what: The topic, or `stream.kafka_admin.connection.THE_GROUP`.
        error: The name of the error.
    """

    def __init__(self, what: str, error: str) -> None:
        super().__init__(f"{what}: {error}")
        self.what = what
        self.error = error


class WorkerApp:
    """The pipeline wired to Kafka through Faust.

    Args:
        settings: The settings tree.
        data_directory: Where Faust may keep its files. It keeps none, but makes the folder.
        store: Redis.
        scorer: Model and explanation.
        new_encoder: Makes the encoder of a track, for the version of the model that scores its epoch.
        on_ready: Called after each assignment with the number of input partitions.
        rules: The alert rules; None if there are none.
        state: Kept up to date for the health endpoints.
        tracing: Begins spans; default: none.
    """

    def __init__(
        self,
        settings: Settings,
        data_directory: Path,
        *,
        store: ResultStore,
        scorer: Scorer,
        new_encoder: Callable[[ModelVersionOf], TrackEncoder],
        on_ready: Callable[[int], None],
        rules: RuleSet | None = None,
        state: WorkerState | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        kafka, topics = settings.kafka, Topics(settings.kafka.topic_prefix)
        self._faust = faust.App(kafka.group, datadir=str(data_directory), **_app_options(kafka))
        self._commits = Commits()
        self._faust.transport = WorkerTransport(
            self._faust, self._commits, kafka.fetch_max_wait_ms, kafka.fetch_min_bytes, on_refusal=self._on_refusal
        )
        self._drain_s = settings.limits.drain_s
        self._on_ready = on_ready
        self._state = state or WorkerState()
        self._lag = ConsumerLag(self._faust, topics.inputs, stale_after_ms=kafka.fetch_max_wait_ms + STALE_MS)
        self._crash: asyncio.Future[None] | None = None
        self._refusal: WorkerRefusedError | None = None
        self._router = SessionRouter(
            ProcessingContext(
                settings=settings,
                store=store,
                scorer=scorer,
                send=ResultProducer(self._faust, self._state.refused).send,
                new_encoder=new_encoder,
                now=lambda: time.monotonic_ns() // 1_000_000,
                on_failure=self._fail,
                rejoin=lambda: join_again(self._faust),
                partition_counts=lambda: partition_counts(self._faust, topics.inputs),
                rules=rules,
                timings=self._state.timings,
                metrics=self._state.metrics,
                tracing=tracing or Tracing(),
            )
        )
        self._faust.agent(self._faust.topic(*topics.inputs, schema=RawSchema()), name="chunks")(self._read)
        self._faust.timer(TICK_S)(self._tick)
        self._faust.timer(HEARTBEAT_S)(self._check_consumer_thread)
        metrics = self._state.metrics
        metrics.watch(metrics.consumer_lag, lambda: self._lag.records_behind)
        # Asked by the monitor of the services: Faust's timers do not run before the worker has sought to the committed offsets.
        self._state.broker_silent_s = lambda: self._lag.silent_s
        self._faust.on_partitions_revoked.connect(self._on_revoked)
        self._faust.on_partitions_assigned.connect(self._on_assigned)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set, then stop in this order.

        1. Drain: accept no more records, and publish the closed windows, for at most ``limits.drain_s``.
        2. Drop all sessions, so that nothing is acknowledged any more.
        3. Commit and leave the group, for at most `LEAVE_S`.

        Raises:
            WorkerCrashedError: An unexpected error ended the work before.
            WorkerRefusedError: The same of the broker, which does not allow this worker to read, or to be in its group.
        """
        refused = asyncio.ensure_future(self._wait_for_refusal())
        # Faust has started when the group has assigned partitions, which it never does if it refuses the worker.
        starting = asyncio.ensure_future(self._faust.start())
        await asyncio.wait({starting, refused}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
        self._faust.sensors.remove(self._faust.monitor)  # it keeps statistics of every message that nothing reads
        stopping = asyncio.ensure_future(stop.wait())
        crashed = asyncio.ensure_future(self._faust.wait_until_stopped())
        try:
            await asyncio.wait({stopping, crashed, refused}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiting in (stopping, crashed, refused):
                waiting.cancel()
            self._state.draining = True
            # 1. Not after a crash: whatever is wrong must not be published.
            if stop.is_set() and not crashed.done():
                await self._drain()
            # 2.
            self._router.stop()
            # 3.
            await self._leave()
            starting.cancel()
        if self._faust.crash_reason is not None:
            raise WorkerCrashedError(type(self._faust.crash_reason).__name__) from self._faust.crash_reason
        if self._refusal is not None and not stop.is_set():
            raise self._refusal

    async def _wait_for_refusal(self) -> None:
        while self._refusal is None:
            if (error := group_error(self._faust)) is not None:
                self._refuse(THE_GROUP, error)
            await asyncio.sleep(REFUSALS_EVERY_S)

    def _on_refusal(self, error: BrokerResponseError) -> None:
        self._refuse(THE_GROUP if isinstance(error, GroupAuthorizationFailedError) else _topics(error), type(error).__name__)

    def _refuse(self, what: str, error: str) -> None:
        if self._refusal is None:
            self._refusal = WorkerRefusedError(what, error)
            self._state.refused[what] = error

    async def _drain(self) -> None:
        log.info("draining", epochs=self._router.open_epochs)
        if not await self._router.drain(self._drain_s):
            log.warning("drain_cut_short", after_s=self._drain_s)

    async def _leave(self) -> None:
        """Commit and leave the group. Faust alone would wait for a broker that is away, without limit."""
        leaving = asyncio.ensure_future(self._faust.stop())
        await asyncio.wait({leaving}, timeout=LEAVE_S)
        if not leaving.done():
            log.warning("left_without_commit", after_s=LEAVE_S)
            leaving.cancel()
            await asyncio.wait({leaving})
            await abandon_consumer(self._faust)
        elif (error := leaving.exception()) is not None:
            raise error

    async def _read(self, stream: StreamT[Any]) -> None:
        async for event in cast("faust.Stream[bytes]", stream).noack().events():
            await self._on_event(event)
            for next_event in drain_buffered(stream):
                await self._on_event(next_event)

    async def _on_event(self, event: EventT[Any]) -> None:
        message = event.message
        self._commits.deliver(message.tp, message.offset)
        record = InboundRecord(
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            key=message.key,
            value=message.value,
            headers=_headers(cast(Any, message.headers)),
            acknowledge=event.ack,
            known_at_ms=self._lag.known_at_ms(message.tp, message.offset),
        )
        try:
            await self._router.on_record(record)
        except Exception as error:
            # An agent that raises loses the event: Faust acknowledges it all the same (faust-streaming/faust#315). So this one never
            # raises: the worker stops, and the event stays unacknowledged.
            log.exception("intake_failed", topic=message.topic, partition=message.partition, offset=message.offset)
            self._fail(error)
            await asyncio.Event().wait()
        self._lag.on_read(message.tp, message.offset)

    async def _tick(self) -> None:
        self._router.on_time(self._lag.caught_up_until(), self._lag.unread_ms)
        self._state.overload = self._router.overload
        self._state.topics_problem = self._lag.check_transactions() or self._router.problem

    async def _check_consumer_thread(self) -> None:
        """Let the thread that reads from Kafka record that its event loop turns."""
        call_in_consumer_thread(self._faust, self._state.on_consumer_turn, time.monotonic)

    async def _on_revoked(self, _app: Any, /, *args: Any, **_kwargs: Any) -> None:
        revoked: set[TP] = args[0]
        self._commits.forget(revoked)
        self._lag.on_revoked()
        self._state.partitions = None
        self._router.on_revoked({tp.partition for tp in revoked})

    async def _on_assigned(self, _app: Any, /, *args: Any, **_kwargs: Any) -> None:
        assigned: set[TP] = args[0]
        self._router.on_assigned()
        self._lag.on_assigned(assigned)
        self._state.partitions = self._lag.partitions
        self._on_ready(self._lag.partitions)

    def _fail(self, error: BaseException) -> None:
        self._crash = self._crash or asyncio.ensure_future(self._faust.crash(error))


def _app_options(kafka: KafkaSettings) -> dict[str, Any]:
    return {
        "broker": [f"kafka://{address.strip()}" for address in kafka.bootstrap.split(",")],
        "broker_credentials": _credentials(kafka),
        "broker_session_timeout": kafka.session_timeout_s,
        "broker_heartbeat_interval": kafka.session_timeout_s / 4,
        "broker_request_timeout": max(30.0, 2 * kafka.session_timeout_s),
        "broker_commit_interval": COMMIT_EVERY_S,
        "broker_max_poll_records": 64,
        "consumer_auto_offset_reset": "earliest",
        "consumer_max_fetch_size": 4 * 1024 * 1024,
        "consumer_metadata_max_age_ms": TOPICS_EVERY_MS,
        "producer_max_request_size": 1_048_576,
        "producer_acks": -1,
        "producer_linger": kafka.linger_ms / 1000,
        "stream_buffer_maxsize": 64,
        "stream_wait_empty": False,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "store": "memory://",
        "TableManager": NoTables,
        "web_enabled": False,
        "autodiscover": False,
    }


def _credentials(kafka: KafkaSettings) -> faust.types.auth.CredentialsT | None:
    context = tls_context(kafka) if "ssl" in kafka.security else None
    if kafka.security.startswith("sasl"):
        assert kafka.password is not None  # noqa: S101 - the settings guarantee it
        return faust.SASLCredentials(
            username=kafka.username,
            password=kafka.password.get_secret_value(),
            ssl_context=context,
            mechanism=kafka.sasl_mechanism,
        )
    return faust.SSLCredentials(context) if context else None


def _topics(error: BrokerResponseError) -> str:
    """The topics that an error of aiokafka names: one, or a set of them."""
    named = error.args[0] if error.args else ()
    return named if isinstance(named, str) else ", ".join(sorted(named))


def _headers(headers: Iterable[tuple[str, bytes | None]] | None) -> Headers:
    return [(name, value) for name, value in headers or () if value is not None]
