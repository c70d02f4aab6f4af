"""Spans for an OpenTelemetry collector, over OTLP and HTTP.

The SDK reads its standard variables (OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, OTEL_BSP_*, ...) and
sends from a thread of its own; when its queue is full it drops spans. A collector that is away
costs requests nothing, and the log a line a minute.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Iterable
from typing import Any

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace import Span as SdkSpan

from app.telemetry.spans import Phase
from app.telemetry.trace_context import TraceContext
from app.version import VERSION

log = logging.getLogger("app.telemetry")

_SERVICE = "model-zoo"
# Of the time that a container has between SIGTERM and SIGKILL.
_FLUSH_SECONDS = 2.0
_QUIET_SECONDS = 60.0


class OtlpSpans:
    """See `app.telemetry.spans.Spans`."""

    def __init__(self) -> None:
        _quieten()
        resource = Resource.create({"service.version": VERSION})
        if str(resource.attributes.get("service.name", "")).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": _SERVICE}))
        self._exporter = OTLPSpanExporter()
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer(_SERVICE, VERSION)

    def begin(self, name: str, parent: TraceContext | None, began_ns: int) -> "OtlpSpan":
        """Begin the span of a request, in the caller's trace where there is one."""
        context = _as_context(parent) if parent else Context()
        span = self._tracer.start_span(name, context, SpanKind.SERVER, start_time=began_ns)
        return OtlpSpan(self._tracer, span)

    async def close(self) -> None:
        """Deliver what is left, within a short time."""
        # A daemon, so that a collector that does not answer cannot hold up the end.
        flush = threading.Thread(target=self._provider.shutdown, daemon=True)
        flush.start()
        await asyncio.to_thread(flush.join, _FLUSH_SECONDS)
        if flush.is_alive():
            log.warning("The spans that are left are given up: the collector does not take them.")


class OtlpSpan:
    """See `app.telemetry.spans.Span`."""

    def __init__(self, tracer: Tracer, span: SdkSpan) -> None:
        self._tracer = tracer
        self._span = span
        own = span.get_span_context()
        self.context = TraceContext(
            f"{own.trace_id:032x}", f"{own.span_id:016x}", int(own.trace_flags)
        )

    def end(
        self, name: str, status: int, attributes: dict[str, Any], phases: Iterable[Phase]
    ) -> None:
        """End it, with its phases as children."""
        if not self._span.is_recording():
            return
        parent = set_span_in_context(self._span)
        for phase in phases:
            child = self._tracer.start_span(phase.name, parent, start_time=phase.began_ns)
            child.end(phase.ended_ns)
        self._span.update_name(name)
        self._span.set_attributes(attributes)
        if status >= 500:
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


def _as_context(parent: TraceContext) -> Context:
    state = TraceState.from_header([parent.tracestate]) if parent.tracestate else None
    context = SpanContext(
        int(parent.trace_id, 16),
        int(parent.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(parent.flags),
        trace_state=state,
    )
    return set_span_in_context(NonRecordingSpan(context), Context())


class _OnceAMinute(logging.Handler):
    """Passes on what the SDK has to say, seldom: it says so for each batch and each try."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._quiet_until = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + _QUIET_SECONDS
            log.warning("OpenTelemetry says: %s", record.getMessage())


def _quieten() -> None:
    logger = logging.getLogger("opentelemetry")
    logger.handlers[:] = [_OnceAMinute()]
    logger.propagate = False
