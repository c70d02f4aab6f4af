"""Exports spans to an OpenTelemetry collector, by OTLP over HTTP.

The SDK reads its standard variables (OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, OTEL_BSP_*, ...) and
sends from a thread of its own; it drops spans when its queue is full. An unreachable collector does
not delay requests, and puts one line a minute into the log.
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
# Part of the time that a container has between SIGTERM and SIGKILL.
_FLUSH_TIMEOUT_S = 2.0
_WARNING_INTERVAL_S = 60.0


class OtlpSpans:
    """See `app.telemetry.spans.SpanExporter`."""

    def __init__(self) -> None:
        _throttle_sdk_log()
        resource = Resource.create({"service.version": VERSION})
        if str(resource.attributes.get("service.name", "")).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": _SERVICE}))
        self._exporter = OTLPSpanExporter()
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer(_SERVICE, VERSION)

    def begin(self, name: str, parent: TraceContext | None, began_ns: int) -> "OtlpSpan":
        """Start the span of a request, in the caller's trace if there is one."""
        context = _as_context(parent) if parent else Context()
        span = self._tracer.start_span(name, context, SpanKind.SERVER, start_time=began_ns)
        return OtlpSpan(self._tracer, span)

    async def close(self) -> None:
        """Export the remaining spans, within a short time."""
        # A daemon, so that an unresponsive collector cannot keep the process from exiting.
        flush = threading.Thread(target=self._provider.shutdown, daemon=True)
        flush.start()
        await asyncio.to_thread(flush.join, _FLUSH_TIMEOUT_S)
        if flush.is_alive():
            log.warning(
                "The remaining spans are dropped: the collector does not accept them in time."
            )


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
        """End the span, with its phases as children."""
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


class _ThrottledHandler(logging.Handler):
    """Forwards the SDK's warnings, one a minute; it repeats them for each batch and each retry."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._quiet_until = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + _WARNING_INTERVAL_S
            log.warning("OpenTelemetry: %s", record.getMessage())


def _throttle_sdk_log() -> None:
    logger = logging.getLogger("opentelemetry")
    logger.handlers[:] = [_ThrottledHandler()]
    logger.propagate = False
