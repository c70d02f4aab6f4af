"""Whether spans are exported, and what the envelope asks of whoever does.

OpenTelemetry is imported only where its standard variables name a collector.
"""

import os
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

from app.settings import SettingsError
from app.telemetry.trace_context import TraceContext

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Phase(NamedTuple):
    """A part of a request: its name, and when it began and ended, in nanoseconds of the epoch."""

    name: str
    began_ns: int
    ended_ns: int


class Span(Protocol):
    """A request's span, which has begun."""

    @property
    def context(self) -> TraceContext:
        """Where it stands in its trace."""

    def end(
        self, name: str, status: int, attributes: dict[str, Any], phases: Iterable[Phase]
    ) -> None:
        """End it, with its phases as children."""


class Spans(Protocol):
    """Where spans go."""

    def begin(self, name: str, parent: TraceContext | None, began_ns: int) -> Span:
        """Begin the span of a request, in the caller's trace where there is one."""

    async def close(self) -> None:
        """Deliver what is left, and end."""


def spans_of_environment() -> Spans | None:
    """Return what exports spans, if the environment names a collector.

    Raises: SettingsError if a variable of OpenTelemetry has a value that it refuses.
    """
    if (
        not any(os.environ.get(name) for name in _ENDPOINTS)
        or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
        or os.environ.get("OTEL_TRACES_EXPORTER", "otlp") == "none"
    ):
        return None
    from app.telemetry.otlp import OtlpSpans

    try:
        return OtlpSpans()
    except ValueError as error:
        raise SettingsError(f"OpenTelemetry refuses its settings (OTEL_*): {error}") from error
