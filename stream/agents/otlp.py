"""Sends spans to a collector, over OTLP/HTTP."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata

from stream.config.worker_settings import TracingSettings
from stream.pipeline.tracing import Tracing

QUEUE = 4096
"""Spans that wait for the collector. Further ones are dropped."""
TIMEOUT_S = 5.0


class TracingUnavailableError(Exception):
    """Traces are switched on and cannot be made; the message is one sentence that says what to do."""


def start_tracing(settings: TracingSettings, service: str) -> tuple[Tracing, Callable[[], None]]:
    """Begin to trace.

    Args:
        settings: Whether, how much, and where to.
        service: Name of this program.

    Returns:
        Makes spans; and a function that sends those that wait, for at most `TIMEOUT_S`, and ends it.

    Raises:
        TracingUnavailableError: OpenTelemetry is not installed.
    """
    if settings.exporter == "none":
        return Tracing(), lambda: None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased  # noqa: PLC0415
    except ImportError:
        raise TracingUnavailableError(
            "tracing.exporter is otlp, but OpenTelemetry is not installed: pip install 'sentistream[otel]', or set it to none"
        ) from None
    release = metadata.version("sentistream")
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(settings.share)),
        resource=Resource.create({"service.name": service, "service.version": release}),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint=settings.endpoint, timeout=TIMEOUT_S)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=QUEUE, export_timeout_millis=TIMEOUT_S * 1000))
    return Tracing(provider.get_tracer("sentistream", release)), provider.shutdown
