"""What `/metrics` asks of the engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ProcessRole = Literal["worker", "reader"]


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """Where the engine stands now; counts are since the service started."""

    models: int = 0  # in memory
    model_bytes: int = 0
    evictions: Mapping[str, int] = field(default_factory=dict)  # by one of a few reasons
    # Requests that wait for a place in a batch, by the model's name and version.
    waiting: Mapping[tuple[str, str], int] = field(default_factory=dict)
    worker_up: bool = False
    worker_restarts: int = 0
    # Ids of the processes that run beside the API.
    processes: Mapping[ProcessRole, tuple[int, ...]] = field(default_factory=dict)
