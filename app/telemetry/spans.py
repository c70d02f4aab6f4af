"""What the envelope asks of whoever exports spans."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

from app.telemetry.trace_context import TraceContext


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
