"""The sweeps: starts and ends them, finds them and their rows, and makes builds of rows."""

import asyncio
import contextlib
import itertools
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.builds import Builds
from app.documents import parse_document
from app.engine import Engine, EngineError, WorkerUnavailableError
from app.errors import ServiceError
from app.serving.known_outcomes import KnownOutcomes
from app.serving.sweep_progress import SweepProgress
from app.serving.sweep_run import SweepRun
from app.settings import MIB, Settings, variable
from app.store.builds import Build
from app.store.errors import StoreError
from app.store.scopes import ScopeStore
from app.store.sweeps import LEASE_S, ListedSweep, StoredSweep, SweepStore
from app.telemetry.timings import Timings
from app.wording import clip
from model_zoo import (
    BUILD_ID,
    BudgetError,
    PinnedScopes,
    Problem,
    SpecError,
    Sweep,
    SweepRowDocument,
    ZooError,
    json_pointer,
    sweep,
)

log = logging.getLogger(__name__)

SweepState = Literal["running", "done", "stopped"]
# So that a lease outlives two renewals that fail.
_RENEWED_EVERY_S = LEASE_S / 4
# So often is looked how far a sweep is that another replica traces.
_LOOKED_EVERY_S = 0.25
_ID = re.compile(BUILD_ID)  # digests of sweeps have the form of those of builds
_MAX_BUILDS = 100
_MAX_CHARACTERS = 1_000
# A sort, a front and a table have all rows of a sweep in memory.
_MAX_VALUE_BYTES = 32 * MIB


class SweepRowNumbers(TypedDict):
    """The rows of a sweep to keep as builds."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]  # pydantic's own form

    rows: Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=_MAX_BUILDS)]


@dataclass(frozen=True, slots=True)
class SweepView:
    """A sweep, and how far it is; `reason` is why it stopped before the end."""

    stored: StoredSweep
    sweep: Sweep
    progress: SweepProgress
    state: SweepState
    reason: str | None

    @property
    def done(self) -> int:
        """How many rows are traced."""
        return self.progress.rows


class Sweeps:
    """The sweeps that are kept, and those that are running."""

    def __init__(
        self,
        settings: Settings,
        store: SweepStore,
        scopes: ScopeStore,
        builds: Builds,
        engine: Engine,
    ) -> None:
        self._settings = settings
        self._store = store
        self._scopes = scopes
        self._builds = builds
        self._engine = engine
        self._outcomes = KnownOutcomes()
        self._is_stopping = False
        self._runs: dict[str, tuple[SweepRun, asyncio.Task[None]]] = {}
        # Held while a sweep is stored or deleted: requests for the same one may come at once.
        self._changing = asyncio.Lock()
        self._renewing: asyncio.Task[None] | None = None

    def read(self, body: bytes) -> Sweep:
        """Return the sweep of a JSON body.

        Raises: ZooError if it is not valid, or has too many rows.
        """
        settings = self._settings
        document = parse_document(body, settings)
        read = sweep(document, self._scopes, settings.budget, settings.max_sweep_rows)
        _check_values(read)
        return read

    async def start(self, sweep: Sweep, *, fail_fast: bool) -> None:
        """Trace the rows of a sweep that are not stored yet, in the background.

        If another replica does already, it goes on.
        Raises: ServiceError if too many sweeps are running; StoreError.
        """
        async with self._changing:
            if sweep.id in self._runs:
                return
            if self._is_stopping:
                raise WorkerUnavailableError("The service is stopping.")
            limit = self._settings.max_running_sweeps
            if len(self._runs) >= limit:
                raise ServiceError(
                    "overloaded",
                    f"{len(self._runs)} sweeps are being traced already; the limit is {limit} "
                    f"({variable('max_running_sweeps')}).",
                )
            stored = await self._store.write(self._taken, sweep)
            if self._state(stored) != "stopped":
                return

            async def store(rows: Sequence[SweepRowDocument], progress: dict[str, Any]) -> None:
                await self._store.write(self._store.append, sweep.id, rows, progress)

            run = SweepRun(sweep, stored, self._engine, self._outcomes, store, fail_fast=fail_fast)
            task = asyncio.create_task(self._run(sweep.id, run))
            self._runs[sweep.id] = run, task
            # Called in any case: a task that is cancelled at once never begins.
            task.add_done_callback(lambda _: self._end(sweep.id))
            if self._store.database.is_shared and self._renewing is None:
                self._renewing = asyncio.create_task(self._renew())

    def _end(self, sweep_id: str) -> None:
        run, _ = self._runs.pop(sweep_id)
        run.end()

    def _taken(self, sweep: Sweep) -> StoredSweep:
        """Return a sweep as it is stored; if it has stopped, or is new, it is ours to trace."""
        document_json, scopes_json = json.dumps(sweep.document), json.dumps(sweep.scopes.to_dict())
        with self._store.alone():
            stored = self._store.add(sweep.id, sweep.rows, document_json, scopes_json)
            if self._state(stored) == "stopped":
                self._store.take(sweep.id)
        return stored

    async def _renew(self) -> None:
        """Hold on to the leases of the sweeps that run, and end those that are ours no more."""
        while self._runs:
            await asyncio.sleep(_RENEWED_EVERY_S)
            try:
                lost = await self._store.write(self._store.renew, list(self._runs))
            except StoreError:
                continue  # which the runs learn when they store their next rows
            for sweep_id in lost & self._runs.keys():
                self._cancel(sweep_id, "The sweep was deleted.")
        self._renewing = None

    def _cancel(self, sweep_id: str, reason: str) -> asyncio.Task[None]:
        run, task = self._runs[sweep_id]
        run.cancelled_for = reason
        task.cancel()
        return task

    async def _run(self, sweep_id: str, run: SweepRun) -> None:
        try:
            known = await asyncio.to_thread(lambda: list(self.rows(sweep_id)))
            reason = await run.run(known)
        except (EngineError, StoreError) as error:
            reason = str(error)
            log.warning("Sweep %s stopped: %s", sweep_id, error)
        except asyncio.CancelledError:
            reason = run.cancelled_for
        except Exception:
            reason = "internal error"
            log.exception("Sweep %s stopped.", sweep_id)
        try:
            await self._store.write(self._store.stop, sweep_id, reason)
        except StoreError as error:
            log.warning("Sweep %s: %s", sweep_id, error)

    async def wait(self, sweep_id: str, seconds: float) -> None:
        """Wait for the end of a sweep, or for some seconds."""
        if sweep_id in self._runs:
            await asyncio.wait({self._runs[sweep_id][1]}, timeout=seconds)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while await self._runs_elsewhere(sweep_id):
                    await asyncio.sleep(_LOOKED_EVERY_S)

    async def _runs_elsewhere(self, sweep_id: str) -> bool:
        """Return whether another replica traces a sweep."""
        if not self._store.database.is_shared:
            return False
        stored = await asyncio.to_thread(self._store.get, sweep_id)
        return stored is not None and self._state(stored) == "running"

    async def follow(self, sweep_id: str, start: int) -> AsyncIterator[list[SweepRowDocument]]:
        """Yield the rows of a sweep from a number on, those that are traced meanwhile too."""
        count = start
        while True:
            # Asked before the rows are read: what it stores meanwhile is read the next time.
            run = self._runs.get(sweep_id)
            rows = await asyncio.to_thread(self._next_rows, sweep_id, count)
            if rows:
                yield rows
                count += len(rows)
            elif run is not None:
                await run[0].more_than(count)
            elif await self._runs_elsewhere(sweep_id):
                await asyncio.sleep(_LOOKED_EVERY_S)
            else:
                return

    def _next_rows(self, sweep_id: str, start: int) -> list[SweepRowDocument]:
        return next(self._store.rows(sweep_id, start), [])

    def rows(
        self, sweep_id: str, start: int = 0, stop: int | None = None
    ) -> Iterator[SweepRowDocument]:
        """Yield the rows that are traced, in their order, with what was measured of them.

        `start` and `stop` are row numbers.
        """
        rows = itertools.chain.from_iterable(self._store.rows(sweep_id, start))
        measured = self._store.measured(sweep_id)
        for row in itertools.islice(rows, None if stop is None else max(0, stop - start)):
            figures = measured.get(row["index"])
            yield row if figures is None else {**row, "measured": figures}

    def traced_rows(self, sweep_id: str) -> list[int]:
        """Return the numbers of the rows that have a build which no row before them has."""
        return [row["index"] for row in self.rows(sweep_id) if row["status"] == "traced"]

    def get(self, sweep_id: str) -> SweepView:
        """Return a sweep.

        Raises: ServiceError (unknown-sweep) if there is none of this id.
        """
        stored = self._store.get(sweep_id) if _ID.fullmatch(sweep_id) else None
        if stored is None:
            shown = sweep_id if len(sweep_id) <= 64 else sweep_id[:64] + "..."
            raise ServiceError(
                "unknown-sweep", f"There is no sweep {shown!r}. GET /v1/sweeps lists them."
            )
        return self._view(stored)

    def _view(self, stored: StoredSweep) -> SweepView:
        progress = SweepProgress.stored(stored.progress)
        scopes = PinnedScopes.stored(json.loads(stored.scopes_json))
        read = sweep(json.loads(stored.document_json), scopes, self._settings.budget)
        state = self._state(stored)
        reason = None
        if state == "stopped":
            reason = stored.reason or "It was interrupted."
        return SweepView(stored, read, progress, state, reason)

    def page(self, *, before: int | None, limit: int) -> list[ListedSweep]:
        """Return sweeps, newest first; `before` is the sequence number that they follow."""
        return self._store.list(before=before, limit=limit)

    async def remove(self, sweep_id: str) -> None:
        """End a sweep, and delete it and its rows.

        Raises: ServiceError (unknown-sweep) if there is none of this id.
        """
        await asyncio.to_thread(self.get, sweep_id)
        async with self._changing:
            if sweep_id in self._runs:
                await asyncio.wait({self._cancel(sweep_id, "The sweep was deleted.")})
            await self._store.write(self._store.remove, sweep_id)

    async def keep_builds(
        self, sweep_id: str, body: bytes, timings: Timings
    ) -> list[tuple[int, Build, bool]]:
        """Make builds of the rows that a JSON body names; return them, and whether they are new.

        Raises: ServiceError, or a ZooError with the place in the body.
        """
        numbers, builds = await self._builds.posting.run(self._planned, sweep_id, body)
        stored = await self._builds.keep_planned(builds, timings)
        return [(number, *each) for number, each in zip(numbers, stored, strict=True)]

    def _planned(self, sweep_id: str, body: bytes) -> tuple[list[int], list[Build]]:
        view = self.get(sweep_id)
        numbers = _numbers(parse_document(body, self._settings), view.stored.row_count)
        builds: list[Build] = []
        for number in numbers:
            try:
                traced = self._builds.trace(view.sweep.spec(number), view.sweep.scopes)
                builds.append(self._builds.planned(traced))
            except ZooError as error:
                # Its pointers are places in the row's spec, which the body does not have.
                rule = (
                    f"Row {number} is refused, so it has no build: {str(error)[:_MAX_CHARACTERS]}"
                )
                raise SpecError(Problem(rule, "/rows", number)) from error
        return numbers, builds

    def stop(self) -> None:
        """Begin to end every sweep; posted again, each goes on where it was."""
        self._is_stopping = True
        for sweep_id in self._runs:
            self._cancel(sweep_id, "The service was stopping.")

    async def close(self) -> None:
        """End every sweep."""
        self.stop()
        tasks = [task for _, task in self._runs.values()]
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)

    def _state(self, stored: StoredSweep) -> SweepState:
        if SweepProgress.stored(stored.progress).rows == stored.row_count:
            return "done"
        is_of_others = stored.owner not in (None, self._store.owner)
        return "running" if is_of_others or stored.id in self._runs else "stopped"


def _check_values(sweep: Sweep) -> None:
    """Raises: BudgetError if what the axes set would, repeated in each row, take too much."""
    spaces: Sequence[Any] = sweep.document.get("union") or [sweep.document]
    total = sum(
        space.rows * sum(map(_value_bytes, written["axes"].items()))
        for space, written in zip(sweep.spaces, spaces, strict=True)
    )
    if total > _MAX_VALUE_BYTES:
        raise BudgetError(
            Problem(
                f"The values of this sweep's {sweep.rows} rows take up to {total} bytes as JSON; "
                f"the limit is {_MAX_VALUE_BYTES}. Name long ones by saved scopes.",
                received=total,
            )
        )


def _value_bytes(axis: tuple[str, Any]) -> int:
    """Return the most bytes that an axis has in a row, or the axes of a group."""
    place, written = axis
    if "zip" in written:
        return sum(map(_value_bytes, written["zip"].items()))
    return len(place) + max(
        (len(json.dumps(value)) for value in written.get("values", ())), default=0
    )


def _numbers(document: object, row_count: int) -> list[int]:
    """Return the numbers of the rows that `{"rows": [...]}` names, each once.

    Raises: SpecError, BudgetError.
    """
    numbers = document.get("rows") if isinstance(document, dict) else None
    if not isinstance(numbers, list) or not isinstance(document, dict) or len(document) > 1:
        raise SpecError(Problem('The body is {"rows": [...]}: numbers of rows.', "", document))
    if len(numbers) > _MAX_BUILDS:
        rule = f"These are {len(numbers)} rows; the limit of one request is {_MAX_BUILDS}."
        raise BudgetError(Problem(rule, "/rows", len(numbers)))
    problems = [
        Problem(
            f"A row is a number from 0 to {row_count - 1}; received {clip(number)!r}.",
            json_pointer("rows", index),
            number,
        )
        for index, number in enumerate(numbers)
        if type(number) is not int or not 0 <= number < row_count
    ]
    if problems:
        raise SpecError(*problems)
    return list(dict.fromkeys(numbers))
