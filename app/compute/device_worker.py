"""One worker process, seen from the API: the models it holds, and the batches it computes."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import numpy as np

from app.compute.arena import Arena
from app.compute.batching import Batch, Pending, Waiting
from app.compute.connection import Connection
from app.compute.process import WorkerGoneError, WorkerProcess, worker_environment
from app.compute.residency import Held, Residency
from app.compute.supervisor import Supervisor
from app.engine import (
    Answer,
    ModelRef,
    OutOfMemoryError,
    Reply,
    WorkerDiedError,
    WorkerUnavailableError,
)
from app.model_state import ModelState, Warmed
from app.settings import Limit, Settings, variable

log = logging.getLogger(__name__)

_MODULE = "app.compute.worker"
OnBatch = Callable[[tuple[str, str], int, Mapping[str, float]], None]


class DeviceWorker:
    """A supervised worker that takes batches from the waiting requests."""

    def __init__(
        self,
        settings: Settings,
        arena: Arena,
        waiting: Waiting,
        on_batch: OnBatch,
        release: Callable[[Pending], None],
        gpu: str | None,
    ) -> None:
        self._settings = settings
        self._waiting = waiting
        self._on_batch = on_batch
        self._release = release
        self.residency = Residency(settings.max_models_bytes)
        self.supervisor = Supervisor(
            "worker",
            lambda: WorkerProcess.spawn(
                _MODULE,
                shared=[arena.fd],
                environment=worker_environment(settings.device, gpu),
            ),
            settings.model_dump(mode="json"),
            on_up=self._on_up,
            on_down=self._on_down,
        )
        self.computing: list[Batch] = []
        self.jobs = 0
        self.pinned: dict[str, ModelRef] = {}
        self._wake = asyncio.Event()
        self._changed = asyncio.Condition()
        self._loads: dict[str, asyncio.Task[ModelState]] = {}
        self._one_load = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    # The process ------------------------------------------------------------------------------

    def start(self) -> "asyncio.Future[None]":
        """Begin; see Supervisor.start."""
        self._keep(self._dispatch())
        return self.supervisor.start()

    async def close(self) -> None:
        """End the process and everything that is under way."""
        tasks = [*self._tasks, *self._loads.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.supervisor.close()

    @property
    def loading(self) -> int:
        """How many models are on their way into memory."""
        return len(self._loads)

    def wake(self) -> None:
        """Look for work: a request has arrived."""
        self._wake.set()

    def _on_up(self, _connection: Connection) -> None:
        for ref in self.pinned.values():
            self.begin_load(ref)
        self.wake()

    def _on_down(self, _reason: str) -> None:
        self.residency.clear()
        self._keep(self._notify())

    def _keep(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Batches ----------------------------------------------------------------------------------

    async def _dispatch(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self.supervisor.connection is None:
                continue
            for pending in self._waiting:
                if self.residency.find(pending.model) is None:
                    self.begin_load(pending.model)
            self._send_batches(self.supervisor.connection)
            await self._notify()  # who waits for a request to be gone, or a model to be used

    def _send_batches(self, connection: Connection) -> None:
        while batch := self._next_batch():
            is_alone = not self.computing and not self._waiting
            self.computing.append(batch)
            self._keep(self._compute(connection, batch, is_alone))

    def _next_batch(self) -> Batch | None:
        """Return what to compute now, if there is anything and a lane for it."""
        batch = self._waiting.next(self.residency.batch_rows)
        if batch is None:
            return None
        under_way = len(self.computing)
        lanes = self.residency.held[batch.model.key].state.lanes
        if under_way > lanes or (under_way == lanes and not batch.is_full):
            return None
        delay = self._settings.batch_delay_s
        if delay and not batch.is_full:
            too_early = batch.arrived + delay - time.perf_counter()
            if too_early > 0:
                asyncio.get_running_loop().call_later(too_early, self.wake)
                return None
        for pending in batch.requests:
            self._waiting.remove(pending)
            pending.is_computed = True  # from now on, the worker may read its rows
        self.residency.use(batch.model)
        return batch

    async def _compute(self, connection: Connection, batch: Batch, is_alone: bool) -> None:
        started = time.perf_counter()
        requests = batch.requests
        held = self.residency.find(batch.model)
        try:
            reply = await self._timed(
                connection,
                "compute",
                {
                    "model": batch.model.key,
                    "outputs": requests[0].outputs,
                    "rows": [[pending.block.offset, pending.count] for pending in requests],
                    "is_alone": is_alone,
                },
                self._settings.request_time,
            )
        except asyncio.CancelledError:
            for pending in requests:
                _fail(pending, WorkerUnavailableError("The service is stopping."))
            raise
        except Exception as error:
            self._failed(requests, error)
        else:
            ready_at = held.ready_at if held else 0.0
            self._answer(batch, reply, started, ready_at)
        finally:
            self.computing.remove(batch)
            if held is not None:
                held.in_use -= 1
            for pending in requests:
                pending.is_computed = False
                if pending.answer.done():
                    self._release(pending)
            self.wake()
            await self._notify()

    def _answer(self, batch: Batch, reply: Reply, started: float, ready_at: float) -> None:
        self._on_batch(batch.requests[0].label, batch.rows, reply.seconds)
        shapes = reply.result["shapes"]
        arrays = [
            np.frombuffer(data, np.float32).reshape(shape)
            for data, shape in zip(reply.buffers, shapes, strict=True)
        ]
        start = 0
        for pending in batch.requests:
            loaded = max(0.0, min(ready_at, started) - pending.arrived)
            seconds = {"queue": started - pending.arrived - loaded, **reply.seconds}
            if loaded:
                seconds = {"load": loaded, **seconds}
            stop = start + pending.count
            parts = {
                name: array[start:stop] for name, array in zip(pending.outputs, arrays, strict=True)
            }
            if not pending.answer.done():
                pending.answer.set_result(Answer(parts, seconds, batch.rows))
            start = stop

    def _failed(self, batch: Sequence[Pending], error: Exception) -> None:
        """Fail a request that was alone; let those of a batch try once more, each by itself."""
        if len(batch) > 1:
            log.warning("A batch of %d requests failed (%s); each is retried.", len(batch), error)
            for pending in batch:
                pending.alone = True
            self._waiting.add_first([p for p in batch if not p.answer.done()])
            return
        if isinstance(error, OutOfMemoryError):
            self._keep(self._free_memory())
        if isinstance(error, WorkerGoneError):
            error = _died(error)
        _fail(batch[0], error)

    # Models -----------------------------------------------------------------------------------

    def begin_load(self, ref: ModelRef) -> "asyncio.Task[ModelState]":
        """Load a model, once however many ask for it; return the task that does."""
        task = self._loads.get(ref.key)
        if task is None:
            task = self._loads[ref.key] = asyncio.create_task(self._load(ref))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    async def _load(self, ref: ModelRef) -> ModelState:
        try:
            async with self._one_load:
                connection = await self.supervisor.up()
                await self._until_left(connection, ref)
                held = self.residency.find(ref)
                if held is not None and held.state.state == "ready":
                    return held.state
                return await self._load_into(connection, ref)
        except Exception as error:
            self._refuse(ref, error)
            raise
        finally:
            self._loads.pop(ref.key, None)
            self.wake()
            await self._notify()

    async def _load_into(self, connection: Connection, ref: ModelRef) -> ModelState:
        self.residency.begin(ref)
        known = self.residency.known.get(ref.key)
        try:
            await self._make_room(connection)
            reply = await self._timed(
                connection,
                "load",
                {
                    "model": ref.key,
                    "spec": ref.spec,
                    "builds": ref.source_specs,
                    "engine": ref.engine,
                    "precision": ref.precision,
                    "known": known and _known(known),
                },
                self._settings.load_time,
            )
        except WorkerGoneError as gone:
            self.residency.fail(ref, f"the worker {gone}")
            raise WorkerDiedError(
                f"The worker {gone} while it loaded this network. It is started again."
            ) from None
        except BaseException as error:
            self.residency.fail(ref, str(error) or "the load was given up")
            raise
        result = dict(reply.result)
        warmed = tuple(Warmed(**each) for each in result.pop("warmed"))
        state = ModelState("ready", pinned=ref.pinned, warmed=warmed, **result)
        self.residency.finish(ref, state, time.perf_counter())
        self._send_batches(connection)  # what waits for it goes before it could leave again
        await self._make_room(connection, besides=ref)
        return state

    async def _make_room(self, connection: Connection, besides: ModelRef | None = None) -> None:
        """Unload what was used longest ago, until the models are within the limit.

        `besides` is in memory already, and stays even where that is over the limit.
        """
        while self.residency.is_over():
            wanted = {pending.model.key for pending in self._waiting}
            victim = self.residency.victim(wanted)
            if victim is not None and (besides is None or victim.ref.key != besides.key):
                await self._unload(connection, victim, "room")
            elif besides is not None:
                return
            elif self.residency.may_shrink:
                async with self._changed:
                    await self._changed.wait()
            else:
                raise OutOfMemoryError(
                    "The networks in memory are pinned, and another does not fit beside them; the "
                    f"limit is {self._settings.max_models_bytes} bytes "
                    f"({variable('max_models_bytes')})."
                )

    async def unload(self, ref: ModelRef) -> None:
        """Give a model's memory back, when what runs on it is done."""
        loading = self._loads.get(ref.key)
        if loading is not None:
            await asyncio.gather(loading, return_exceptions=True)
        async with self._one_load:  # whose thread in the worker unloads as well
            held = self.residency.find(ref)
            connection = self.supervisor.connection
            if held is not None and connection is not None and held.state.state == "ready":
                await self._unload(connection, held, "request")

    async def _unload(self, connection: Connection, held: Held, reason: str) -> None:
        """Let a model take no more work, and leave when what it does is done."""
        self.residency.leaving(held)
        async with self._changed:
            await self._changed.wait_for(lambda: not held.in_use)
        try:
            await self._timed(
                connection, "unload", {"model": held.ref.key}, self._settings.request_time
            )
        except WorkerGoneError:
            return  # and all its models with it
        except Exception as error:
            log.error("Build %s was not unloaded: %s", held.ref.build, error)
        self.residency.left(held.ref, reason)
        self.wake()
        await self._notify()

    async def _until_left(self, connection: Connection, ref: ModelRef) -> None:
        """Wait for a model on its way out of memory: it cannot come back before it is gone."""

        def has_left() -> bool:
            held = self.residency.find(ref)
            is_same_process = self.supervisor.connection is connection
            return held is None or held.state.state != "unloading" or not is_same_process

        async with self._changed:
            await self._changed.wait_for(has_left)

    async def _free_memory(self) -> None:
        """Unload what is not in use: something has run out of memory."""
        async with self._one_load:
            connection = self.supervisor.connection
            for held in list(self.residency.held.values()):
                if connection is not None and held.may_leave:
                    await self._unload(connection, held, "memory")

    def _refuse(self, ref: ModelRef, error: Exception) -> None:
        """Fail the requests that wait for a model that could not be loaded."""
        for pending in self._waiting:
            if pending.model.key == ref.key and self._waiting.remove(pending):
                _fail(pending, error)
                self._release(pending)

    # Other jobs -------------------------------------------------------------------------------

    async def run(self, task: str, arguments: Mapping[str, Any]) -> Reply:
        """Do another job; one that was begun is ended, even where nobody waits for it any more.

        Raises: EngineError, or a ZooError for what does not fit.
        """
        self.jobs += 1
        try:
            connection = await self.supervisor.up()
            begun = asyncio.Event()
            call = asyncio.create_task(self._call(connection, task, arguments, begun))
            call.add_done_callback(lambda done: done.cancelled() or done.exception())
            try:
                return await asyncio.shield(call)
            finally:
                if not begun.is_set():
                    call.cancel()
        except WorkerGoneError as gone:
            raise _died(gone) from None
        finally:
            self.jobs -= 1

    async def _call(
        self, connection: Connection, task: str, arguments: Mapping[str, Any], begun: asyncio.Event
    ) -> Reply:
        if task != "save_weights":
            begun.set()
            return await self._timed(connection, task, arguments, self._settings.request_time)
        # The process does one of these and of the loads at a time: what waits is not late yet.
        async with self._one_load:
            begun.set()
            return await self._timed(connection, task, arguments, self._settings.request_time)

    async def _timed(
        self, connection: Connection, task: str, arguments: Mapping[str, Any], limit: Limit[float]
    ) -> Reply:
        """Return the answer to a call; a process that does not answer in time is ended."""
        try:
            async with asyncio.timeout(limit.value):
                return await connection.call(task, arguments)
        except TimeoutError:
            reason = f"was ended: a job took longer than {limit.value:g} s ({limit.setting})"
            connection.process.kill(reason)
            raise WorkerGoneError(reason) from None

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _known(state: ModelState) -> dict[str, Any]:
    return {
        "engine": state.engine,
        "measured": state.measured,
        "difference": state.difference,
    }


def _died(gone: WorkerGoneError) -> WorkerDiedError:
    return WorkerDiedError(
        f"The worker {gone} while it did this request. It is started again; the request may be "
        "sent again."
    )


def _fail(pending: Pending, error: Exception) -> None:
    if not pending.answer.done():
        pending.answer.set_exception(error)
