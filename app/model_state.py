"""Where a model stands in memory, and what can run it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

RuntimeName = Literal["auto", "tensorflow", "onnxruntime"]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Warmed:
    """A batch size that the model was run at before it was ready: the first time, and the next."""

    rows: int
    seconds: float
    first_seconds: float


@dataclass(frozen=True, slots=True)
class ModelState:
    """Whether a model is in memory, and what was found when it came there."""

    state: Literal["unavailable", "loading", "ready", "unloading"] = "unavailable"
    reason: str = ""
    size_bytes: int = 0
    engine: str | None = None
    precision: str | None = None
    warmed: tuple[Warmed, ...] = ()
    # How many batches are computed side by side, and the rows of several requests in one.
    lanes: int = 1
    batch_rows: int = 1
    difference: float | None = None
    measured: Mapping[str, float] = field(default_factory=dict)
    pinned: bool = False
    failed: bool = False  # the last load did, and `reason` says why
