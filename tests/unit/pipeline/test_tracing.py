"""Spans of a session: under the producer's trace, with a step each, without anything personal; and nothing at all when they are off."""

from __future__ import annotations

import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from stream.agents.otlp import start_tracing
from stream.config.worker_settings import TracingSettings
from stream.domain.delivery import InboundRecord
from stream.domain.modality import Modality
from stream.domain.session_events import SessionEnd, SessionStart, TrackEnd, TrackPlan
from stream.local.ports import LOOPBACK, free_port
from stream.pipeline.tracing import TRACEPARENT, Tracing
from tests.fakes.processing_context import FakeWorker

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SPAN_ID = "b7ad6b7169203331"
SAMPLED, LEFT_OUT = f"00-{TRACE_ID}-{SPAN_ID}-01", f"00-{TRACE_ID}-{SPAN_ID}-00"
SECONDS = 6
START = SessionStart(0, (TrackPlan("customer", "customer", (Modality.TEXT,)),))
END = SessionEnd(0, SECONDS * 1000, (TrackEnd("customer", {Modality.TEXT: SECONDS}),))
STEPS = {"wait", "score", "publish to Kafka", "make final in Redis"}


def traced(record: InboundRecord, traceparent: str | None) -> InboundRecord:
    headers = [] if traceparent is None else [(TRACEPARENT, traceparent.encode())]
    return InboundRecord(
        record.topic, record.partition, record.offset, record.key, record.value, [*record.headers, *headers], record.acknowledge
    )


async def run(traceparent: str | None, share: float = 1.0) -> tuple[FakeWorker, list[ReadableSpan]]:
    worker, exporter = FakeWorker(), InMemorySpanExporter()
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(share)))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    worker.context.tracing = Tracing(provider.get_tracer("test"))
    chunks = [traced(worker.words(seq), traceparent) for seq in range(SECONDS)]
    await worker.feed(worker.event(START), *chunks, worker.event(END))
    return worker, list(exporter.get_finished_spans())


def by_name(spans: list[ReadableSpan], name: str) -> list[ReadableSpan]:
    return [span for span in spans if span.name == name]


async def test_a_window_continues_the_trace_of_its_chunks_and_hands_it_on() -> None:
    worker, spans = await run(SAMPLED)
    chunks, windows = by_name(spans, "chunk"), by_name(spans, "window")
    assert len(chunks) == SECONDS
    assert len(windows) == len(worker.sent[worker.topics.scores]) == 3
    assert {f"{span.context.trace_id:032x}" for span in spans if span.context} == {TRACE_ID}
    assert {f"{span.parent.span_id:016x}" for span in chunks if span.parent} == {SPAN_ID}
    ids = {span.context.span_id for span in chunks if span.context}
    for window in windows:
        assert window.parent is not None
        assert window.parent.span_id in ids
        assert window.context is not None
        steps = [span for span in spans if span.parent is not None and span.parent.span_id == window.context.span_id]
        assert {span.name for span in steps} == STEPS
    out = {f"00-{TRACE_ID}-{span.context.span_id:016x}-01" for span in windows if span.context}
    for topic in (worker.topics.scores, worker.topics.explanations):
        assert {dict(headers)[TRACEPARENT].decode() for _, _, headers in worker.sent[topic]} == out


async def test_without_a_header_a_share_of_the_windows_begins_traces() -> None:
    _, spans = await run(None)
    assert not by_name(spans, "chunk")
    assert len(by_name(spans, "window")) == 3
    assert all(span.parent is None for span in by_name(spans, "window"))
    _, none = await run(None, share=0.0)
    assert none == []


async def test_the_producer_decides_what_is_sampled() -> None:
    worker, spans = await run(LEFT_OUT)
    assert spans == []
    ((_, _, headers), *_) = worker.sent[worker.topics.scores]
    assert dict(headers)[TRACEPARENT].startswith(f"00-{TRACE_ID}-".encode())
    assert dict(headers)[TRACEPARENT].endswith(b"-00")


@pytest.mark.parametrize("malformed", ["", "00", "zz" * 30, "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "\x00" * 55, "9" * 10_000])
async def test_a_malformed_header_is_no_header(malformed: str) -> None:
    worker, spans = await run(malformed)
    assert len(by_name(spans, "window")) == 3
    assert not by_name(spans, "chunk")
    assert not worker.failures


async def test_nothing_personal_is_in_a_span() -> None:
    worker, spans = await run(SAMPLED)
    ((key, value, _), *_) = worker.sent[worker.topics.scores]
    tenant, session = key.decode().split("/")
    written = str([(span.name, dict(span.attributes or {}), span.events, span.status.description) for span in spans])
    for text in (session, tenant, "customer", "word-0"):
        assert text not in written
    assert value


async def test_a_worker_that_does_not_trace_adds_no_header() -> None:
    worker = FakeWorker()
    await worker.feed(worker.event(START), *(traced(worker.words(seq), SAMPLED) for seq in range(SECONDS)), worker.event(END))
    assert not [headers for _, _, headers in worker.sent[worker.topics.scores] if TRACEPARENT in dict(headers)]


def test_a_worker_that_does_not_trace_does_not_import_what_traces() -> None:
    code = "import sys, stream.agents.worker; print(any(name.startswith('opentelemetry.exporter') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


async def test_a_collector_that_is_away_holds_up_nothing() -> None:
    tracing, end = start_tracing(TracingSettings(exporter="otlp", endpoint=f"http://{LOOPBACK}:{free_port()}/v1/traces", share=1.0), "test")
    worker = FakeWorker()
    worker.context.tracing = tracing
    await worker.feed(worker.event(START), *(worker.words(seq) for seq in range(SECONDS)), worker.event(END))
    assert len(worker.sent[worker.topics.scores]) == 3
    end()
