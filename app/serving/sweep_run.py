"""One sweep in progress: its rows are traced side by side, and stored in their order."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from app.engine import DeadlineError, Engine, WorkerDiedError
from app.serving.known_outcomes import KnownOutcomes, OutcomeKey
from app.serving.sweep_progress import SweepProgress
from app.store.sweeps import StoredSweep
from app.tasks import IdentifyRows, SweepPart, TraceRows
from model_zoo import RowKey, RowOutcome, Sweep, SweepRowDocument, SweepRows, row_problem

# Rows are stored together, but a client that follows sees something happen.
_STORED_TOGETHER = 64
_STORED_EVERY_S = 0.5

_Outcome = tuple[RowKey | None, RowOutcome]


class _Answer(NamedTuple):
    """What a tracer says of a row; the key is None where its spec is not valid."""

    key: OutcomeKey | None
    outcome: RowOutcome

    @property
    def row_key(self) -> RowKey | None:
        return None if self.key is None else self.key[:2]


class SweepRun:
    """Traces the rows of a sweep that are not stored yet."""

    def __init__(
        self,
        sweep: Sweep,
        stored: StoredSweep,
        engine: Engine,
        outcomes: KnownOutcomes,
        store: Callable[[Sequence[SweepRowDocument], dict[str, Any]], Awaitable[None]],
        *,
        fail_fast: bool,
    ) -> None:
        self._sweep = sweep
        self._engine = engine
        self._outcomes = outcomes
        self._store = store
        self._fail_fast = fail_fast
        self._rows = SweepRows(sweep)
        self._part = SweepPart(
            stored.id, stored.document_json.encode(), stored.scopes_json.encode(), ()
        )
        self._progress = SweepProgress.stored(stored.progress)
        self._stored = 0
        self._has_ended = False
        self.cancelled_for: str | None = None  # what is told of a run that is cancelled
        self._news = asyncio.Event()

    async def run(self, known: Sequence[SweepRowDocument]) -> str | None:
        """Trace and store the rows after those that are known, which are the first ones.

        Return why it stopped before the end, or None. Raises: EngineError, StoreError.
        """
        self._stored = len(known)
        await asyncio.to_thread(self._rows.meet, known)
        refused = next((row for row in known if row["status"] == "refused"), None)
        if self._fail_fast and refused is not None:
            return _failed_fast(refused["index"])
        return await self._trace_after(len(known))

    def end(self) -> None:
        """Tell those who wait that no more rows come."""
        self._has_ended = True
        self._tell()

    async def more_than(self, rows: int) -> None:
        """Wait until more rows are stored, or the run ends."""
        while self._stored <= rows and not self._has_ended:
            await self._news.wait()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _trace_after(self, known: int) -> str | None:
        chunks = iter(_chunks(known, self._sweep.rows, self._engine.rows_of_trace))
        pending: deque[tuple[range, asyncio.Task[list[_Outcome]]]] = deque()
        waiting: list[SweepRowDocument] = []
        last = time.monotonic()
        try:
            while True:
                while len(pending) <= self._engine.tracers and (chunk := next(chunks, None)):
                    pending.append((chunk, asyncio.create_task(self._traced(chunk))))
                if not pending:
                    return None
                numbers, task = pending.popleft()
                for number, (key, outcome) in zip(numbers, await task, strict=True):
                    row = self._rows.row(number, key, outcome)
                    self._progress.count(row.status, number, outcome.warnings)
                    waiting.append(row.to_dict())
                    if self._fail_fast and row.status == "refused":
                        return _failed_fast(number)
                if len(waiting) >= _STORED_TOGETHER or time.monotonic() - last > _STORED_EVERY_S:
                    rows, waiting, last = waiting, [], time.monotonic()
                    await self._keep(rows)
        finally:
            for _, task in pending:
                task.cancel()
            await asyncio.gather(*(task for _, task in pending), return_exceptions=True)
            if waiting:
                await self._keep(waiting)

    async def _keep(self, rows: Sequence[SweepRowDocument]) -> None:
        writing = asyncio.ensure_future(self._store(rows, self._progress.to_dict()))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            # A thread writes, which nothing calls back: whoever ends the run must find it done.
            await asyncio.wait({writing})
            raise
        self._stored += len(rows)
        self._tell()

    async def _traced(self, numbers: Sequence[int]) -> list[_Outcome]:
        """Return what rows come to; one that ends its process, or takes too long, is refused."""
        try:
            return await self._outcomes_of(numbers, await self._call(IdentifyRows, numbers))
        except (DeadlineError, WorkerDiedError):
            # Any of them may be to blame, or none: processes also end because memory runs out.
            return [await self._traced_alone(number) for number in numbers]

    async def _traced_alone(self, number: int) -> _Outcome:
        key: RowKey | None = None
        try:
            identified = await self._call(IdentifyRows, [number])
            key = identified[0].row_key
            (outcome,) = await self._outcomes_of([number], identified)
            return outcome
        except (DeadlineError, WorkerDiedError) as error:
            build = None if key is None else key[0]
            return key, RowOutcome(build, problem=row_problem(str(error)))

    async def _outcomes_of(
        self, numbers: Sequence[int], identified: Sequence[_Answer]
    ) -> list[_Outcome]:
        outcomes = [
            each.outcome if each.key is None else self._outcomes.get(each.key)
            for each in identified
        ]
        unknown = [index for index, outcome in enumerate(outcomes) if outcome is None]
        if unknown:
            traced = await self._call(TraceRows, [numbers[index] for index in unknown])
            for index, (key, outcome) in zip(unknown, traced, strict=True):
                if key is not None:
                    self._outcomes.add(key, outcome)
                outcomes[index] = outcome
        return [
            (each.row_key, outcome)
            for each, outcome in zip(identified, outcomes, strict=True)
            if outcome is not None
        ]

    async def _call(
        self, task: type[IdentifyRows] | type[TraceRows], numbers: Sequence[int]
    ) -> list[_Answer]:
        part = msgspec.structs.replace(self._part, rows=tuple(numbers))
        reply = await self._engine.trace(task(part))
        return [_answer(document) for document in json.loads(reply.result)]


def _failed_fast(number: int) -> str:
    return f"Row {number} was refused, and fail_fast was set."


def _chunks(start: int, stop: int, most: int) -> Iterator[range]:
    for first in range(start, stop, most):
        yield range(first, min(first + most, stop))


def _answer(document: Mapping[str, Any]) -> _Answer:
    outcome = RowOutcome.stored(document)
    if outcome.build is None:
        return _Answer(None, outcome)
    return _Answer((outcome.build, document["is_strict"], document["spelling"]), outcome)
