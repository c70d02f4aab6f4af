"""Sends inferences to workers, and again to another one if a worker is lost.

An inference changes nothing, so it may be computed twice.
"""

import asyncio
from collections.abc import Sequence

from app.arrays import Buffer
from app.cluster.loads import Loads
from app.cluster.member import Member
from app.cluster.messages import BatchRecord, Computed, WorkerLostError
from app.cluster.routing import Routing, choose, died
from app.compute.pace import Pace
from app.engine import Answer, DeadlineError, ModelRef, OnBatch, QueueFullError, Rows
from app.settings import Settings, variable
from app.telemetry.logs import request_fields

# After as many lost workers, a request may be what ends them.
_MOST_LOSSES = 3
# A worker says itself what took too long, if it can.
GRACE_S = 1.0
# Ray sends an argument of less than 100 KB with the call, and others through two object stores,
# which takes 4 ms more for the row of an image.
_PIECE_BYTES = 90_000


class Inferences:
    """The inferences in progress."""

    def __init__(
        self, settings: Settings, on_batch: OnBatch, routing: Routing, loads: Loads
    ) -> None:
        self._settings = settings
        self._on_batch = on_batch
        self._routing = routing
        self._loads = loads
        self._bytes = 0
        self.pace = Pace()

    def count_batches(self, batches: Sequence[BatchRecord]) -> None:
        """Count what workers have computed."""
        for batch in batches:
            self._on_batch(batch.counted_as, batch.rows, batch.seconds)

    async def infer(
        self,
        model: ModelRef,
        rows: Rows,
        outputs: Sequence[str],
        counted_as: tuple[str, str],
        timeout_s: float | None,
    ) -> Answer:
        """Compute outputs of a model; see `Engine.infer`."""
        limit = self._settings.request_time.at_most(timeout_s)
        size, most_bytes = len(rows.data), self._settings.max_queue_bytes
        if self._bytes + size > most_bytes:
            raise QueueFullError(
                f"{size} bytes do not fit beside the {self._bytes} that wait; the limit is "
                f"{most_bytes} ({variable('max_queue_bytes')}).",
                self.pace.retry_after_s(1),
            )
        self._bytes += size
        try:
            async with asyncio.timeout(limit.value + GRACE_S):
                return await self._infer(model, rows, tuple(outputs), counted_as, limit.value)
        except TimeoutError:
            if not self._routing.able(None):
                raise self._routing.too_late(limit.in_seconds) from None
            raise DeadlineError(
                f"The request computed for longer than {limit.in_seconds}."
            ) from None
        finally:
            self._bytes -= size

    async def _infer(
        self,
        model: ModelRef,
        rows: Rows,
        outputs: tuple[str, ...],
        counted_as: tuple[str, str],
        limit_s: float,
    ) -> Answer:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limit_s
        files, about = self._routing.needs_files(model), request_fields()
        pieces = _pieces(rows.data)
        losses = 0
        full: list[Member] = []
        while True:
            member = await self._routing.member(model.key, files, full)
            self._loads.relieve(member, model, files)
            wants_state = model.key not in member.states
            left_s = max(0.001, deadline - loop.time())
            options = (outputs, rows.count, counted_as, left_s, wants_state)
            try:
                computed: Computed = await member.call(
                    model.key, "infer", about, model, *options, pieces=pieces
                )
            except WorkerLostError as error:
                losses += 1
                if losses == _MOST_LOSSES:
                    raise died(member, error) from None
                full.clear()  # rather than to wait for another one
            except QueueFullError:
                full.append(member)
                if choose(self._routing.able(files), model.key, full) is None:
                    raise
            else:
                if computed.state is not None:
                    member.note(model.key, computed.state)
                self.count_batches(computed.batches)
                self.pace.count(computed.answer)
                return computed.answer


def _pieces(data: Buffer) -> list[bytes]:
    view = memoryview(data)
    starts = range(0, max(1, len(view)), _PIECE_BYTES)
    return [bytes(view[start : start + _PIECE_BYTES]) for start in starts]
