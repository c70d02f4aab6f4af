"""How long the phases of a request take."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class Timings:
    """Seconds by phase, for the `Server-Timing` header and for spans."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._began: dict[str, float] = {}

    @contextmanager
    def measure(self, phase: str) -> Iterator[None]:
        """Count the time inside as one phase."""
        started = time.perf_counter()
        self._began.setdefault(phase, started)
        try:
            yield
        finally:
            self.add({phase: time.perf_counter() - started})

    def add(self, seconds: Mapping[str, float]) -> None:
        """Count time that another process measured, or that was measured elsewhere, by phase."""
        for phase, more in seconds.items():
            self.seconds[phase] = self.seconds.get(phase, 0.0) + more

    def header(self) -> str:
        """Return the header's value, in milliseconds."""
        return ", ".join(f"{name};dur={1000 * s:.1f}" for name, s in self.seconds.items())

    def phases(self, began: float) -> Iterator[tuple[str, float, float]]:
        """Yield each phase with its start and its length, as `perf_counter` tells time.

        Of a phase that another process measured only the length is known: it follows the phase
        before it. `began` is the earliest start of the first phase.
        """
        for name, seconds in self.seconds.items():
            began = self._began.get(name, began)
            yield name, began, seconds
            began += seconds
