"""The memory of a worker's process: how much it is, and how it is given back to the system."""

import gc
import os
from collections.abc import Callable
from pathlib import Path

from app.memory import give_back_freed_memory

_shrinks: list[Callable[[], object]] = []


def shrinks_by(shrink: Callable[[], object]) -> None:
    """Call a function, which frees what an engine holds in reserve, when memory is given back."""
    _shrinks.append(shrink)


def give_memory_back() -> None:
    """Return all freed memory to the system, also what the engines hold for their next batches."""
    gc.collect()  # Keras's objects form cycles
    for shrink in _shrinks:
        shrink()
    give_back_freed_memory()


def trim() -> None:
    """Return freed memory to the system, except what the engines hold for their next batches."""
    gc.collect()
    give_back_freed_memory()


def resident_bytes() -> int:
    """Return the memory of this process that is in RAM."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
