"""The queue of requests, and how batches are formed from it.

Requests gather while a worker is busy. When it is free, it takes the oldest one and all others for
the same outputs of the same model, up to a number of rows. A free worker waits for more requests
only if a delay is set.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.compute.arena import Block
from app.engine import Answer, ModelRef


@dataclass(eq=False, slots=True)
class PendingRequest:
    """A request for some rows of a model."""

    model: ModelRef
    outputs: tuple[str, ...]
    block: Block
    count: int
    counted_as: tuple[str, str]
    arrived: float
    answer: asyncio.Future[Answer]
    # Set when its batch has failed: it is tried again, in a batch of its own.
    is_retried: bool = False
    is_computed: bool = False
    # The fields of the request in the log.
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def must_be_alone(self) -> bool:
        """Whether it takes a batch of its own."""
        return self.is_retried or self.model.uses_batch_statistics

    def fail(self, error: Exception) -> None:
        """Answer with an error, if nothing has been answered yet."""
        if not self.answer.done():
            self.answer.set_exception(error)

    def can_join(self, other: "PendingRequest") -> bool:
        """Return whether both can be computed in one batch."""
        return (
            not (self.must_be_alone or other.must_be_alone)
            and self.outputs == other.outputs
            and self.model.key == other.model.key
        )


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """Requests to compute together, the oldest first."""

    requests: list[PendingRequest]
    rows: int
    is_full: bool  # no later request could join it

    @property
    def model(self) -> ModelRef:
        """The model of the requests."""
        return self.requests[0].model

    @property
    def about(self) -> Mapping[str, Any]:
        """The fields of its requests in the log: of one, or the ids of several."""
        if len(self.requests) == 1:
            return self.requests[0].about
        ids = [each.about["request_id"] for each in self.requests if "request_id" in each.about]
        return {"request_ids": ids} if ids else {}

    @property
    def arrived(self) -> float:
        """When the oldest request arrived."""
        return self.requests[0].arrived


class RequestQueue:
    """Requests in the order of their arrival."""

    def __init__(self) -> None:
        self._pending: list[PendingRequest] = []

    def __len__(self) -> int:
        return len(self._pending)

    def __iter__(self) -> Iterator[PendingRequest]:
        return iter(tuple(self._pending))

    def add(self, pending: PendingRequest) -> None:
        """Append a request."""
        self._pending.append(pending)

    def add_first(self, requests: Sequence[PendingRequest]) -> None:
        """Put requests before all others."""
        self._pending[:0] = requests

    def remove(self, pending: PendingRequest) -> bool:
        """Remove a request; return whether it was in the queue."""
        if pending in self._pending:
            self._pending.remove(pending)
            return True
        return False

    def depths(self) -> dict[tuple[str, str], int]:
        """Return the number of requests, by model and version."""
        counts: dict[tuple[str, str], int] = {}
        for pending in self._pending:
            counts[pending.counted_as] = counts.get(pending.counted_as, 0) + 1
        return counts

    def next(self, limit_of: Callable[[ModelRef], int]) -> "Batch | None":
        """Return the next batch, whose requests stay in the queue; None if there is none.

        `limit_of` returns the most rows of a model that a batch may have, 0 if it is not in memory.
        A request with more rows than that is a batch of its own.
        """
        for index, first in enumerate(self._pending):
            limit = limit_of(first.model)
            if not limit:
                continue
            batch, rows, is_full = [first], first.count, first.must_be_alone
            for other in self._pending[index + 1 :]:
                if is_full or rows >= limit:
                    break
                if first.can_join(other):
                    if rows + other.count > limit:
                        is_full = True
                    else:
                        batch.append(other)
                        rows += other.count
            return Batch(batch, rows, is_full or rows >= limit)
        return None
