"""Spans of chunks and windows in OpenTelemetry, if they are switched on (`tracing.exporter`).

A chunk with the header ``traceparent`` (W3C Trace Context) gets a span under its producer's, a window a span under that of its track's
newest such chunk, with a child for each step. Result records carry the window's context on. Attributes are sizes, offsets, modalities and
versions: never a text, a name or an id of a session.

Without a tracer nothing is done, and nothing of OpenTelemetry is imported here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from stream.domain.delivery import InboundRecord
from stream.domain.kafka_records import Headers
from stream.domain.window import Window

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

TRACEPARENT = "traceparent"


class Trace:
    """One span, or nothing.

    Args:
        tracer: Makes further spans.
        span: The span; None if nothing is traced.
    """

    __slots__ = ("_span", "_tracer")

    def __init__(self, tracer: Tracer | None = None, span: Span | None = None) -> None:
        self._tracer = tracer
        self._span = span

    @property
    def context(self) -> Context | None:
        """What a child of this span needs to know."""
        if self._span is None:
            return None
        from opentelemetry.trace import set_span_in_context  # noqa: PLC0415 - see the module

        return set_span_in_context(self._span)

    @property
    def headers(self) -> Headers:
        """What a record that comes of it carries."""
        if self._span is None:
            return []
        found = self._span.get_span_context()
        return [(TRACEPARENT, f"00-{found.trace_id:032x}-{found.span_id:016x}-{int(found.trace_flags):02x}".encode("ascii"))]

    def step(self, name: str) -> AbstractContextManager[None]:
        """Time a step as a child. An error marks it by the name of its class: its text may quote a record."""
        return NOT_TIMED if self._tracer is None else self._child(name, self._tracer)

    @contextmanager
    def _child(self, name: str, tracer: Tracer) -> Iterator[None]:
        span = tracer.start_span(name, self.context)
        try:
            yield
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            raise
        finally:
            span.end()

    def note(self, **attributes: Any) -> None:
        """Add attributes of the namespace ``sentistream``."""
        if self._span is not None:
            self._span.set_attributes({f"sentistream.{name}": value for name, value in attributes.items()})

    def end(self) -> None:
        """The span is over."""
        if self._span is not None:
            self._span.end()


NOTHING = Trace()
NOT_TIMED = nullcontext()


class Tracing:
    """Begins spans.

    Args:
        tracer: Makes them; None traces nothing.
    """

    __slots__ = ("_tracer",)

    def __init__(self, tracer: Tracer | None = None) -> None:
        self._tracer = tracer

    def chunk(self, record: InboundRecord) -> Trace:
        """The span of a chunk from its arrival until it is encoded, if its producer traces it."""
        if self._tracer is None or (parent := _context(record.headers)) is None:
            return NOTHING
        from opentelemetry.trace import SpanKind  # noqa: PLC0415 - see the module

        attributes: dict[str, str | int] = {
            "messaging.system": "kafka",
            "messaging.operation.type": "process",
            "messaging.destination.name": record.topic,
            "messaging.destination.partition.id": str(record.partition),
            "messaging.kafka.offset": record.offset,
            "messaging.message.body.size": len(record.value or b""),
        }
        return Trace(self._tracer, self._tracer.start_span("chunk", parent, SpanKind.CONSUMER, attributes))

    def window(self, window: Window, parent: Context | None) -> Trace:
        """The span of a window from its closing until it is published."""
        if self._tracer is None:
            return NOTHING
        attributes: dict[str, int | list[str]] = {
            "sentistream.window.length_ms": window.end_ms - window.start_ms,
            "sentistream.window.modalities_expected": [str(modality) for modality in window.modalities_expected],
            "sentistream.window.warnings": list(window.warnings),
        }
        return Trace(self._tracer, self._tracer.start_span("window", parent, attributes=attributes))


def _context(headers: Iterable[tuple[str, bytes]]) -> Context | None:
    """The context of a record's header ``traceparent``; None without one, or if it is malformed."""
    given = next((value for name, value in headers if name == TRACEPARENT), None)
    if given is None or len(given) > 64:
        return None
    from opentelemetry.trace import get_current_span  # noqa: PLC0415 - see the module
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    found = TraceContextTextMapPropagator().extract({TRACEPARENT: given.decode("ascii", "replace")})
    return found if get_current_span(found).get_span_context().is_valid else None
