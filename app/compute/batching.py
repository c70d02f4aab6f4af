"""The requests that wait, and which of them are computed together.

While a worker is busy, requests gather; when it is free, it takes the oldest and whatever else
waits for the same outputs of the same model, up to a number of rows. Nothing waits for company
unless a delay is set.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from app.compute.arena import Block
from app.engine import Answer, ModelRef


@dataclass(eq=False, slots=True)
class Pending:
    """A request for some rows of a model."""

    model: ModelRef
    outputs: tuple[str, ...]
    block: Block
    count: int
    label: tuple[str, str]
    arrived: float
    answer: asyncio.Future[Answer]
    # Set when a batch that it was part of failed: the next time it goes by itself.
    alone: bool = False
    is_computed: bool = False

    def goes_with(self, other: "Pending") -> bool:
        """Whether both can be computed in one batch."""
        return (
            not (self.alone or other.alone)
            and self.outputs == other.outputs
            and self.model.key == other.model.key
            and not self.model.spec["is_training"]
        )


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """Requests to compute together, the oldest first."""

    requests: list[Pending]
    rows: int
    is_full: bool  # no request that comes later could join it

    @property
    def model(self) -> ModelRef:
        """The model of all of them."""
        return self.requests[0].model

    @property
    def arrived(self) -> float:
        """When the first of them arrived."""
        return self.requests[0].arrived


class Waiting:
    """Requests in the order of their arrival."""

    def __init__(self) -> None:
        self._pending: list[Pending] = []

    def __len__(self) -> int:
        return len(self._pending)

    def __iter__(self) -> Iterator[Pending]:
        return iter(tuple(self._pending))

    def add(self, pending: Pending) -> None:
        """Let a request wait, after those that do already."""
        self._pending.append(pending)

    def add_first(self, requests: Sequence[Pending]) -> None:
        """Let requests wait again, before all others."""
        self._pending[:0] = requests

    def remove(self, pending: Pending) -> bool:
        """Let a request wait no longer; return whether it did."""
        if pending in self._pending:
            self._pending.remove(pending)
            return True
        return False

    def depths(self) -> dict[tuple[str, str], int]:
        """Return how many requests wait, by the label of their model."""
        counts: dict[tuple[str, str], int] = {}
        for pending in self._pending:
            counts[pending.label] = counts.get(pending.label, 0) + 1
        return counts

    def next(self, limit_of: Callable[[ModelRef], int]) -> "Batch | None":
        """Return the next batch, which goes on to wait; None if there is none.

        `limit_of` says how many rows of a model a batch may have, 0 where it is not in memory. A
        request with more rows than that goes by itself.
        """
        for index, first in enumerate(self._pending):
            limit = limit_of(first.model)
            if not limit:
                continue
            batch, rows, is_full = [first], first.count, first.alone
            for other in self._pending[index + 1 :]:
                if is_full or rows >= limit:
                    break
                if first.goes_with(other):
                    if rows + other.count > limit:
                        is_full = True
                    else:
                        batch.append(other)
                        rows += other.count
            return Batch(batch, rows, is_full or rows >= limit)
        return None
