"""Measures the phases of a request."""

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
        """Add the time spent inside the block to a phase."""
        started = time.perf_counter()
        self._began.setdefault(phase, started)
        try:
            yield
        finally:
            self.add({phase: time.perf_counter() - started})

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add seconds by phase, as measured elsewhere or in another process."""
        for phase, more in seconds.items():
            self.seconds[phase] = self.seconds.get(phase, 0.0) + more

    def header(self) -> str:
        """Return the value of the header, in milliseconds."""
        return ", ".join(f"{name};dur={1000 * s:.1f}" for name, s in self.seconds.items())

    def phases(self, began: float) -> Iterator[tuple[str, float, float]]:
        """Yield each phase with its start and length, on the clock of `perf_counter`.

        Only the length of a phase measured in another process is known, so it is placed after the
        phase before it. `began` is the earliest start of the first phase.
        """
        for name, seconds in self.seconds.items():
            began = self._began.get(name, began)
            yield name, began, seconds
            began += seconds
