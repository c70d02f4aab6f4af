"""The state of a model in memory, and the names of what can run it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

RuntimeName = Literal["auto", "tensorflow", "onnxruntime"]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Warmed:
    """A batch size at which a model ran before it was ready: seconds of the first and next run."""

    rows: int
    seconds: float
    first_seconds: float


@dataclass(frozen=True, slots=True)
class ModelState:
    """Whether a model is in memory, and what was measured when it was loaded."""

    state: Literal["unavailable", "loading", "ready", "unloading"] = "unavailable"
    reason: str = ""
    size_bytes: int = 0
    engine: str | None = None
    precision: str | None = None
    warmed: tuple[Warmed, ...] = ()
    # The batches computed side by side, and the rows that requests may share in one batch.
    lanes: int = 1
    batch_rows: int = 1
    difference: float | None = None
    measured: Mapping[str, float] = field(default_factory=dict)
    pinned: bool = False
    failed: bool = False  # the last load failed, and `reason` says why
