"""What the envelope needs of an exporter of spans."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

from app.telemetry.trace_context import TraceContext


class Phase(NamedTuple):
    """A part of a request: its name, and its start and end in nanoseconds since the epoch."""

    name: str
    began_ns: int
    ended_ns: int


class Span(Protocol):
    """The span of a request in progress."""

    @property
    def context(self) -> TraceContext:
        """The position of the span in its trace."""

    def end(
        self, name: str, status: int, attributes: dict[str, Any], phases: Iterable[Phase]
    ) -> None:
        """End the span, with its phases as children."""


class SpanExporter(Protocol):
    """Starts spans, and exports those that have ended."""

    def begin(self, name: str, parent: TraceContext | None, began_ns: int) -> Span:
        """Start the span of a request, in the caller's trace if there is one."""

    async def close(self) -> None:
        """Export the remaining spans, and stop."""
